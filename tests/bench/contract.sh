#!/bin/sh
# Runs one benchmark and holds its line against the contract: figures, keys, a check that passed.
#
#   contract.sh PROGRAM OPS "KEY…" BENCH ARGUMENT…
#
# OPS is what must have been done, KEY… the names of its own keys. Nothing here looks at speed.
set -eu

program=$1
ops=$2
keys=$3
shift 3

line=$("$program" "$@")
echo "$line"

fail() {
    echo "FAIL: $*" >&2
    exit 1
}

[ "$(printf '%s\n' "$line" | wc -l)" -eq 1 ] || fail "it is more than one line"
printf '%s\n' "$line" | grep -Eq '^[0-9]+ [0-9]+\.[0-9]+ [0-9]+( [a-z0-9_]+=[a-z0-9._-]+)*$' ||
    fail "it is not: ops seconds peak_rss_kb key=value…"

# shellcheck disable=SC2086 # The words of the line.
set -- $line
[ "$1" = "$ops" ] || fail "$ops operations were asked for"
[ "$3" -gt 0 ] || fail "no memory"
for key in $keys; do
    case " $line " in
    *" $key="*) ;;
    *) fail "the key $key is missing" ;;
    esac
done
case " $line " in
*" check=ok "*) ;;
*) fail "its own check did not pass" ;;
esac
