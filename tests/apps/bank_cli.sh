#!/bin/sh
# What users of `bank` see: messages, exit codes, and a small demo.
#
#   bank_cli.sh PROGRAM
# shellcheck disable=SC2016 # backticks are part of messages
set -eu

program=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
here=$(cd "$(dirname "$0")" && pwd)
scratch=$(mktemp -d)
trap 'rm -r "$scratch"' EXIT
failed=0
checked=0

complain() {
    failed=$((failed + 1))
    echo "FAILED: $*"
    cat "$scratch/out" "$scratch/err"
}

# run STATUS ARGUMENTS…: runs the program with its output in $scratch/out and err.
run() {
    wanted=$1
    shift
    checked=$((checked + 1))
    status=0
    "$program" "$@" >"$scratch/out" 2>"$scratch/err" </dev/null || status=$?
    [ "$status" -eq "$wanted" ] || complain "bank $*: ended with $status, not $wanted"
}

# says TEXT: the last run wrote this one line to standard error, and nothing to standard output.
says() {
    printf '%s\n' "$1" >"$scratch/wanted"
    cmp -s "$scratch/wanted" "$scratch/err" || complain "not the message wanted: $1"
    [ ! -s "$scratch/out" ] || complain "printed something beside: $1"
}

# shows PATTERN: the last run printed a line like this to standard output.
shows() {
    grep -q -- "$1" "$scratch/out" || complain "does not print: $1"
}

# --- the command line ---

demo_help='`bank demo --help` shows how'
balances_help='`bank balances --help` shows how'

run 2
says 'bank: say what to do: demo or balances; `bank --help` shows how'
run 2 frobnicate
says 'bank: there is no command frobnicate, but demo and balances; `bank --help` shows how'
run 2 demo --fast
says "bank demo: there is no flag --fast; $demo_help"
run 2 demo -x
says "bank demo: there is no flag -x; $demo_help"
run 2 demo --trans 5
says "bank demo: there is no flag --trans; $demo_help"
run 2 demo extra
says "bank demo: there is nothing to do with extra, name a journal with --books; $demo_help"
run 2 demo --transfers
says "bank demo: --transfers wants a value; $demo_help"
for bad in 0 -1 1x '' 99999999999999999999999 1e3; do
    run 2 demo --transfers "$bad"
    says "bank demo: --transfers wants a whole number from 1 to 1000000000; $demo_help"
done
run 2 demo --seconds=0
says "bank demo: --seconds wants a whole number from 1 to 86400; $demo_help"
run 2 demo --workers 0
says "bank demo: --workers wants a whole number from 1 to 64; $demo_help"
run 2 demo --loops 64
says "bank demo: --loops wants a whole number from 1 to 63; $demo_help"
run 2 demo --json=yes
says "bank demo: --json takes no value; $demo_help"
run 2 demo --books ''
says "bank demo: --books wants the name of a file; $demo_help"
run 2 balances
says "bank balances: name the journal to read; $balances_help"
run 2 balances one two
says "bank balances: one journal at a time, and two is the second; $balances_help"
for bad in 2024-02-30 tomorrow 2024 ''; do
    run 2 balances --at "$bad" x.journal
    says "bank balances: --at wants a date such as 2024-12-31; $balances_help"
done
run 2 balances --json x.journal
says "bank balances: there is no flag --json; $balances_help"
run 2 balances -
says "bank balances: standard input is not read, save it and name the file; $balances_help"
run 2 help foo
says 'bank: there is no help on foo, name a command and then --help; `bank --help` shows how'

run 0 help
shows '^  bank demo '
run 0 --help
shows '^  bank balances '
run 0 demo --help
shows '^  --transfers N '
run 0 balances --help
shows '^  --at DATE '

# --- books that cannot be used ---

cd "$scratch"
run 1 balances missing.journal
says 'bank: missing.journal: cannot read it: No such file or directory; check the path'
run 1 demo --books missing.journal
says 'bank: missing.journal: cannot read it: No such file or directory; check the path'

printf '2024-01-01 shop\n  a  1 EUR\n  b  2 EUR\n' >unbalanced.journal
for command in 'balances' 'demo --books'; do
    # shellcheck disable=SC2086 # two words
    run 1 $command unbalanced.journal
    says 'unbalanced.journal:1:1: the transaction does not balance, 3 EUR is left over; correct an amount or leave one out'
done

