#!/bin/sh
# mdl-run on the hand-made model: what it prints, its exit statuses, its files.
set -u
here=$PWD
dir=$(mktemp -d) || exit 99
trap 'rm -rf "$dir"' EXIT
cd "$dir" || exit 99
cp "$here/tests/run/libhandmade.so" . || exit 99
failures=0
unset MDL_WEIGHTS HANDMADE_WEIGHTS

fail() {
    echo "FAIL: $*"
    sed 's/^/    /' out err
    failures=$((failures + 1))
}

# run STATUS ARGUMENT...: mdl-run with the arguments must exit with the status.
run() {
    wanted=$1
    shift
    last="mdl-run $*"
    "$here/mdl-run" "$@" >out 2>err
    status=$?
    [ $status -eq "$wanted" ] || fail "$last: exit status $status, not $wanted"
}
prints() { grep -qF -e "$1" out || fail "$last: does not print '$1'"; }
says() { grep -qF -e "$1" err || fail "$last: does not say '$1'"; }
exists() { [ -e "$1" ] || fail "$last: wrote no $1"; }

run 3 libhandmade.so x=1 ids=1 a=1
says './handmade.weights: No such file'
"$here/tests/run/write_weights" handmade.weights

# Results, states that begin at 7, files and back.
run 0 libhandmade.so mix x=1,2,3 ids=0,1,2 a=2
prints '0: f32[3] = [600 40 2]'
prints '1: i32 = 8'
run 0 libhandmade.so x=1,2,3 ids=0,1,2, a=2 --output=first
[ -s out ] && fail "$last: prints although --output is given"
exists first/0.npy
exists first/1.npy
[ "$(ls first | wc -l)" -eq 2 ] || fail "$last: left more than its results in first"
run 0 libhandmade.so x=@first/0.npy ids=2,1,0 a=1 --expect=0=2,400,60000 --expect=1=8
run 0 libhandmade.so x=@first/0.npy ids=2,1,0 a=1 --expect=0=2,400.3,60000 --rtol=1e-3
run 1 libhandmade.so x=@first/0.npy ids=2,1,0 a=1 --expect=0=2,401,60000 --atol=.5
says 'result 0: 1 of 3 elements differ; the largest difference is 1 at [1]: 400, expected 401'
run 1 libhandmade.so x=@first/0.npy ids=2,1,0 a=1 --expect=0=@first/1.npy
says 'result 0: has shape [3], expected []'

# One result does not depend on the number of threads.
run 0 libhandmade.so x=random ids=random:0..3 a=2 S=999 --threads=1 --output=one --seed=5
run 0 libhandmade.so x=random ids=random:0..3 a=2 S=999 --threads=2 --output=two --seed=5
cmp one/0.npy two/0.npy || fail 'results differ between 1 and 2 threads'
run 0 libhandmade.so x=random ids=random:0..3 a=2 S=999 --seed=6 --output=three
cmp -s one/0.npy three/0.npy && fail 'results do not depend on --seed'
run 0 libhandmade.so scan x=random:5..5 S=4 --expect=1=3
prints '[[[6 7 8 ... 11 12 13]'

run 0 libhandmade.so x=1,2,3 ids=0,1,2 a=2 --stats --threads=2
prints 'for each of 2 threads, states 4096 bytes'
prints 'resident at most: '

