#!/bin/sh
# Runs an example with --bad. The stall watch reports the function that holds up the loop, with its
# line, and gives advice.
#
#   stalls.sh PROGRAM FUNCTION FILE
set -eu

said=$(GROVE_STALL=warn GROVE_STALL_MS=25 "$1" --bad 2>&1 >/dev/null)
printf '%s\n' "$said"

# says EXPRESSION: a whole line of the report.
says() {
    if ! printf '%s\n' "$said" | grep -qEx -- "$1"; then
        echo "FAIL: no line \"$1\" on standard error" >&2
        exit 1
    fi
}

says '.* warn stall loop=[0-9]+ actor=[^ ]+ .*ms=[0-9]+ limit_ms=25 kind=blocked'
says "  (at  |from) $2 at .*$3:[0-9]+"
says '  do   .*'
