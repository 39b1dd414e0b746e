#!/bin/sh
# test_golden.sh: the shipped model's answers and drawings are the same bytes on every machine.
#
#   test_golden.sh           every tier of this CPU, 1 and 2 threads, against tests/golden.txt
#                            (TSR_TIERS: only these)
#   test_golden.sh --make    prints golden.txt anew from tier ref (make update-golden; see CONTRIBUTING.md: when)
#
# A line of golden.txt: fingerprint of SLEEF's sin, cos, pow and log (`tessera info --kernels`), SHA-256, job. Their
# values are part of the contract, so a SLEEF that has other values needs lines of its own; while it has none, tiers
# are compared with ref, and the test counts as skipped. Of a drawing the pixels are hashed, not the PNG, whose
# bytes depend on zlib's version.
set -u
build=${TSR_BUILDDIR:?}
models=${TSR_SRCDIR:?}/model/mini
golden=$TSR_SRCDIR/tests/golden.txt
work=$(mktemp -d) || exit 99
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 99

# TSR_EMULATOR: starts programs that this system cannot start by itself.
tessera() { ${TSR_EMULATOR:-} "$build/tessera" "$@"; }
pixels() { ${TSR_EMULATOR:-} "$build/tests/pixels" "$@"; }

fingerprint=$(tessera info --kernels | sed -n 's/^math fingerprint *//p')
[ -n "$fingerprint" ] || exit 99

hash_of() {
    printf '%s %s %s\n' "$fingerprint" "$(sha256sum | cut -d ' ' -f 1)" "$1"
}

# results FLAGS...: a line for each job, in the format of golden.txt.
results() {
    for type in Q8_0 F16; do
        model=$models/mini-janus-$type.gguf
        rm -f drawn.png
        tessera describe -m "$model" --image "$models/example.png" "$@" | hash_of "describe-$type"
        tessera draw -m "$model" -p "a small yellow triangle at the top left and a big blue ring in the centre" \
            -o drawn.png -s 42 "$@" >/dev/null
        pixels drawn.png | hash_of "draw-$type"
        printf '/image %s\nHow many objects are there?\nWhat colour is the triangle?\n' "$models/example.png" |
            tessera chat -m "$model" "$@" | hash_of "chat-$type"
    done
}

if [ "${1:-}" = --make ]; then
    results --cpu-isa ref -t 1 >got 2>errors
    [ ! -s errors ] || { cat errors >&2; exit 1; }
    grep -v "^$fingerprint " "$golden"
    cat got
    exit
fi

known=true
grep "^$fingerprint " "$golden" >expected || {
    known=false
    results --cpu-isa ref -t 1 >expected
}
checks=0
bad=0
for tier in ${TSR_TIERS:-ref avx2 avxvnni avx512 avx512x2 amx neon neondot i8mm}; do
    tessera info --cpu --cpu-isa $tier >/dev/null 2>&1 || { echo "skipped: tier $tier (not in this CPU)"; continue; }
    counts='1 2'
    # what takes longest of all that an emulator runs
    [ -z "${QEMU_CPU:-}" ] || [ "$tier" != ref ] || { counts=2; echo "under an emulator: tier ref with 2 threads alone"; }
    for threads in $counts; do
        checks=$((checks + 1))
        results --cpu-isa $tier -t $threads >got 2>errors
        cmp -s expected got && [ ! -s errors ] || {
            bad=$((bad + 1))
            echo "FAIL: tier $tier, $threads threads; expected < and got >:"
            diff expected got
            cat errors
        }
    done
done
echo "$checks checks, $bad failed"
[ $bad = 0 ] || exit 1
$known || { echo "skipped: golden.txt knows no SLEEF with fingerprint $fingerprint; the tiers agree"; exit 77; }
