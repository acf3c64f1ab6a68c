#!/bin/sh
# Runs cpu_starvation both ways. Each prints its figures; on the loop the ticker is later than
# beside the worker process.
#
#   starves.sh PROGRAM
set -eu

# late_at_most ARGUMENT…: the figure of the line, which must be the only one.
late_at_most() {
    line=$("$program" "$@")
    echo "$line" >&2
    figure=$(printf '%s\n' "$line" |
        sed -n 's/^[0-9]* ticks, late by p50 -\{0,1\}[0-9]* us, max \([0-9]*\) us$/\1/p')
    if [ -z "$figure" ]; then
        echo "FAIL: this line has no figures" >&2
        exit 1
    fi
    echo "$figure"
}

program=$1
worker=$(late_at_most)
bad=$(late_at_most --bad)
if [ "$bad" -le "$worker" ]; then
    echo "FAIL: late by $bad us on the loop, by $worker us beside a worker" >&2
    exit 1
fi
