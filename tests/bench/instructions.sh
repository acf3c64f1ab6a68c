#!/bin/sh
# What bench/instructions makes of what it counts, with a valgrind that is told the costs: growth
# fails, shrinking passes with advice, another compiler and a missing valgrind are skipped.
#
#   instructions.sh PROGRAM
set -eu

program=$1
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

# Starts dear, then costs what stands in the file for every operation.
cat >"$folder/valgrind" <<FAKE
#!/bin/sh
for ops; do :; done
echo "\$ops 0.1 100 check=ok"
echo "==1== Collected : \$((1000000 + \$(cat $folder/cost) * ops))" >&2
FAKE
chmod +x "$folder/valgrind"

# built_with FLAG: as if the tree had been built so.
built_with() {
    echo "[{\"command\": \"cc $1 -c sched.c\", \"file\": \"../runtime/sched.c\"}]" \
        >"$folder/compile_commands.json"
}

# expect STATUS WORDS ARGUMENT…: how it ends, and a part of what it says.
expect() {
    wanted=$1
    words=$2
    shift 2
    status=0
    output=$("$program" --build "$folder" --record "$folder/record" --valgrind "$folder/valgrind" "$@" 2>&1) || status=$?
    case $status,$output in
    "$wanted",*"$words"*) ;;
    *)
        echo "FAIL: \"$*\" ends with $status instead of $wanted, or without \"$words\":"
        echo "$output"
        exit 1
        ;;
    esac
}

built_with -O2
echo 1000 >"$folder/cost"
expect 77 "recorded with" --check
expect 0 "not recorded" --write
grep -q '^message *1000 ' "$folder/record" || {
    echo "FAIL: not written:"
    cat "$folder/record"
    exit 1
}
expect 0 "+0.0%" --check
echo 1040 >"$folder/cost"
expect 0 "+4.0%" --check
echo 1060 >"$folder/cost"
expect 1 "+6.0%  too much" --check message
expect 0 "+6.0%  too much" message
echo 900 >"$folder/cost"
expect 0 "less: record it" --check
built_with -O3
expect 77 "here is" --check
built_with -O2
expect 77 "no valgrind" --check --valgrind "$folder/none"
expect 2 "no valgrind" --valgrind "$folder/none"
expect 2 "nothing is built" --check --build "$folder/none"
expect 2 "there are: message" unheard
