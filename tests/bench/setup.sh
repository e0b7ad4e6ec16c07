#!/bin/sh
# Make a virtual environment with the peers that tests/bench/peers.py measures.
#   setup.sh DIR          then: DIR/run tests/bench/peers.py llm --gguf FILE
# PyTorch's wheel is built for CUDA: it needs some CUDA libraries to load, also where it only computes on the CPU.
# Those that the CUDA toolkit has are taken from there. llama.cpp is built for this machine (some minutes).
set -eu
dir=${1:?usage: setup.sh DIR}
cuda=${CUDA_HOME:-/usr/local/cuda}
python3 -m venv "$dir"
pip="$dir/bin/pip install -q --disable-pip-version-check"
$pip numpy==2.4.6 onnx==1.23.2 onnxscript onnxruntime==1.32.0 openvino==2026.4.1 safetensors tokenizers
$pip --no-deps torch==2.15.0 nvidia-nccl-cu13==2.30.7 nvidia-cufile nvidia-cusparselt-cu13 nvidia-nvshmem-cu13
$pip filelock typing_extensions sympy networkx jinja2 fsspec setuptools scikit-build-core cmake ninja diskcache
# gcc 12.2 drops stores to what _tile_loadconfig reads, and llama.cpp with AMX ends in SIGILL (its pull request 26954); with clang it works.
if grep -qw amx_tile /proc/cpuinfo && command -v clang++ >/dev/null; then export CC=clang CXX=clang++; fi
CMAKE_ARGS=-DGGML_NATIVE=ON "$dir/bin/pip" install -q --no-deps --no-build-isolation llama-cpp-python==0.3.36
cat > "$dir/run" <<RUN
#!/bin/sh
# Python of this environment with the libraries that PyTorch loads on its path.
libs=\$(find "$(cd "$dir" && pwd)" -path '*nvidia*' -name '*.so*' -exec dirname {} \; | sort -u | tr '\n' ':')
LD_LIBRARY_PATH=\$libs$cuda/lib64 exec "$(cd "$dir" && pwd)/bin/python" "\$@"
RUN
chmod +x "$dir/run"
