#!/bin/sh
# ptx_run: what is understood, what is not and where, and what is no file.
set -u
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
failed=0
complain() {
    echo "$*"
    failed=1
}
cat >"$work/good.ptx" <<'PTX'
.version 8.0
.target sm_80
.address_size 64
.visible .entry one(.param .u64 a, .param .u32 b) .maxntid 96 { .shared .align 4 .b8 s[64]; st.shared.b32 [s], 1; ret; }
.visible .entry two() { exit; }
PTX
sed 's/exit;/exit; wonder.b32 %r1;/' "$work/good.ptx" >"$work/bad.ptx"
tests/gpu/ptx_run "$work/good.ptx" || complain "a good text is refused"
tests/gpu/ptx_run "$work/good.ptx" --list >"$work/list" || complain "a good text is not listed"
cat >"$work/expected" <<'EOF'
one: 3 instructions, 2 parameters, 64 bytes shared, 0 bytes local, at most 96 threads
two: 2 instructions, 0 parameters, 0 bytes shared, 0 bytes local, at most 1024 threads
EOF
diff "$work/expected" "$work/list" || complain "the list is another"
tests/gpu/ptx_run "$work/bad.ptx" 2>"$work/said"
[ $? = 1 ] || complain "a bad text: not status 1"
grep -q '^line 5: no operand\|^line 5: wonder.b32 %r1;: opcode is not known' "$work/said" || complain "a bad text: $(cat "$work/said")"
tests/gpu/ptx_run "$work/none.ptx" 2>"$work/said"
[ $? = 2 ] || complain "no file: not status 2"
exit $failed
