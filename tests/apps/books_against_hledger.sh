#!/bin/sh
# Compares `bank balances` with hledger, byte for byte: whole journals, journals up to a date, and
# the CSV form. Reads every journal beside this script, the sample, and published ones if a folder
# ../shared/data lies next to the checkout.
#
#   books_against_hledger.sh PROGRAM
#
# Without hledger it says so and passes, except in CI.
set -eu

program=$1
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
export LC_ALL=C.UTF-8 LANG=C.UTF-8

if ! command -v hledger >/dev/null 2>&1; then
    echo "hledger is not installed: nothing compared"
    [ "${CI:-}" != true ] || exit 1
    exit 77
fi

scratch=$(mktemp -d)
trap 'rm -r "$scratch"' EXIT
failed=0
compared=0

# compare NAME: the files wanted and got of the scratch folder.
compare() {
    compared=$((compared + 1))
    if ! cmp -s "$scratch/wanted" "$scratch/got"; then
        echo "DIFFERENT: $1 (hledger <, bank >)"
        diff "$scratch/wanted" "$scratch/got" || failed=$((failed + 1))
    fi
}

# Turns hledger's CSV into ours: points as decimal marks, quotes only where needed, no zeros.
csv_like_ours() {
    awk -F '","' '
        function field(text) { return text ~ /[,"]/ ? "\"" text "\"" : text }
        NR == 1 { print "account,commodity,amount"; next }
        { sub(/^"/, "", $1); sub(/"$/, "", $3); sub(/,/, ".", $3) }
        $3 != "0" { print field($1) "," field($2) "," $3 }'
}

for journal in "$here"/books/*.journal "$root"/apps/bank/books/*.journal \
    "$root"/../shared/data/*.journal; do
    [ -f "$journal" ] || continue

    hledger -f "$journal" balance -N --flat >"$scratch/wanted"
    "$program" balances "$journal" >"$scratch/got"
    compare "$journal"

    hledger -f "$journal" balance -N --flat --layout bare -O csv | csv_like_ours >"$scratch/wanted"
    "$program" balances --csv "$journal" >"$scratch/got"
    compare "$journal --csv"

    # hledger's end date is exclusive, ours inclusive.
    for dates in 2008-02-01/2008-02-02 2019-03-03/2019-03-04 2020-01-03/2020-01-04 \
        2020-02-03/2020-02-04 2024-02-29/2024-03-01; do
        hledger -f "$journal" balance -N --flat -e "${dates#*/}" >"$scratch/wanted"
        "$program" balances --at "${dates%/*}" "$journal" >"$scratch/got"
        compare "$journal --at ${dates%/*}"
    done
done

echo "$compared reports compared, $failed different"
[ "$failed" -eq 0 ] && [ "$compared" -gt 0 ]
