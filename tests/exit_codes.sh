#!/bin/sh
# mdlc and mdl-opt: exit statuses, messages, and files that appear whole or not at all.
set -u
top=$(cd "${srcdir:-$(dirname "$0")/..}" && pwd)
. "$top/tests/expect.sh"
cd "$dir" || exit 99

silent() { [ ! -s out ] || fail "prints although it failed"; }
in_folder() { (cd "$1" && echo *); }
leaves() { [ "$(in_folder made)" = "${*:-*}" ] || fail "left $(in_folder made) instead of $*"; }

mkdir made
cat >good.mdl <<'END'
model good
dim N in 1..8
param w : f32[200, 200] = normal(std=0.1)
export fn f(x: f32[N, 200]) = relu(linear(x, w))
END
cat >bad.mdl <<'END'
model bad
export fn f(x: f32[3], y: f32[4]) = x + y
END
printf 'weights "none.gguf"\nparam w : f32[3]\nexport fn f(x: f32[3]) = x + w\n' >unbound.mdl
printf 'weights "../w.npz"\nparam w : f32[3]\nexport fn f(x: f32[3]) = x + w\n' >outside.mdl

# 0: done.
gives 0 mdlc good.mdl -o made/libgood.so
leaves good.h good.weights libgood.so
rm -f made/*
gives 0 sh -c 'cd made && mdlc ../good.mdl'
leaves good.h good.weights libgood.so
gives 0 mdlc --emit=obj good.mdl -o made/good.o
rm -f made/*
gives 0 mdlc --list-ops
prints 'softmax(x, axis'
gives 0 mdlc --list-cpus
prints x86-64-v3
gives 0 mdlc --list-cpus --target=aarch64-unknown-linux-gnu
prints neoverse-n1
gives 0 mdlc --target=aarch64-linux-gnu --emit=obj good.mdl -o made/good.o
rm -f made/*
gives 0 mdlc --target=cuda:sm_80,sm_90a good.mdl -o made/libgood.so
leaves good.h good.weights libgood.so
rm -f made/*
gives 0 mdlc --target=cpu+cuda:sm_90a good.mdl -o made/libgood.so
gives 0 sh -c 'mdlc --target=cpu+cuda:sm_90a - -o made/libgood.so <good.mdl'
leaves good.h good.sm_90a.weights good.weights libgood.so
gives 0 mdlc --target=cuda:sm_90a,sm_80 --emit=ptx good.mdl
[ "$(sed -n '/^\/\/ sm_/p; s/^\.target //p' out | tr '\n' ' ')" = '// sm_90a sm_90a // sm_80 sm_80 ' ] || fail "not the PTX of each architecture under its name"
MDL_CUDA=./none.so gives 1 mdl-run --device=cuda:0 made/libgood.so x=random N=2
says 'none.so cannot be opened'
gives 0 mdl-run --device=cpu made/libgood.so x=random N=2
rm -f made/*
gives 0 mdlc --list-cpus --target=nvptx64-nvidia-cuda
prints sm_100a
gives 0 mdl-opt --list-passes
prints 'default pipeline: '
for program in mdlc mdl-opt; do
    gives 0 $program --help
    prints 'EXIT STATUS'
    gives 0 $program --version
    gives 0 $program --man
    prints '.SH EXIT STATUS'
    gives 0 $program --bash-completion
done
for kind in graph kernels llvm asm header; do
    gives 0 mdlc --emit=$kind good.mdl
    [ -s out ] || fail "prints nothing"
    cp out text
    gives 0 mdlc --emit=$kind good.mdl -o made/text
    cmp -s text made/text || fail "a file and standard output differ"
done
rm -f made/*
gives 0 sh -c 'mdlc --emit=graph - <good.mdl | mdl-opt --passes=fold,fuse - | mdlc --emit=kernels -'
prints 'kernel k0'
gives 0 mdlc interpret good.mdl x=random N=2
prints '0: f32[2, 200]'
gives 0 mdl-opt --passes=simplify,fuse --explain=fuse --time-passes --verify-each --print-ir-after-change good.mdl
says '# after fuse'
gives 0 mdl-opt --passes=fold,fuse --print-ir-tree=tree good.mdl
[ "$(in_folder tree)" = "00-input.mdl 01-fold.mdl 02-fuse.mdl" ] || fail "wrote $(in_folder tree)"
gives 0 mdl-opt --passes=fold,dce --opt-bisect-limit=1 good.mdl
says 'BISECT: NOT running pass (2) dce on function (f)'

# 1: errors in the input; nothing is written.
for kind in graph kernels llvm asm obj so header; do
    gives 1 mdlc --emit=$kind bad.mdl -o made/bad.so
    says 'bad.mdl:2:39: error: operator +: shapes do not broadcast'
    silent
    leaves
done
gives 1 mdl-opt bad.mdl
gives 1 mdlc interpret bad.mdl
{ echo 'export fn f(x: f32[3]) {'; for i in $(seq 57); do echo "a$i = none"; done; echo 'return x'; echo '}'; } >many.mdl
gives 1 mdlc many.mdl
says 'mdlc: 7 more errors'
gives 1 mdlc unbound.mdl -o made/libunbound.so
says none.gguf
leaves
gives 1 mdlc outside.mdl -o made/liboutside.so
says '--weights=PATH'
leaves
gives 1 mdlc weights bad.mdl
gives 1 mdlc interpret good.mdl x=random N=2 --expect=0=1
gives 1 mdl-opt --load-pass=./none.so good.mdl
says none.so
gives 1 mdlc --dim=N=9 good.mdl -o made/libgood.so
says 'N = 9 is outside 1..8'
leaves

# 3: without the runtime for a machine there is no library, but all else.
mkdir bare
cp "$(command -v mdlc)" bare
gives 3 bare/mdlc --target=aarch64-linux-gnu good.mdl -o made/libgood.so
says '--emit=asm, obj, llvm and header work without it'
gives 0 bare/mdlc --target=aarch64-linux-gnu --emit=header good.mdl
leaves

# 2: the command line.
gives 2 mdlc
says 'no model was given'
gives 2 mdlc --emit=exe good.mdl
gives 2 mdlc --emit=ptx good.mdl
says 'only GPUs have it'
gives 2 mdlc --target=cuda:sm_75 --emit=ptx good.mdl
says "'sm_75' is no architecture that code is made for"
gives 2 mdlc --target=cpu+cuda:sm_90a --emit=llvm good.mdl
says '1 at most'
gives 2 mdlc --target=cuda: good.mdl
says 'needs an architecture'
gives 2 mdlc --mcpu=x86-64-v33 good.mdl
says "did you mean 'x86-64-v3'?"
gives 2 mdlc --target=riscv64-linux-gnu good.mdl
says 'known are cpu, cuda:ARCH,..., x86_64-linux-gnu, aarch64-linux-gnu'
gives 2 mdl-opt --target=emulate:bogus good.mdl
says 'only mdlc emulates'
gives 2 mdl-opt --target=aarch64 good.mdl
says 'known are cpu, cuda:ARCH,..., x86_64-linux-gnu, aarch64-linux-gnu'
gives 2 mdlc --mcpu=neoverse-n1 --target=x86_64-linux-gnu good.mdl
says 'give --target=aarch64-linux-gnu too'
gives 2 mdlc --optimise=2 good.mdl
says 'optimize'
gives 2 mdlc -O7 good.mdl
gives 2 mdlc --precision=f33 good.mdl
gives 2 mdlc --remat=selective good.mdl
says 'not yet supported here'
gives 2 mdlc --seed=x good.mdl
gives 2 mdlc good.mdl bad.mdl
says 'bad.mdl'
gives 2 mdl-opt --passes=fold,fues good.mdl
says "did you mean 'fuse'?"
gives 2 mdl-opt --passes='fuse{min=3}' good.mdl
gives 2 mdlc interpret good.mdl y=1
gives 2 mdlc weights
gives 2 mdlc --emit=so -o - good.mdl

# 3: files.
gives 3 mdlc none.mdl
says 'none.mdl: No such file'
gives 3 mdlc .
gives 3 mdlc good.mdl -o none/libgood.so
says 'No such file'
gives 3 mdlc --emit=graph good.mdl -o none/good.mdl
gives 3 mdlc weights none.gguf
mkfifo unread # whose only reader has gone before mdlc writes
gives 3 sh -c ': <unread & exec 4>unread; wait; mdlc --emit=graph good.mdl >&4'
says 'standard output: Broken pipe'
if [ -w /dev/full ]; then
    for arguments in --help --list-ops --list-passes --emit=graph --emit=kernels --emit=asm --emit=llvm --emit=header; do
        last="mdlc $arguments >/dev/full"
        mdlc $arguments good.mdl >/dev/full 2>err
        [ $? -eq 3 ] || fail "exit status is not 3"
        says 'No space left on device'
    done
    gives 3 sh -c 'mdl-opt good.mdl >/dev/full'
    gives 3 sh -c 'mdlc interpret good.mdl x=random N=1 >/dev/full'
    gives 3 mdlc --emit=graph good.mdl -o /dev/full
    [ -c /dev/full ] || fail "replaced a device by a file"
fi
rm -f made/*

# 70: a pass that dies is named, and what it was given is kept.
cat >dies.c <<'END'
#include <signal.h>
#include <passes/pass.h>
static bool pass_dies(struct graph *g) { return g->nodes >= 0 && raise(SIGSEGV) == 0; }
static const struct pass passes[] = {{"dies", pass_dies, "dies", ""}};
const struct pass_plugin mdl_pass_plugin = {MDL_PASS_ABI, 1, passes};
END
if ${CC:-cc} -D_GNU_SOURCE -I"$top" -shared -fPIC dies.c -o dies.so 2>err && ! nm "$(command -v mdlc)" | grep -q __asan_init; then
    gives 70 env TMPDIR="$dir" mdl-opt --load-pass=./dies.so --passes=fold,dies good.mdl
    says 'internal error in pass dies'
    again=$(sed -n "s|^ *\(mdl-opt --passes=.fold,dies. .* $dir/mdlc-crash-.*\.mdl\)$|\1|p" err)
    [ -n "$again" ] || fail "does not say how to repeat it"
    gives 70 env TMPDIR="$dir" sh -c "$again --load-pass=./dies.so"
    says "# before dies"
fi
[ $failures -eq 0 ]
