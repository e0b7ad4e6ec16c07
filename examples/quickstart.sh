#!/bin/sh
# From a fresh Debian 12 to text by a compiled language model:  sh examples/quickstart.sh
# As root it installs what is missing. It builds in ./build and keeps the weights in $MDL_CACHE (build/cache).
set -eu
source=$(cd "$(dirname "$0")/.." && pwd)
. "$source/tests/setup.sh"

need_packages
build "$source/build"
fetch_weights "$MDL_CACHE"
cd "$source/build"
echo "compiling SmolLM2"
make -s smollm2
prompt="Once upon a time"
echo "examples/smollm2/generate --prompt=\"$prompt\" --tokens=60"
printf '%s' "$prompt"
examples/smollm2/generate --prompt="$prompt" --tokens=60 --stats
