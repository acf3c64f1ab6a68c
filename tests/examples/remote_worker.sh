#!/bin/sh
# remote_worker.sh GROVE EXAMPLE SAYS: makes certificates, and runs the example with them.
folder=$(mktemp -d) || exit 1
trap 'rm -rf "$folder"' EXIT
"$1" certs "$folder" >/dev/null || exit 1
"$3" "$2" "$folder" -- '1 machine with 2 workers came, 0 processes are here' \
    '78498 primes below 1000000' 'it has left, and 0 jobs were lost'