# Mistakes, several at once, each with its name.
run 2 libhandmade.so x=1,2 idds=0,1 --expect=0=1
says "function mix has no input 'idds'; did you mean 'ids'?"
says 'input ids of function mix is missing'
says 'input a of function mix is missing'
run 2 libhandmade.so skan x=1
says "there is no function 'skan'; did you mean 'scan'?"
run 1 libhandmade.so x=1,2,3 ids=0,1 a=1
says 'ids has S = 2, but x has S = 3'
run 1 libhandmade.so x=1,2,3 ids=0,1,9 a=1
says 'handmade.mdl:7:22: gather: id 9 is outside 0..4'
run 1 libhandmade.so x=1,2,3 ids=0,1.5,2 a=1
says "input ids: '0,1.5,2' is not a list of type i32"
run 1 libhandmade.so x=1,2,3 ids=0,3000000000,2 a=1
run 1 libhandmade.so x=1,2,3 ids=@first/0.npy a=1
says 'input ids: is f32, but i32 is wanted'
run 1 libhandmade.so x=1,2,3 ids=1,2,3 a=@first/0.npy
says 'input a: has shape [3], but 0 dimensions are wanted'
run 1 libhandmade.so x=random ids=random a=1 S=1001
says 'S = 1001, outside 1..1000'
run 2 libhandmade.so x=random ids=random a=1
says 'dim S is not known from any input: give S=N'
run 2 libhandmade.so x=1 x=2 ids=1 a=1
says 'input x is given twice'
run 2 libhandmade.so x=random:3 ids=1 a=1
run 2 libhandmade.so x=1 ids=1 a=1 --expect=2=1
run 2 libhandmade.so x=1 ids=1 a=1 --expect=1
run 2 libhandmade.so x=1 ids=1 a=1 --tol=1
says 'unknown option --tol; did you mean --rtol?'
run 2 libhandmade.so x=1 ids=1 a=1 --threads=0
run 2
says 'no library was given'
run 3 libnothing.so x=1
run 3 libhandmade.so x=@nothing.npy ids=1 a=1
says 'input x: nothing.npy: No such file'
echo rubbish >rubbish.npy
run 1 libhandmade.so x=@rubbish.npy ids=1 a=1
says 'not an .npy file'
run 3 libhandmade.so x=1 ids=1 a=1 --output=rubbish.npy/sub

# Libraries that are none, are for another machine, or end anywhere before their end.
run 1 rubbish.npy x=1
says 'not a shared library of 64 bits'
run 1 . x=1
cp libhandmade.so foreign.so
printf '\363' | dd of=foreign.so bs=1 seek=18 conv=notrunc 2>/dev/null
run 1 foreign.so x=1
says 'foreign.so: compiled for another kind of machine, but this is'
size=$(stat -c %s libhandmade.so)
for bytes in 0 63 64 1000 4096 8192 $((size / 2)) $((size - 64)) $((size - 1)); do
    head -c "$bytes" libhandmade.so >cut.so
    run 1 cut.so x=1 ids=1 a=1
    [ "$bytes" -lt 64 ] || says 'cut.so: the file is cut short'
done

# Weights: checked when opened, tensors on request.
run 0 libhandmade.so --verify
"$here/tests/run/write_weights" other.weights 8
run 0 libhandmade.so x=1 ids=1 a=1 --weights=other.weights
run 1 libhandmade.so --verify --weights=other.weights
says 'tensor table is damaged: wrong checksum'
"$here/tests/run/write_weights" other.weights 9
MDL_WEIGHTS=other.weights run 1 libhandmade.so x=1 ids=1 a=1
says 'damaged: has 192 bytes, but 384 were written'

# Lists, times, traces, documentation.
run 0 libhandmade.so --list
prints 'fn mix(x: f32[S], ids: i32[S], a: f32) -> f32[S], i32'
prints 'dim S in 1..1000'
prints 'state count: 4 bytes, with initial values'
run 0 libhandmade.so x=1,2 ids=1,2 a=1 --bench=0.01 --trace=t.json
prints 'median'
prints 'k1.scale'
exists t.json
grep -q '"name":"k2.reverse handmade.mdl:9","cat":"kernel","ph":"X"' t.json || fail 'no slice of k2.reverse in the trace'
if command -v python3 >/dev/null; then python3 -m json.tool t.json >/dev/null || fail 'the trace is not JSON'; fi
run 0 --help
prints '--expect=N=VALUE'
run 0 --version
run 0 --man
prints '.SH EXIT STATUS'
run 0 --bash-completion
bash -n out || fail 'the completion is not bash'

[ $failures -eq 0 ]
