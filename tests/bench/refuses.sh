#!/bin/sh
# What grove-bench will not run: it exits with 64 for an unknown benchmark, with 2 for arguments
# that are wrong, with 1 for a benchmark that does not end, says why in one line on standard error,
# and prints nothing else.
set -u

program=$1
failed=0

# refused STATUS WORDS ARGUMENT…: the status and a part of the line.
refused() {
    wanted=$1
    words=$2
    shift 2
    output=$("$program" "$@" 2>&1 >/dev/null)
    status=$?
    shown=$("$program" "$@" 2>/dev/null)
    if [ "$status" -ne "$wanted" ]; then
        echo "FAIL: \"$*\" exits with $status, not $wanted"
        failed=1
    fi
    if [ "$(printf '%s\n' "$output" | wc -l)" -ne 1 ] || [ -n "$shown" ]; then
        echo "FAIL: \"$*\" must print one line on standard error only"
        failed=1
    fi
    case $output in
    *"$words"*) ;;
    *)
        echo "FAIL: \"$*\" says \"$output\" without \"$words\""
        failed=1
        ;;
    esac
}

refused 64 "pingpong" unheard-of
refused 64 "pingpong"
refused 2 "ROUND_TRIPS" pingpong many
refused 2 "ROUND_TRIPS" pingpong 0
refused 2 "ROUND_TRIPS" pingpong -5
refused 2 "ROUND_TRIPS" pingpong 99999999999999999999
refused 2 "ROUND_TRIPS" pingpong 12x
refused 2 "ROUND_TRIPS" pingpong ""
refused 2 "ACTORS HOPS" ring 10
refused 2 "ACTORS HOPS" ring 10 10 10
refused 2 "GREENLETS" parked 0
refused 2 "AT_ONCE" offload 10 0 10
refused 2 "TELLERS" bank 10 5000 10
refused 2 "LEAVES" skynet 9
refused 2 "MESSAGES" xstream 1000000001
refused 2 "PRODUCERS" fanin 65537 100000
refused 1 "CALLS must be at least CLIENTS" call 20 19
refused 1 "MESSAGES must be at least PRODUCERS" fanin 8 7
BENCH_SECONDS_MAX=soon refused 2 "BENCH_SECONDS_MAX" pingpong 10

# What was under way is not given back: by one that lacks a loop, and by one that is not over when it
# should be, as if a message had been lost.
export ASAN_OPTIONS="${ASAN_OPTIONS:-}:detect_leaks=0"
GROVE_LOOPS=1 refused 1 "GROVE_ON_LOOP(0)" xping 10
export BENCH_SECONDS_MAX=0
refused 1 "not over after 0 s" pingpong 1000000000
refused 1 "ETIMEDOUT" xping 1000000000
exit $failed
