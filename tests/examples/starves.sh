#!/bin/sh
# Runs cpu_starvation with --bad and without. On the loop the ticker comes less often, and later,
# than beside the worker process.
#
#   starves.sh PROGRAM
set -eu

fail() {
    echo "FAIL: $*" >&2
    exit 1
}

output=$("$1" --bad; "$1")
printf '%s\n' "$output"
figures=$(printf '%s\n' "$output" |
    sed -n 's/^\([0-9]*\) ticks, late by max \([0-9]*\) us$/\1 \2/p' | tr '\n' ' ')
# shellcheck disable=SC2086 # one word per figure
set -- $figures
[ $# -eq 4 ] || fail "there are $# figures, not two of each run"
[ "$1" -lt "$3" ] || fail "$1 ticks on the loop, $3 beside a worker"
[ "$2" -gt "$4" ] || fail "late by $2 us on the loop, by $4 us beside a worker"
