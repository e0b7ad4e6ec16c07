#!/bin/sh
# The script of make bench-gpu itself, with small extents, on the stand-in. From a build folder.
set -eu
grep -q '^SANITIZE = .*-fsanitize' Makefile && exit 77 # the peers' libraries are not
make -s tests/gpu/bench/bench-gpu tests/gpu/which
export MDL_CUDA="$PWD/tests/gpu/libcuda.so" LD_LIBRARY_PATH="$PWD/tests/gpu"
sh "${srcdir:-$(dirname "$0")/../..}/tests/gpu/bench/bench.sh" --tiny
