#!/bin/sh
# count_instructions.sh [--update]: instructions per tile line of every matmul kernel, against kernels/instructions.tsv.
#
# Timings under emulation say nothing, and a vector that the compiler spills is seen by no test of bits. So the inner
# loops are read from the disassembly: in each function tile_<rows>x<panels> of matmul_t8_<tier> and matmul_t4_<tier>
# the innermost loops that hold dot-product instructions. Their multiply-adds say how many lines of 64 bytes (16 rows
# of 4 codes of 8 bits or 8 codes of 4 bits) an iteration takes for its rows; all instructions of the loops divided by
# these lines are the first figure, vector loads and stores at the stack pointer (spills) the second.
#
# The numbers hold for one compiler, named in the table, at -O2: others skip (exit 77). A number that is not the
# recorded one fails; when it is meant, --update writes the table for the architecture built, other rows stay.
set -eu
top=${TSR_SRCDIR:-$(cd "$(dirname "$0")/.." && pwd)}
build=${TSR_BUILDDIR:-$PWD}
table=$top/kernels/instructions.tsv
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

skip() {
    echo "skipped: $*"
    exit 77
}

flags=$(sed -n 's/^CFLAGS = //p' "$build/Makefile")
objdump=$(sed -n 's/^OBJDUMP = //p' "$build/Makefile")
command -v "${objdump:-objdump}" >/dev/null 2>&1 || skip "no objdump for this host; package binutils has it"
case " $flags " in
*" -fsanitize"* | *" -O0 "* | *" -O1 "* | *" -O3 "* | *" -Os "*) skip "the table holds for -O2, not for: $flags" ;;
*" -O2 "*) ;;
*) skip "the table holds for -O2, not for: $flags" ;;
esac

# The object that goes into the shared library, or the only one.
objects() {
    find "$build/kernels" -path '*/.libs/*matmul_t[48]_*.o' | sort >"$work/objects"
    [ -s "$work/objects" ] || find "$build/kernels" -name '*matmul_t[48]_*.o' | sort >"$work/objects"
    grep -v '_ref\.o' "$work/objects" || true
}

# One line per tile: tier, operator, tile, instructions and spills per line.
count() {
    "$objdump" -d --no-show-raw-insn "$1" | awk -v tier="$2" -v op="$3" '
        function macs(name, operands) { # multiply-adds of one instruction that count as a dot, else 0
            if (name ~ /^(\{vex\})?v?pdpbusd$/) return operands ~ /zmm/ ? 64 : 32
            if (name == "vpmaddubsw") return op == "matmul_t8" ? 16 : 32 # t8 takes two, one a nibble
            if (name ~ /^sm(ull|lal|lsl)2?$/) return operands ~ /\.8h/ ? 8 : 0
            if (name == "sdot" || name == "usdot") return 16
            return name == "usmmla" ? 32 : 0
        }
        function finish(  i, j, k, inner, instructions, work, spills, lines) {
            if (!tile) return
            for (i = 0; i < loops; i++) {
                inner = 1
                for (j = 0; j < loops && inner; j++)
                    if (j != i && from[j] >= from[i] && to[j] <= to[i] && total[to[j]] - total[from[j] - 1] > 0 &&
                        (from[j] != from[i] || to[j] < to[i]))
                        inner = 0
                if (!inner || total[to[i]] - total[from[i] - 1] == 0) continue
                instructions += to[i] - from[i] + 1
                work += total[to[i]] - total[from[i] - 1]
                for (k = from[i]; k <= to[i]; k++) spills += spill[k]
            }
            split(tile, shape, "x")
            lines = work / (shape[1] * (op == "matmul_t8" ? 64 : 128))
            if (lines == 0) printf "%s\t%s\t%s\tno-loop\t-\n", tier, op, tile
            else printf "%s\t%s\t%s\t%.2f\t%.2f\n", tier, op, tile, instructions / lines, spills / lines
        }
        /^[0-9a-f]+ <.*>:$/ {
            finish()
            name = $2; gsub(/[<>:]/, "", name)
            tile = name ~ /^tile_[0-9]+x[0-9]+$/ ? substr(name, 6) : ""
            n = loops = 0; total[0] = 0; delete at
            next
        }
        tile && /^ *[0-9a-f]+:/ {
            address = $1; sub(":", "", address)
            line = $0; sub(/^[^\t]*\t/, "", line); sub(/^\{vex\} +/, "", line)
            split(line, part, /[ \t]+/)
            mnemonic = part[1]; operands = substr(line, length(mnemonic) + 1)
            at[address] = ++n
            total[n] = total[n - 1] + macs(mnemonic, operands)
            spill[n] = (operands ~ /[xyz]mm/ && operands ~ /\(%rsp|\(%rbp/) || (operands ~ /(^|[ \t,])[qd][0-9]+,/ && operands ~ /\[sp/)
            if (mnemonic ~ /^(j[a-z]+|b|b\.[a-z]+|cbn?z|tbn?z)$/ && match(line, /[0-9a-f]+ <tile_[^>]*>/)) {
                target = substr(line, RSTART, RLENGTH); sub(/ .*/, "", target)
                if (target in at) { from[loops] = at[target]; to[loops++] = n }
            }
        }
        END { finish() }'
}

compiler() { grep -a -o 'GCC: ([^)]*) [0-9]*\.[0-9]*' "$1" | head -n 1 | sed 's/.*(\([A-Za-z]*\) .*) /\1 gcc /'; }

# Rows of the table and rows found must be the same.
compare() {
    awk -F'\t' -v OFS='\t' '
        NR == FNR { found[$1 OFS $2 OFS $3] = $4 OFS $5; tier[$1]; next }
        /^#/ || !($1 in tier) { next }
        {
            key = $1 OFS $2 OFS $3
            if (found[key] != $4 OFS $5)
                { print $1, $2, $3 ": recorded", $4, $5 ", found", key in found ? found[key] : "nothing"; bad = 1 }
            delete found[key]
        }
        END { for (key in found) { print key ": not in the table"; bad = 1 }; exit bad }' "$work/found" "$1"
}

first=$(objects | head -n 1)
[ -n "$first" ] || { echo "no matmul kernels under $build/kernels" >&2; exit 1; }
recorded=$(sed -n 's/^# compiler: *//p' "$table")
[ "$(compiler "$first")" = "$recorded" ] || skip "the table holds for $recorded, not for $(compiler "$first")"

for object in $(objects); do
    stem=${object##*matmul_t}
    stem=${stem%.o}
    count "$object" "${stem#*_}" "matmul_t${stem%%_*}"
done | sort >"$work/found"

if [ "${1:-}" = --update ]; then
    awk -F'\t' 'NR == FNR { tier[$1]; next } /^#/ || !($1 in tier)' "$work/found" "$table" >"$work/table"
    { grep '^#' "$work/table"; { grep -v '^#' "$work/table" || true; cat "$work/found"; } | sort; } >"$work/new"
    cp "$work/new" "$table"
    echo "written: $table"
    exit 0
fi

if ! compare "$table"; then
    echo "if the change is meant: TSR_BUILDDIR=$build tests/count_instructions.sh --update, in the source folder"
    exit 1
fi
# The comparison must be able to fail: one more instruction in one row.
awk -F'\t' -v OFS='\t' -v tier="$(head -n 1 "$work/found" | cut -f1)" '$1 == tier && !done { $4 += 1; done = 1 } { print }' \
    "$table" >"$work/planted"
if compare "$work/planted" >/dev/null; then
    echo "a planted difference was not found" >&2
    exit 1
fi
echo "$(wc -l <"$work/found") tiles as recorded"
