#!/bin/sh
# Runs an example and looks for lines in what it prints, in this order.
#
#   says.sh PROGRAM [--bad] -- LINE…
#
# A LINE is an extended regular expression for a whole line.
set -eu

program=$1
shift
mode=
if [ "$1" = --bad ]; then
    mode=$1
    shift
fi
[ "$1" = -- ]
shift

output=$("$program" ${mode:+"$mode"})
printf '%s\n' "$output"

rest=$output
for line; do
    # What stands behind the first line that matches.
    at=$(printf '%s\n' "$rest" | grep -nEx -m 1 -- "$line" | cut -d: -f1)
    if [ -z "$at" ]; then
        echo "FAIL: no line \"$line\" where one should be" >&2
        exit 1
    fi
    rest=$(printf '%s\n' "$rest" | tail -n "+$((at + 1))")
done
