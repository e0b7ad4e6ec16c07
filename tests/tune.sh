#!/bin/sh
# mdlc tune: alternatives to every schedule compute the same; what was measured is written, followed, and refused where it is no schedule.
set -u
top=$(cd "${srcdir:-$(dirname "$0")/..}" && pwd)
. "$top/tests/expect.sh"
cd "$dir" || exit 99
TMPDIR=$dir/temporary
export TMPDIR
mkdir "$TMPDIR"
cat >t.mdl <<'END'
model t
dim S in 1..64
param w : f32[96, 64] = normal(std=0.1)
param v : f32[64, 96] = normal(std=0.1)
export fn f(x: f32[S, 64]) {
    h = reshape(x, [S, 2, 32])
    a = reshape(sdpa(h, h, h, causal), [S, 64])
    return linear(silu(linear(a, w)), v)
}
END
passes=$(mdl-opt --list-passes | sed -n 's/^default pipeline: //p')

# alternatives CPU OPTION...: there are some, each is another schedule, and each computes the same.
alternatives() {
    cpu=$1
    shift
    mdlc --mcpu="$cpu" "$@" --emit=kernels t.mdl | sed -n 's/.*\(schedule([^)]*)\).*/\1/p' >derived
    for number in 1 2 3 4 5 6 7 8; do
        changed=$(echo "$passes" | sed "s/schedule/schedule{alternative=$number}/")
        mdlc --mcpu="$cpu" "$@" --passes="$changed" --emit=kernels t.mdl >kernels.mdl
        sed -n 's/.*\(schedule([^)]*)\).*/\1/p' kernels.mdl >other
        cmp -s derived other && break
        gives 0 mdlc --mcpu="$cpu" "$@" --passes="$changed" t.mdl -o libt.so
        [ "$cpu" != native ] && continue
        gives 0 mdl-run libt.so x=random S=37 --expect=0=@"$expected"/0.npy --rtol=1e-3 --atol="$tolerance"
    done
    [ $number -gt 4 ] || fail "$cpu: only $((number - 1)) alternatives"
}
cpus="x86-64 x86-64-v3 znver4 emeraldrapids graniterapids"
grep -q '^SANITIZE = .*-fsanitize' "$build/Makefile" && cpus= # slow there
for precision in f32 bf16 int8; do
    expected=$precision tolerance=1e-5
    [ $precision = f32 ] || tolerance=2e-2
    gives 0 mdlc --precision=$precision --quantize=q4_1 t.mdl -o libt.so
    gives 0 mdl-run libt.so x=random S=37 --output=$precision
    alternatives native --precision=$precision --quantize=q4_1
    for cpu in $cpus; do alternatives $cpu --precision=$precision --quantize=q4_1; done
done

# It measures, and its file can be followed: by name, or as given.
gives 0 mdlc tune --quantize=q4_1 t.mdl x=random S=64
gives 0 mdlc --schedules=t.schedules --quantize=q4_1 t.mdl -o libt.so
gives 0 mdl-run libt.so x=random S=37 --expect=0=@f32/0.npy --rtol=1e-3 --atol=1e-5
gives 0 mdlc tune t.mdl f x=random S=5 -o other.schedules
[ -s other.schedules ] || fail "no file"
[ -z "$(ls "$TMPDIR")" ] || fail "left $(ls "$TMPDIR") behind"

# Lines for any CPU and compiler, or this one's, are followed where the kernel is the same; those for others stay, and change nothing.
lanes=--mcpu=generic # whose contractions are multiply-adds
kernel=$(mdlc $lanes --explain=schedule --emit=kernels t.mdl 2>&1 >/dev/null | sed -n "s/.* remark: schedule: k[0-9]*: contract.* for '\(.*silu.*\)'$/\1/p")
[ -n "$kernel" ] || fail "--explain=schedule does not name the kernel"
line() { printf '%s\t%s\t%s\t%s\tby hand\n' "$@"; }
odd='contract, atom=fma, tile=[3, 32], block=[33, 0, 0], unroll=2'
line '*' '*' "$kernel" "$odd" >hand.schedules
gives 0 mdlc $lanes --schedules=hand.schedules --emit=kernels t.mdl
prints "schedule($odd)"
line z80 '*' "$kernel" "$odd" >other.schedules
line '*' 'mdlc 0.0.1' "$kernel" "$odd" >>other.schedules
line '*' '*' "$kernel." "$odd" >>other.schedules
line '*' '*' "$kernel" 'loops, tile=[1, 8]' >>other.schedules
gives 0 mdlc $lanes --schedules=other.schedules --emit=kernels t.mdl -o with.mdl
gives 0 mdlc $lanes --emit=kernels t.mdl -o without.mdl
cmp with.mdl without.mdl || fail "lines for others are followed"
gives 0 mdlc tune t.mdl x=random S=1 -o other.schedules
grep -q '^z80' other.schedules || fail "a line for another CPU is gone"

# What is wrong is said, with its place; nothing is written.
printf '# a comment\nx\ty\n' >bad.schedules
gives 1 mdlc $lanes --schedules=bad.schedules t.mdl -o libbad.so
says 'bad.schedules:2:1: error: a line of measured schedules is'
line '*' '*' "$kernel" 'contract, tile=6' >bad.schedules
gives 1 mdlc $lanes --schedules=bad.schedules t.mdl -o libbad.so
says 'bad.schedules:1:1: error: '
line '*' '*' "$kernel" 'contract, atom=fma, tile=[99, 32], block=[99, 0, 0]' >bad.schedules
gives 1 mdlc $lanes --schedules=bad.schedules t.mdl -o libbad.so
says 'tile=[99, 32] is not'
gives 2 mdlc tune t.mdl x=random -o bad.schedules
says 'dim S'
line '*' '*' "$kernel" 'contract, atom=none' >bad.schedules
cp bad.schedules before
gives 1 mdlc tune t.mdl x=random S=1 -o bad.schedules
says 'bad.schedules:1:1: error: '
cmp -s bad.schedules before || fail "a failed run changed the file"
[ ! -e libbad.so ] || fail "a library of schedules that cannot be"
gives 3 mdlc --schedules=none.schedules t.mdl
gives 2 mdlc tune --schedules=hand.schedules t.mdl x=random S=1
gives 2 mdlc tune --target=cuda:sm_90a t.mdl x=random S=1
gives 2 mdlc tune
gives 2 mdlc tune - x=random S=1
printf 'model m\nmesh m = <data=2>\nexport fn f(x: f32[4] @m(data)) = exp(x)\n' >mesh.mdl
gives 1 mdlc tune mesh.mdl x=random
says 'has a mesh'
[ $failures -eq 0 ]
