#!/bin/sh
# mdl-run on the hand-made model: what it prints, its exit statuses, its files.
set -u
. "${srcdir:-$(dirname "$0")/../..}/tests/expect.sh"
cd "$dir" || exit 99
cp "$build/tests/run/libhandmade.so" . || exit 99
unset MDL_WEIGHTS HANDMADE_WEIGHTS
exists() { [ -e "$1" ] || fail "wrote no $1"; }

gives 3 mdl-run libhandmade.so x=1 ids=1 a=1
says './handmade.weights: No such file'
"$build/tests/run/write_weights" handmade.weights

# Results, states that begin at 7, files and back.
gives 0 mdl-run libhandmade.so mix x=1,2,3 ids=0,1,2 a=2
prints '0: f32[3] = [600 40 2]'
prints '1: i32 = 8'
gives 0 mdl-run libhandmade.so x=1,2,3 ids=0,1,2, a=2 --output=first
[ -s out ] && fail "prints although --output is given"
exists first/0.npy
exists first/1.npy
[ "$(ls first | wc -l)" -eq 2 ] || fail "left more than its results in first"
gives 0 mdl-run libhandmade.so x=@first/0.npy ids=2,1,0 a=1 --expect=0=2,400,60000 --expect=1=8
gives 0 mdl-run libhandmade.so x=@first/0.npy ids=2,1,0 a=1 --expect=0=2,400.3,60000 --rtol=1e-3
gives 1 mdl-run libhandmade.so x=@first/0.npy ids=2,1,0 a=1 --expect=0=2,401,60000 --atol=.5
says 'result 0: 1 of 3 elements differ; the largest difference is 1 at [1]: 400, expected 401'
gives 1 mdl-run libhandmade.so x=@first/0.npy ids=2,1,0 a=1 --expect=0=@first/1.npy
says 'result 0: has shape [3], expected []'

# One result does not depend on the number of threads.
gives 0 mdl-run libhandmade.so x=random ids=random:0..3 a=2 S=999 --threads=1 --output=one --seed=5
gives 0 mdl-run libhandmade.so x=random ids=random:0..3 a=2 S=999 --threads=2 --output=two --seed=5
cmp one/0.npy two/0.npy || fail 'results differ between 1 and 2 threads'
gives 0 mdl-run libhandmade.so x=random ids=random:0..3 a=2 S=999 --seed=6 --output=three
cmp -s one/0.npy three/0.npy && fail 'results do not depend on --seed'
gives 0 mdl-run libhandmade.so scan x=random:5..5 S=4 --expect=1=3
prints '[[[6 7 8 ... 11 12 13]'

gives 0 mdl-run libhandmade.so x=1,2,3 ids=0,1,2 a=2 --stats --threads=2
prints 'for each of 2 threads, states 4096 bytes'
prints 'resident at most: '

# Mistakes, several at once, each with its name.
gives 2 mdl-run libhandmade.so x=1,2 idds=0,1 --expect=0=1
says "function mix has no input 'idds'; did you mean 'ids'?"
says 'input ids of function mix is missing'
says 'input a of function mix is missing'
gives 2 mdl-run libhandmade.so skan x=1
says "there is no function 'skan'; did you mean 'scan'?"
gives 1 mdl-run libhandmade.so x=1,2,3 ids=0,1 a=1
says 'ids has S = 2, but x has S = 3'
gives 1 mdl-run libhandmade.so x=1,2,3 ids=0,1,9 a=1
says 'handmade.mdl:7:22: gather: id 9 is outside 0..4'
gives 1 mdl-run libhandmade.so x=1,2,3 ids=0,1.5,2 a=1
says "input ids: '0,1.5,2' is not a list of type i32"
gives 1 mdl-run libhandmade.so x=1,2,3 ids=0,3000000000,2 a=1
gives 1 mdl-run libhandmade.so x=1,2,3 ids=@first/0.npy a=1
says 'input ids: is f32, but i32 is wanted'
gives 1 mdl-run libhandmade.so x=1,2,3 ids=1,2,3 a=@first/0.npy
says 'input a: has shape [3], but 0 dimensions are wanted'
gives 1 mdl-run libhandmade.so x=random ids=random a=1 S=1001
says 'S = 1001, outside 1..1000'
gives 2 mdl-run libhandmade.so x=random ids=random a=1
says 'dim S is not known from any input: give S=N'
gives 2 mdl-run libhandmade.so x=1 x=2 ids=1 a=1
says 'input x is given twice'
gives 2 mdl-run libhandmade.so x=random:3 ids=1 a=1
gives 2 mdl-run libhandmade.so x=1 ids=1 a=1 --expect=2=1
gives 2 mdl-run libhandmade.so x=1 ids=1 a=1 --expect=1
gives 2 mdl-run libhandmade.so x=1 ids=1 a=1 --tol=1
says 'unknown option --tol; did you mean --rtol?'
gives 2 mdl-run libhandmade.so x=1 ids=1 a=1 --threads=0
gives 2 mdl-run
says 'no library was given'
gives 3 mdl-run libnothing.so x=1
gives 3 mdl-run libhandmade.so x=@nothing.npy ids=1 a=1
says 'input x: nothing.npy: No such file'
echo rubbish >rubbish.npy
gives 1 mdl-run libhandmade.so x=@rubbish.npy ids=1 a=1
says 'not an .npy file'
gives 3 mdl-run libhandmade.so x=1 ids=1 a=1 --output=rubbish.npy/sub
truncate -s 8G large.npy
if ! grep -q '^SANITIZE = .*-fsanitize' "$build/Makefile"; then # sanitizers take more than that for themselves
    gives 70 sh -c 'ulimit -v 4000000; mdl-run libhandmade.so x=@large.npy ids=1 a=1'
    says 'input x: large.npy: out of memory'
    gives 70 sh -c 'ulimit -v 4000000; mdl-run libhandmade.so x=1 ids=1 a=1 --expect=0=@large.npy'
    says '--expect of result 0: large.npy: out of memory'
