#!/bin/sh
# test_bench.sh: the benchmarks print what docs/bench.md says, as JSON that another program can read, and judge a
# run against a saved one. Nothing here depends on how fast the machine is.
set -u
program=${TSR_BUILDDIR:?}/tessera
fixtures=${TSR_SRCDIR:?}/tests/fixtures
work=$(mktemp -d) || exit 99
trap 'rm -rf "$work"' EXIT
bad=0

fail() {
    bad=$((bad + 1))
    echo "FAIL: $*"
}

# has FILE PATTERN...: each pattern is in the file
has() {
    file=$1
    shift
    for pattern; do
        grep -q -- "$pattern" "$file" || fail "no $pattern in $(basename "$file")"
    done
}

"$program" bench limits -r 1 -t 1 --json >"$work/limits.json" || fail "bench limits: exit $?"
has "$work/limits.json" '"threads": 1' '"read": [0-9.]*e+' '"f32": [0-9.]*e+' '"int8": [0-9.]*e+' '"hand-off us": ' '"one core taken": '

"$program" bench kernels --filter add -r 1 -t 1 --json >"$work/new.json" || fail "bench kernels: exit $?"
has "$work/new.json" '"op": "add"' '"share": ' '"waited": '

# a saved run that was a thousand times faster or slower (the share is a number with a decimal point or exponent)
sed 's/"share": .*,/"share": 1000.0,/' "$work/new.json" >"$work/fast.json"
sed 's/"share": .*,/"share": 0.000001,/' "$work/new.json" >"$work/slow.json"
"$program" bench kernels --filter add -r 1 -t 1 --compare "$work/slow.json" >/dev/null 2>"$work/err" ||
    fail "slower before: exit $?"
has "$work/err" '^faster  add' '0 slower, 1 faster'
"$program" bench kernels --filter add -r 1 -t 1 --compare "$work/fast.json" >/dev/null 2>"$work/err"
[ $? = 1 ] || fail "slower now is not exit 1"
has "$work/err" '^SLOWER  add' '1 slower, 0 faster'
"$program" bench kernels --filter add -r 1 -t 1 --compare "$work/limits.json" >/dev/null 2>&1
[ $? = 4 ] || fail "comparing with a file without kernels is not exit 4"

"$program" convert "$fixtures/janus-a-f32" -o "$work/a.gguf" --type f32 >/dev/null 2>&1 || fail "convert: exit $?"
"$program" bench model -m "$work/a.gguf" -r 1 -n 8 -t 1 --json >"$work/model.json" || fail "bench model: exit $?"
has "$work/model.json" '"test": "pp' '"test": "tg8"' '"test": "ie"' '"test": "ig' '"test": "vd"' \
    '"test": "image"' '"test": "image4"' '"share": [0-9.e-]*[1-9]' '"peak_rss": [1-9]' '"open": [0-9.]*[1-9]'

# a filter takes names as they are printed, and one that fits none is told before anything is measured
"$program" bench model -m "$work/a.gguf" -r 1 -n 8 -t 1 --filter tg8 >"$work/out" || fail "bench model --filter: exit $?"
has "$work/out" ' tg8 '
! grep -q ' pp' "$work/out" || fail "--filter tg8 ran pp, too"
"$program" bench model -m "$work/a.gguf" --filter tg128x >"$work/out" 2>"$work/err"
[ $? = 2 ] || fail "a filter without a test is not exit 2"
has "$work/err" '^tessera: --filter tg128x: .* pp[0-9]* tg[0-9]* ie ig[0-9]* vd image image4$'
[ ! -s "$work/out" ] || fail "a filter without a test prints a table"
"$program" bench kernels --filter addx >"$work/out" 2>"$work/err"
[ $? = 2 ] || fail "a filter without an operator is not exit 2"
has "$work/err" '^tessera: --filter addx: '
[ ! -s "$work/out" ] || fail "a filter without an operator prints a table"

# whatever parses JSON here
if command -v python3 >/dev/null; then
    for file in limits new model; do
        python3 -m json.tool "$work/$file.json" >/dev/null || fail "$file.json is no JSON"
    done
fi

[ $bad = 0 ] && echo "bench: all good"
exit $((bad > 0))