printf '2024-01-01 shop\n  a  1 EUR\n  b\n\n2024-01-02 shop\n  a  0 EUR = 2 EUR\n  b\n' >asserted.journal
run 1 balances asserted.journal
grep -q '^asserted.journal:6:[0-9]*: ' err || complain "no place of the failed assertion"
[ "$(wc -l <err)" -eq 1 ] || complain "more than one line about a failed assertion"
[ ! -s out ] || complain "printed balances in spite of a failed assertion"

# Each amount fits, but not with the decimals of the other.
printf '2024-01-01 much\n  a  9223372036854775807 EUR\n  b\n\n2024-01-02 fine\n  c  0.5 EUR\n  d\n' >large.journal
run 1 balances large.journal
says 'large.journal:1:1: an amount does not fit 64 bits with the decimals its commodity has elsewhere; write fewer of them'
run 0 balances --at 2024-01-01 large.journal
shows '^9223372036854775807.0 EUR  a$'

: >empty.journal
run 0 balances empty.journal
[ ! -s out ] || complain "balances of nothing"
run 1 demo --books empty.journal
says 'bank: empty.journal: there is nothing to transfer: name books with two accounts and some money'

# --- output that cannot be written ---

sample=$here/../../apps/bank/books/sample.journal
if [ -w /dev/full ]; then
    checked=$((checked + 1))
    if "$program" balances "$sample" >/dev/full 2>err; then complain "wrote to a full disk"; fi
    grep -q '^bank: cannot write the balances: No space left on device$' err \
        || complain "nothing said of a full disk"
    checked=$((checked + 1))
    if "$program" demo --transfers 100 >/dev/full 2>err; then complain "wrote to a full disk"; fi
    grep -q 'cannot write the report: No space left on device$' err \
        || complain "nothing said of a full disk by the demo"
fi
checked=$((checked + 1))
if "$program" balances "$sample" >&- 2>err; then complain "wrote to a closed stream"; fi
grep -q '^bank: cannot write the balances: ' err || complain "nothing said of a closed stream"

# --- the demo ---

cat >check.py <<'END'
import json, sys

result = json.load(sys.stdin)
wanted = """transfers declined seconds transfer_p50_us transfer_p99_us screened screen_p50_us
    screen_p99_us worker_restarts jobs_retried longest_turn_us loop_busy loop_stalled stalls
    sum_before sum_after ok""".split()
assert list(result) == wanted, list(result)
assert result["ok"] is True
assert result["sum_before"] == result["sum_after"] == {"EUR": "732.00", "$": "-800.00"}
assert result["transfers"] + result["declined"] == 2000
assert result["declined"] > 0 and result["transfers"] > 1000
assert result["screened"] >= result["transfers"]
assert result["worker_restarts"] >= 1
assert len(result["loop_busy"]) == 2 and all(0 <= busy <= 1 for busy in result["loop_busy"])
assert 0 < result["transfer_p50_us"] <= result["transfer_p99_us"]
assert 0 < result["screen_p50_us"] <= result["screen_p99_us"]
END

# From another folder: the sample books are in the program.
run 0 demo --transfers 2000 --workers 2 --loops 2 --json
python3 check.py <out || complain "the JSON is not what was promised"
grep -q '^100 %  2000 transfers' err || complain "no progress on standard error"
run 0 demo --transfers 500 --workers 1 --loops 1
shows '^accepted  *[0-9]'
shows '^worker restarts    1  (1 killed on purpose)$'
shows '^No money was made or lost, and every request got exactly one answer.$'
run 0 demo --seconds 1 --books "$sample"
shows '^sum after  *732.00 EUR$'
# Whichever limit is reached first ends the demo well.
run 0 demo --seconds 1 --transfers 1000000000
run 0 demo --seconds 3600 --transfers 100
run 0 demo --transfers 1
shows '^worker restarts    1 '

# Clients that find no stack end the demo at once.
began=$(date +%s)
# Each loop has so many stacks of its own, and those of others cannot help out.
run 1 demo --transfers 300 --grove-stacks-max=20 --grove-loops=2 --grove-lend=0
grep -q '^bank: the demo: cannot .*: every stack is taken' "$scratch/err" \
    || complain "nothing said of missing stacks"
[ $(($(date +%s) - began)) -lt 30 ] || complain "waited for clients that cannot run"

echo "$checked runs checked, $failed failures"
[ "$failed" -eq 0 ]
