#!/bin/sh
# Makes small random journals and compares `bank balances` with hledger: both must accept or both
# refuse, and what they print must be the same. Equal seeds make equal journals.
#
#   books_random.sh PROGRAM [COUNT [SEED]]
#
# Without hledger it says so and passes, except in CI.
set -eu

program=$1
count=${2:-100}
seed=${3:-1}
export LC_ALL=C.UTF-8 LANG=C.UTF-8

if ! command -v hledger >/dev/null 2>&1; then
    echo "hledger is not installed: nothing compared"
    [ "${CI:-}" != true ] || exit 1
    exit 77
fi

scratch=$(mktemp -d)
trap 'rm -r "$scratch"' EXIT

# A generator of its own, because the one of awk differs from awk to awk.
generate() {
    awk -v seed="$1" '
    function random(n) {
        seed = (seed * 16807) % 2147483647
        return int(seed / 7) % n
    }
    function one_of(text, parts) { return parts[1 + random(split(text, parts, "|"))] }
    function digits(n, text) { for (text = ""; n > 0; n--) text = text random(10); return text }
    function number(kind) {
        kind = random(12)
        if (kind == 0) return (1 + random(99)) one_of(",|.| ") digits(3)
        if (kind == 1) return (1 + random(9)) "," digits(3) "." digits(random(4))
        if (kind == 2) return (1 + random(9)) "." digits(3) "," digits(random(4))
        if (kind == 3) return random(100) "e" random(3)
        return kind < 7 ? random(30) : random(30) "." digits(1 + random(3))
    }
    function amount(symbol) {
        symbol = one_of("$|EUR|A|\"b 2\"|")
        if (symbol == "$") return one_of("|-") symbol number()
        return one_of("|-") number() (symbol == "" ? "" : " " symbol)
    }
    function posting(text) {
        text = "  " one_of("||* ") one_of("a|a:b|a:b:c|x y|e")
        if (random(15) > 0) text = text "  " amount()
        if (random(5) == 0) text = text one_of(" @ | @@ ") amount()
        if (random(20) == 0) text = text "  " one_of("=|==|=*|==*") " " one_of("0|0 A|" amount())
        if (random(12) == 0) text = text "  ; date:2020-02-0" (1 + random(9))
        return text
    }
    function directive() {
        return one_of("commodity $1,000.00|commodity 1.000,0 EUR|D 1000.00 A|decimal-mark ,|" \
            "account a:b:c|account x y|alias e=a:z|apply account top|P 2020-01-01 A $" random(9))
    }
    BEGIN {
        for (i = 0; i < 5; i++) random(2)
        for (n = random(3); n > 0; n--) print directive()
        for (n = 1 + random(3); n > 0; n--) {
            print "\n2020-0" (1 + random(3)) "-1" random(10) one_of("| *| ! (c)") " shop"
            if (random(3) == 0) {
                # Two halves of one amount, perhaps a last digit apart.
                half = random(500)
                print "  a  " half "." random(10) " A\n  e  -" half "." random(10) " A"
            } else {
                for (p = 1 + random(3); p > 0; p--) print posting()
                if (random(4) > 0) print "  rest"
            }
        }
    }'
}

accepted=0
different=0
i=0
while [ "$i" -lt "$count" ]; do
    i=$((i + 1))
    journal=$scratch/$((seed * 1000 + i)).journal
    generate $((seed * 1000 + i)) >"$journal"
    hledger_says=0
    bank_says=0
    hledger -f "$journal" balance -N --flat >"$scratch/wanted" 2>"$scratch/why" || hledger_says=1
    "$program" balances "$journal" >"$scratch/got" 2>>"$scratch/why" || bank_says=$?
    accepted=$((accepted + 1 - hledger_says))
    if [ "$hledger_says" -ne "$bank_says" ] || ! cmp -s "$scratch/wanted" "$scratch/got"; then
        different=$((different + 1))
        echo "DIFFERENT: hledger ends with $hledger_says, bank with $bank_says (hledger <, bank >)"
        cat "$journal" "$scratch/why"
        diff "$scratch/wanted" "$scratch/got" || true
    fi
done

echo "$count journals compared, $accepted of them accepted, $different different"
[ "$different" -eq 0 ]