fi

# Where a file is wanted a FIFO is not waited for.
mkfifo fifo
for arguments in x=@fifo 'x=1 --expect=0=@fifo' 'x=1 --weights=fifo'; do
    gives 3 timeout 20 sh -c "mdl-run libhandmade.so ids=1 a=1 $arguments"
    says 'fifo: not a file'
done
gives 1 timeout 20 mdl-run fifo x=1
says 'fifo: not a compiled model'

# Libraries that are none, are for another machine, or end anywhere before their end.
gives 1 mdl-run rubbish.npy x=1
says 'not a shared library of 64 bits'
gives 1 mdl-run . x=1
cp libhandmade.so foreign.so
printf '\363' | dd of=foreign.so bs=1 seek=18 conv=notrunc 2>/dev/null
gives 1 mdl-run foreign.so x=1
says 'foreign.so: compiled for another kind of machine, but this is'
size=$(stat -c %s libhandmade.so)
for bytes in 0 63 64 1000 4096 8192 $((size / 2)) $((size - 64)) $((size - 1)); do
    head -c "$bytes" libhandmade.so >cut.so
    gives 1 mdl-run cut.so x=1 ids=1 a=1
    [ "$bytes" -lt 64 ] || says 'cut.so: the file is cut short'
done

# Weights: checked when opened, tensors on request.
gives 0 mdl-run libhandmade.so --verify
"$build/tests/run/write_weights" other.weights 8
gives 0 mdl-run libhandmade.so x=1 ids=1 a=1 --weights=other.weights
gives 1 mdl-run libhandmade.so --verify --weights=other.weights
says 'tensor table is damaged: wrong checksum'
"$build/tests/run/write_weights" other.weights 9
MDL_WEIGHTS=other.weights gives 1 mdl-run libhandmade.so x=1 ids=1 a=1
says 'damaged: has 192 bytes, but 384 were written'

# What cannot be printed is said, however it is buffered.
if [ -w /dev/full ]; then
    for buffer in 4096 L 0; do
        for arguments in --list 'x=1 ids=1 a=1'; do
            gives 3 sh -c "ASAN_OPTIONS=verify_asan_link_order=0 stdbuf -o$buffer mdl-run libhandmade.so $arguments >/dev/full"
            says 'mdl-run: standard output: '
        done
    done
fi

# Lists, times, traces, documentation.
gives 0 mdl-run libhandmade.so --list
prints 'fn mix(x: f32[S], ids: i32[S], a: f32) -> f32[S], i32'
prints 'dim S in 1..1000'
prints 'state count: 4 bytes, with initial values'
gives 0 mdl-run libhandmade.so x=1,2 ids=1,2 a=1 --bench=0.01 --trace=t.json
prints 'median'
prints 'k1.scale'
exists t.json
grep -q '"name":"k2.reverse handmade.mdl:9","cat":"kernel","ph":"X"' t.json || fail 'no slice of k2.reverse in the trace'
if command -v python3 >/dev/null; then python3 -m json.tool t.json >/dev/null || fail 'the trace is not JSON'; fi
gives 0 mdl-run --help
prints '--expect=N=VALUE'
gives 0 mdl-run --version
gives 0 mdl-run --man
prints '.SH EXIT STATUS'
gives 0 mdl-run --bash-completion
bash -n out || fail 'the completion is not bash'

[ $failures -eq 0 ]
