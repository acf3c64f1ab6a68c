#!/bin/sh
# Gives an example arguments that it does not know. It prints one line of usage on standard error,
# nothing on standard output, and exits 2.
#
#   usage.sh PROGRAM
set -eu

# refuses ARGUMENT…
refuses() {
    status=0
    said=$("$program" "$@" 2>&1 >"$shown") || status=$?
    printf '%s: exit %d, %s\n' "$*" "$status" "$said"
    if [ "$status" -ne 2 ] || [ -s "$shown" ] ||
        [ "$said" != "usage: ${program##*/} [--bad]" ]; then
        echo "FAIL: this is not one line of usage and exit 2" >&2
        exit 1
    fi
}

program=$1
shown=$(mktemp)
trap 'rm -f "$shown"' EXIT
refuses --worse
refuses --bad --bad
refuses ""
