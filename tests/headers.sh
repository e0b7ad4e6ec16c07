#!/bin/sh
# A model's header compiles as C11 and C++17 with all warnings on, whatever the model's names are; names that cannot be
# kept apart are refused.
set -u
build=$(pwd)
PATH=$build:$PATH
source=$(cd "${srcdir:-$(dirname "$0")/..}" && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
mkdir -p "$scratch/star*" && cd "$scratch/star*" || exit 99
failed=0

# compiles MODEL: as C and, where there is a compiler, as C++. The folder's name must not end a comment.
compiles() {
    mdlc --emit=header -o model.h "$PWD/$1" || { failed=1; return; }
    cp model.h model.hpp
    echo '#include "model.h"' >use.c
    echo '#include "model.h"' >use.cpp
    ${CC:-cc} -std=c11 -Wall -Wextra -Wpedantic -Wshadow -Werror -I"$source" -fsyntax-only use.c || failed=1
    [ -z "$(command -v c++)" ] || c++ -std=c++17 -Wall -Wextra -Wpedantic -Werror -I"$source" -fsyntax-only use.cpp || failed=1
}

cp "$source/examples/mlp/mlp.mdl" "$source"/tests/numeric/*.mdl .
for model in *.mdl; do
    compiles "$model"
done
cat >names.mdl <<'END'
model names
dim N in 1..4
dim int in 1..4
state counter : i64 = zeros
export fn class(result0: f32[N], shape0: f16[N, int], session: bf16, session_: bool[4], int64_t: i8, NULL: f64, linux: u8[N]) {
    return result0 + 1, shape0, linux
}
export fn nothing() = 3.0
END
compiles names.mdl

printf 'model ranks\nmesh m = <data=2>\nexport fn f(x: f32[4] @m(data)) = x + 1\n' >ranks.mdl
compiles ranks.mdl
mdlc -o libranks.so ranks.mdl || failed=1
for name in $(sed -n 's/^[a-z].*\(ranks_[a-z_]*\)(.*/\1/p' model.h); do
    nm -D --defined-only libranks.so | grep -q " T $name\$" || { echo "FAIL: $name is in the header, but not in the library"; failed=1; }
done
grep -q ranks_comm_nccl model.h || { echo "FAIL: no NCCL for a model with a mesh"; failed=1; }

# refused NAME [MESH]: as an exported function's, beside f with its f_shape, in a model with the mesh.
refused() {
    printf 'dim N in 1..4\nexport fn f(x: f32[N]) = x + 1\nexport fn %s(x: f32[4]%s) = x + 1\n%s\n' "$1" "${2:+ @m(data)}" "${2:-}" >refused.mdl
    mdlc -o libx.so refused.mdl 2>err && { echo "FAIL: a function may be named $1"; failed=1; }
    grep -q 'refused.mdl:3:[0-9]*: error: refused_' err || { echo "FAIL: $1: no error with its place"; cat err; failed=1; }
}
for name in open close error session_new session_free session_reset session_save session_load model session descriptor f_shape; do
    refused $name
done
for name in comm_threads comm_open comm_nccl comm_close; do refused $name 'mesh m = <data=2>'; done
exit $failed
