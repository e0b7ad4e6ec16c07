#!/bin/sh
# A plug-in is built against installed headers alone, runs among our passes, and is refused when its version differs.
set -eu
srcdir=${srcdir:-.}
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
fail() { echo "FAIL: $1"; exit 1; }

prefix=$(sed -n 's/^prefix=//p' mdlc.pc)
${MAKE:-make} -s install-irincludeHEADERS install-passesincludeHEADERS install-pkgconfigDATA DESTDIR="$root" >/dev/null
cp "$srcdir/examples/plugin/mixed.c" "$srcdir/examples/plugin/Makefile" "$root"
export PKG_CONFIG_PATH="$root$prefix/lib/pkgconfig"
# In the folder of the plug-in nothing of the source tree is near.
${MAKE:-make} -s -C "$root" PKG_CONFIG="pkg-config --define-variable=prefix=$root$prefix" CFLAGS='-Wall -Wextra -Werror' \
    || fail "it does not build"

cat > "$root/m.mdl" <<'MODEL'
model m
dim S in 1..8
param w : f32[4, 64] = ones
param u : f32[4, 4] = ones
export fn f(x: f32[S, 64]) -> f32[S, 4] = linear(linear(x, w), u)
MODEL
./mdl-opt --load-pass="$root/mixed.so" --list-passes | grep -q '^mixed .*{min=512}' || fail "it is not listed"
./mdl-opt --load-pass="$root/mixed.so" --passes='simplify,mixed{min=32},dce' --verify-each "$root/m.mdl" > "$root/out.mdl"
[ "$(grep -c 'compute=bf16' "$root/out.mdl")" = 1 ] || fail "it did not change the one contraction it should"
./mdl-opt --load-pass="$root/mixed.so" --passes='mixed{min=32}' --explain=mixed "$root/m.mdl" 2>&1 >/dev/null |
    grep -q 'remark: mixed: linear of 64 inputs' || fail "it does not explain itself"
./mdl-opt --load-pass="$root/mixed.so" --passes='mixed{max=1}' "$root/m.mdl" 2>"$root/err" && fail "an unknown option passes"
grep -q "mixed has no option 'max" "$root/err" || fail "the unknown option is not named"

# Another version.
sed 's/{MDL_PASS_ABI, /{MDL_PASS_ABI + 41, /' "$root/mixed.c" > "$root/old.c"
# shellcheck disable=SC2046 # flags are words
cc -std=c11 $(pkg-config --define-variable=prefix="$root$prefix" --cflags mdlc) -fPIC -shared -o "$root/old.so" "$root/old.c"
./mdl-opt --load-pass="$root/old.so" --passes=mixed "$root/m.mdl" 2>"$root/err" && fail "another version is not refused"
grep -q 'version 42 .* version 1' "$root/err" || fail "the versions are not named: $(cat "$root/err")"
[ "$(wc -l < "$srcdir/examples/plugin/mixed.c")" -lt 60 ] || fail "the example has grown to 60 lines"
echo "passed"
