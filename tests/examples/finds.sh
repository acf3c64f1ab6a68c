#!/bin/sh
# Runs sim_withdraw. It finds its race within 1 000 seeds and prints the seed and the line that
# replays it; that line, run twice, tells the same story and fails for the same reason; mended, it
# passes.
#
#   finds.sh PROGRAM MENDED_SEEDS
set -eu

fail() {
    echo "FAIL: $*" >&2
    exit 1
}

program=$1
if said=$("$program" --seeds 1000 2>&1); then
    fail "the race was not found"
fi
printf '%s\n' "$said"
reason=$(printf '%s\n' "$said" | sed -n 's/^withdraw: seed [0-9]* failed: //p')
case $reason in
'the account is overdrawn by '*) ;;
*) fail "this is no reason: '$reason'" ;;
esac
seed=$(printf '%s\n' "$said" | sed -n 's/^withdraw: seed \([0-9]*\) failed: .*/\1/p')
replay=$(printf '%s\n' "$said" | sed -n 's/^replay: //p')
[ "$replay" = "$program withdraw --from $seed --seeds 1 --trace" ] ||
    fail "this does not replay: '$replay'"

# shellcheck disable=SC2086 # one word per argument
story=$($replay 2>&1) && fail "the replay passes"
printf '%s\n' "$story"
printf '%s\n' "$story" | grep -q "failed: $reason\$" || fail "the replay fails for another reason"
printf '%s\n' "$story" | grep -q ' ms .* greenlet/.*says: debits' || fail "nobody is told to debit"
printf '%s\n' "$story" | grep -q ' ms .* greenlet/[0-9]  sleeps$' || fail "nobody is told to wait"
if printf '%s\n' "$story" | grep -q '0x'; then
    fail "there is an address in the story"
fi
# shellcheck disable=SC2086 # as above
again=$($replay 2>&1) && fail "the second replay passes"
[ "$story" = "$again" ] || fail "the second replay tells another story"

said=$("$program" --mended --seeds "$2")
printf '%s\n' "$said"
case $said in
"withdraw: $2 seeds, 0 failed, hash "*) ;;
*) fail "mended, it does not pass" ;;
esac
