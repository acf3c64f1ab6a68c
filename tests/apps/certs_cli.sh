#!/bin/sh
# What users of `grove certs` see: files, messages, exit codes.
#
#   certs_cli.sh PROGRAM
set -eu

program=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
scratch=$(mktemp -d)
trap 'rm -r "$scratch"' EXIT
failed=0

# run STATUS TEXT ARGUMENTS…: the status, and a text that is printed.
run() {
    wanted=$1
    text=$2
    shift 2
    status=0
    "$program" certs "$@" >"$scratch/out" 2>&1 </dev/null || status=$?
    if [ "$status" -ne "$wanted" ] || ! grep -q -- "$text" "$scratch/out"; then
        failed=$((failed + 1))
        echo "FAILED: grove certs $*: ended with $status, not $wanted, or did not print: $text"
        cat "$scratch/out"
    fi
}

run 0 'usage: grove certs' --help
run 0 'ca.pem and 2 certificates, good for 30 days' "$scratch/usual"
for name in ca.pem server.pem server.key worker.pem worker.key; do
    [ -s "$scratch/usual/$name" ] || { failed=$((failed + 1)); echo "FAILED: no $name"; }
done
[ "$(stat -c %a "$scratch/usual/server.key")" = 600 ] || { failed=$((failed + 1)); echo "FAILED: key can be read"; }
[ ! -e "$scratch/usual/ca.key" ] || { failed=$((failed + 1)); echo "FAILED: the authority's key is kept"; }
run 0 '1 certificates, good for 7 days' "$scratch/own" bank.example --host 10.0.0.1 --days 7
run 1 'is there already' "$scratch/usual"
run 1 'No such file' "$scratch/no/where"
run 2 'say in which folder'
run 2 'there is no flag --fast' "$scratch/a" --fast
run 2 'takes a number from 1 to 3650, not 0' "$scratch/a" --days 0
run 2 'takes a number from 1 to 3650, not nothing' "$scratch/a" --days
run 2 'not ../evil' "$scratch/a" ../evil
run 2 'not a,DNS' "$scratch/a" --host a,DNS
run 2 'not none' "$scratch/a" --host
[ ! -e "$scratch/a" ] || { failed=$((failed + 1)); echo "FAILED: a refused run left a folder"; }

echo "certs_cli: $failed failed"
[ "$failed" -eq 0 ]
