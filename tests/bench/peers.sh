#!/bin/sh
# What bench/peers makes of other programs: grove's own as a second column runs every benchmark,
# one that offers nothing gets dashes, one whose check fails is named and fails the run.
#
#   peers.sh PROGRAM BUILD
set -eu

program=$1
build=$2
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

# peer NAME LINE…: a program of these lines.
peer() {
    name=$1
    shift
    printf '#!/bin/sh\n' >"$folder/$name"
    printf '%s\n' "$@" >>"$folder/$name"
    chmod +x "$folder/$name"
}

# expect STATUS WORDS ARGUMENT…: how it ends, and a part of what it says.
expect() {
    wanted=$1
    words=$2
    shift 2
    status=0
    output=$("$program" --build "$build" --small -n 1 "$@" 2>&1) || status=$?
    case $status,$output in
    "$wanted",*"$words"*) ;;
    *)
        echo "FAIL: \"$*\" ends with $status instead of $wanted, or without \"$words\":"
        echo "$output"
        exit 1
        ;;
    esac
}

# shellcheck disable=SC2016 # $* is the peer's
peer slow 'echo "1000 1000.0 2048 check=ok $*"'
peer poor 'exit 64'
peer wrong 'echo "1000 0.1 2048 check=FAIL"; exit 1'
peer liar 'echo "1000 0.1 2048 check=FAIL"'
# shellcheck disable=SC2016 # $2 is the peer's
peer tenth '[ "$2" = 100 ] && echo "100 0.1 2048"'
# shellcheck disable=SC2016 # $2 is the peer's
peer power '[ "$2" = 100 ] && echo "111 0.1 2048"'

expect 0 "skynet peak_mib" -n 2 "again=$build/bench/grove-bench"
expect 0 "| 1 | - |" -b pingpong "slow=$folder/slow" "poor=$folder/poor"
expect 1 "check=FAIL" -b pingpong "wrong=$folder/wrong"
expect 1 "check=FAIL" -b pingpong "liar=$folder/liar"
expect 0 "| 1000 |" -b pingpong "tenth/10=$folder/tenth"
expect 0 "| 1110 |" -b skynet "power/5=$folder/power"
expect 1 "status 1" -b pingpong "tenth=$folder/tenth"

# What cannot be run, or says nothing that can be read, is named, and the others are still measured.
peer nonsense 'echo one two three'
peer timeless 'echo 1000 0 2048'
# shellcheck disable=SC2016 # $$ is the peer's
peer crashing 'kill -SEGV $$'
expect 1 "$folder/none pingpong 1000: No such file" -b pingpong "none=$folder/none"
expect 1 "nonsense pingpong 1000: no line of the contract: one two three" -b pingpong "odd=$folder/nonsense"
expect 1 "timeless pingpong 1000: no line of the contract: 1000 0 2048" -b pingpong "odd=$folder/timeless"
expect 1 "crashing pingpong 1000: ended by signal 11" -b pingpong "odd=$folder/crashing"
expect 2 "write it as NAME=COMMAND" "empty="
expect 2 "write it as NAME=COMMAND" "none/0=$folder/none"
expect 2 "write it as NAME=COMMAND" "some/many=$folder/none"
expect 2 "write it as NAME=COMMAND" "quote=it's"
expect 2 "what is nothing?" nothing
expect 2 "what is unheard?" -b unheard
