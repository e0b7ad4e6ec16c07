#!/bin/sh
# Products of int8 at the ends of their range: all codes of rows -128 (or 127), of weights the largest that a format has. Partial sums
# that are narrower than their products allow would saturate or wrap. From a build folder.
set -u
. "${srcdir:-$(dirname "$0")/..}/tests/expect.sh"
python3 - >"$dir/weights.safetensors" <<'END'
import struct, sys
values = [-16.0 if i % 32 == 0 else 15.0 for i in range(32 * 64)]  # of each block one is the smallest, which makes the others' codes the largest
header = b'{"w":{"dtype":"F32","shape":[32,64],"data_offsets":[0,8192]}}'
sys.stdout.buffer.write(struct.pack("<Q", len(header)) + header + struct.pack("<2048f", *values))
END
cat >"$dir/extremes.mdl" <<'END'
model extremes
dim N in 1..16
param w : f32[32, 64] from "w"
export fn forward(a: i8[N, 64], b: f32[N, 2], c: i32[N, 2]) -> f32[N, 32] = qlinear(a, b, c, w)
END
last=extremes cpus="x86-64-v4:avx512vl x86-64-v3:avx2 x86-64-v2:sse4_2 generic native"
for cpu in $cpus; do
    case $cpu in *:*) grep -q "${cpu#*:}" /proc/cpuinfo || continue ;; esac
    for format in q4_0 q4_1 q5_0 q5_1 q8_0; do
        for emit in so kernels; do
            mdlc --mcpu="${cpu%:*}" --precision=int8 --quantize=$format --weights="$dir/weights.safetensors" --emit=$emit \
                "$dir/extremes.mdl" -o "$dir/libextremes.$emit" || fail "$cpu $format does not compile"
        done
        for code in -128 127; do
            call="forward a=random:$code..$code b=random c=random:$((32 * code))..$((32 * code)) N=7"
            # shellcheck disable=SC2086 # arguments are words
            mdlc interpret --weights="$dir/weights.safetensors" "$dir/libextremes.kernels" $call --output="$dir/want" >"$dir/log" 2>&1 &&
                mdl-run "$dir/libextremes.so" $call --expect=0="@$dir/want/0.npy" --rtol=1e-5 --atol=1e-3 >"$dir/log" 2>&1 ||
                { cat "$dir/log"; fail "$cpu $format, codes of $code"; }
        done
    done
done
[ $failures -eq 0 ]
