# Deliberate bugs in compiled models, sourced by bugs.sh and emulated_bugs.sh, which define
#     target                    of mdlc; $device, of mdl-run
#     compiled FILE OPTION...   makes $scratch/libgood.so
#     changed FROM TO           makes $scratch/libbad.so, with TO for every FROM (Python's regular expressions); false: there is no FROM
# and set $call, a call with mdl-run's arguments.
tests=$(cd "${srcdir:-$(dirname "$0")/../..}/tests" && pwd)
PATH=$(pwd):$PATH
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
failed=0 count=0
cat >"$scratch/attention.mdl" <<'END'
model attention
dim S in 1..256
export fn layer(q: f16[S, 2, 32], k: f16[S, 1, 32], v: f16[S, 1, 32]) -> f16[S, 2, 32] = sdpa(q, k, v, causal)
END

# substitute GOOD BAD FROM TO [KEEP]: a file with TO for every FROM, of the same length if KEEP is given; false: there is no FROM.
substitute() {
    python3 - "$@" <<'PYTHON'
import re, sys
good, bad, old, new = sys.argv[1:5]
keeps = len(sys.argv) > 5
def put(match):
    text = match.expand(new.encode())
    return text + b" " * (len(match.group(0)) - len(text) if keeps else 0)
data = open(good, "rb").read()
changed = re.sub(old.encode(), put, data)
sys.exit(1) if changed == data or (keeps and len(changed) != len(data)) else open(bad, "wb").write(changed)
PYTHON
}

complain() {
    echo "FAIL: $*"
    [ ! -s "$scratch/log" ] || head -5 "$scratch/log"
    failed=$((failed + 1))
}

runs() {
    # shellcheck disable=SC2086,SC2154 # arguments are words
    mdl-run --device="$device" "$1" $call --expect=0="@$scratch/want/0.npy" --rtol=1e-3 --atol=1e-3 >"$scratch/log" 2>&1
}

# model FILE OPTION...: compiles it, has the interpreter of graphs say what its call gives, and sees that it does.
model() {
    compiled "$@" || complain "$* does not compile"
    ln -sf good.weights "$scratch/bad.weights" # where they are a file
    file=$1
    shift
    # shellcheck disable=SC2154
    mdlc --target="$target" "$@" --emit=kernels "$file" -o "$scratch/lowered.mdl"
    # shellcheck disable=SC2086
    mdlc interpret "$scratch/lowered.mdl" $call --output="$scratch/want" >/dev/null || complain "$file is not interpreted"
    runs "$scratch/libgood.so" || complain "$* $call: without a bug it fails"
}

# bug WHAT FROM TO [SAYS]: the run fails, and says so.
bug() {
    count=$((count + 1))
    changed "$2" "$3" || { complain "$1: '$2' is not in the code"; return; }
    if runs "$scratch/libbad.so"; then complain "$1 was not seen"; return; fi
    [ $# -lt 4 ] || grep -q "$4" "$scratch/log" || complain "$1: not said: $4"
}

finish() {
    echo "$count bugs, $failed failures"
    [ $failed = 0 ]
}
