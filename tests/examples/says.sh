#!/bin/sh
# Runs an example and looks for lines in what it prints, in this order.
#
#   says.sh PROGRAM [--bad] -- LINE…
#
# A LINE is an extended regular expression for a whole line. Nothing may stand before the first
# and behind the last.
set -eu

program=$1
shift
mode=
if [ "$1" != -- ]; then
    mode=$1
    shift
fi
[ "$1" = -- ]
shift

output=$("$program" ${mode:+"$mode"})
printf '%s\n' "$output"

if ! printf '%s\n' "$output" | head -n 1 | grep -qEx -- "$1"; then
    echo "FAIL: the first line is not \"$1\"" >&2
    exit 1
fi

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
if [ -n "$rest" ]; then
    echo "FAIL: more lines than expected" >&2
    exit 1
fi
