#!/bin/sh
# ptx_run: what is understood, what is not and where, and what is no file.
set -u
. "${srcdir:-$(dirname "$0")/../..}/tests/expect.sh"
cat >"$dir/good.ptx" <<'PTX'
.version 8.0
.target sm_80
.address_size 64
.visible .entry one(.param .u64 a, .param .u32 b) .maxntid 96 { .shared .align 4 .b8 s[64]; st.shared.b32 [s], 1; ret; }
.visible .entry two() { exit; }
PTX
sed 's/exit;/exit; wonder.b32 %r1;/' "$dir/good.ptx" >"$dir/bad.ptx"
gives 0 tests/gpu/ptx_run "$dir/good.ptx"
gives 0 tests/gpu/ptx_run "$dir/good.ptx" --list
cat >"$dir/expected" <<'EOF'
one: 3 instructions, 2 parameters, 64 bytes shared, 0 bytes local, at most 96 threads
two: 2 instructions, 0 parameters, 0 bytes shared, 0 bytes local, at most 1024 threads
EOF
diff "$dir/expected" "$dir/out" || fail "the list is another"
gives 1 tests/gpu/ptx_run "$dir/bad.ptx"
grep -q '^line 5: no operand\|^line 5: wonder.b32 %r1;: opcode is not known' "$dir/err" || fail "does not say what is wrong"
gives 2 tests/gpu/ptx_run "$dir/none.ptx"
[ $failures -eq 0 ]
