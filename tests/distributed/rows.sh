#!/bin/sh
# Bytes on the wire against their formulas: each kind of collective, and the systems of distributed.md that the examples
# spell out. Compiles each model, runs it on ranks that are threads and under each MPI that is here, holds the results to
# the interpreter's and the bytes of each rank to the formula, exactly.
#
#     rows.sh            also fails if RESULTS.md is not what comes out
#     rows.sh --write    writes RESULTS.md: `make distributed-results`
#
# A row:  title | model, constants | ranks | call | tolerance | layers | what is expected
#     expected:  kind:count:elements a layer and rank, of 4 bytes, in groups of all ranks; kind/N in groups of N;
#     kind@rank: of that rank alone. Elements are those of S in the formulas:
#         all_reduce        2(N-1)/N S           S the tensor; uneven chunks: a rank keeps one chunk back in each half
#         all_gather        (N-1)/N S            S the whole
#         reduce_scatter    (N-1)/N S            S the whole
#         all_to_all        (N-1)/N S            S what a rank has
#         permute, send     S                    S the message
set -u
srcdir=${srcdir:-.}
. "$srcdir/tests/distributed/launchers.sh"
results=$srcdir/tests/distributed/RESULTS.md
dir=$(mktemp -d) || exit 99
trap 'rm -rf "$dir"' EXIT
failures=0

rows() {
    cat <<'END'
# each kind
all-reduce | rows/kinds N=2 | 2 | all_reduce x=random:-9..9 R=12 | 0 | 1 | all_reduce:1:12
all-reduce | rows/kinds N=4 | 4 | all_reduce x=random:-9..9 R=12 | 0 | 1 | all_reduce:1:12
all-reduce, maximum | rows/kinds N=3 | 3 | all_reduce_max x=random:-9..9 R=12 | 0 | 1 | all_reduce:1:12
all-gather | rows/kinds N=3 | 3 | all_gather x=random:-9..9 R=12 | 0 | 1 | all_gather:1:12*12
all-gather, uneven | rows/kinds N=4,E=7 | 4 | all_gather x=random:-9..9 R=20 | 0 | 1 | all_gather:1:20*7
reduce-scatter | rows/even N=3 | 3 | reduce_scatter x=random:-9..9 R=12 | 0 | 1 | reduce_scatter:1:12
reduce-scatter | rows/even N=4 | 4 | reduce_scatter x=random:-9..9 R=12 | 0 | 1 | reduce_scatter:1:12
all-to-all | rows/even N=2 | 2 | all_to_all x=random:-9..9 R=12 | 0 | 1 | all_to_all:1:12*12/2
all-to-all | rows/even N=4 | 4 | all_to_all x=random:-9..9 R=12 | 0 | 1 | all_to_all:1:12*12/4
permutation | rows/permute | 4 | permute x=random:-9..9 R=8 | 0 | 1 | permute@0:1:0 permute@1:1:2*12 permute@2:1:2*12 permute@3:1:0
# systems
Baidu's ring, uneven chunks | rows/kinds N=2,E=7 | 2 | all_reduce x=random:-9..9 R=60 | 0 | 1 | all_reduce:1:7
Baidu's ring, uneven chunks | rows/kinds N=3,E=7 | 3 | all_reduce x=random:-9..9 R=60 | 0 | 1 | all_reduce:1:7
Baidu's ring, uneven chunks | rows/kinds N=4,E=7 | 4 | all_reduce x=random:-9..9 R=60 | 0 | 1 | all_reduce:1:7
Baidu's ring, uneven chunks | rows/kinds N=5,E=7 | 5 | all_reduce x=random:-9..9 R=60 | 0 | 1 | all_reduce:1:7
TensorFlow's placement | place | 3 | forward x=random S=10 | 1e-5 | 1 | send@0:2:2*640 send@1:2:2*640 send@2:2:2*640
Megatron-LM | megatron TENSOR=2 | 2 | forward x=random B=2 S=12 | 1e-4 | 2 | all_reduce:2:2*12*48
Megatron-LM | megatron TENSOR=3 | 3 | forward x=random B=2 S=12 | 1e-4 | 2 | all_reduce:2:2*12*48
Megatron-LM | megatron TENSOR=4 | 4 | forward x=random B=2 S=12 | 1e-4 | 2 | all_reduce:2:2*12*48
sequence parallelism | sequence TENSOR=2 | 2 | forward x=random B=2 S=12 | 1e-4 | 2 | reduce_scatter:2:2*12*48 all_gather:2:2*12*48
sequence parallelism | sequence TENSOR=3 | 3 | forward x=random B=2 S=12 | 1e-4 | 2 | reduce_scatter:2:2*12*48 all_gather:2:2*12*48
sequence parallelism | sequence TENSOR=4 | 4 | forward x=random B=2 S=12 | 1e-4 | 2 | reduce_scatter:2:2*12*48 all_gather:2:2*12*48
Mesh-TensorFlow, GSPMD: two axes | megatron DATA=2,TENSOR=2 | 4 | forward x=random B=2 S=12 | 1e-4 | 2 | all_reduce/2:2:12*48
GSPMD: two axes, sequence | sequence DATA=2,TENSOR=2 | 4 | forward x=random B=2 S=12 | 1e-4 | 2 | reduce_scatter/2:2:12*48 all_gather/2:2:12*48
PaLM's parallel block | palm TENSOR=2 | 2 | forward x=random B=2 S=12 | 1e-4 | 2 | all_reduce:1:2*12*48
PaLM's parallel block | palm TENSOR=4 | 4 | forward x=random B=2 S=12 | 1e-4 | 2 | all_reduce:1:2*12*48
PaLM on two pods, nothing between them | palm DATA=2,TENSOR=2 | 4 | forward x=random B=2 S=12 | 1e-4 | 2 | all_reduce/2:1:12*48
Mesh-TensorFlow: two meshes of the same ranks | rows/meshes | 4 | forward x=random S=8 | 1e-4 | 1 | all_gather/2:1:4*8 all_to_all/2:1:4*8
Pathways: two gangs of ranks | rows/gangs | 4 | forward x=random S=8 | 1e-4 | 1 | send@0:1:4*16 send@1:1:4*16 send@2:1:4*8 send@3:1:4*8
mixture of experts, GShard | moe EXPERT=2 | 2 | forward x=random G=4 | 1e-4 | 2 | all_to_all:2:8*2*6*32
mixture of experts, GShard | moe EXPERT=4 | 4 | forward x=random G=4 | 1e-4 | 2 | all_to_all:2:8*1*6*32
mixture of experts, Switch: one each | moe EXPERT=4,K=1,CAPACITY=3 | 4 | forward x=random G=4 | 1e-4 | 2 | all_to_all:2:8*1*3*32
pipeline, 4 micro-batches | rows/pipeline STAGES=2 | 2 | forward x=random S=3 pos=0 | 1e-4 | 1 | send@0:4:4*48 send@1:1:4*48
pipeline, 4 micro-batches | rows/pipeline STAGES=4 | 4 | forward x=random S=3 pos=0 | 1e-4 | 1 | send@0:4:4*48 send@1:4:4*48 send@2:4:4*48 send@3:3:3*4*48
END
}

fail() {
    echo "FAILED - $title, $model on $where: $*"
    head -c 600 "$dir/err"
    failures=$((failures + 1))
}

# chunk C: bytes of chunk C of an all-reduce of $elements elements by $n.
chunk() {
    c=$(($1 % n))
    echo $((4 * (elements / n + (c < elements % n))))
}

# formula KIND RANK: bytes that the rank sends for one such collective.
formula() {
    whole=$((4 * elements))
    case $1 in
    all_reduce)
        if [ "$algorithm" = ring ]; then echo $((2 * whole - $(chunk $(($2 + 1))) - $(chunk $(($2 + 2)))))
        else echo $((2 * whole * (n - 1) / n)); fi ;;
    all_gather | reduce_scatter | all_to_all) echo $((whole * (n - 1) / n)) ;;
    permute | send) echo $whole ;;
    esac
}

# by_formula: a line "rank kind bytes collectives" for each rank and kind that $expected names. A permutation's or a
# stage's elements are those of all its messages; others' those of each.
by_formula() {
    for rank in $(seq 0 $((ranks - 1))); do
        for one in $expected; do
            kind=${one%%[:@/]*} count=${one#*:}
            case ${one%%:*} in
            *@$rank | *[a-z] | */*) ;;
            *) continue ;;
            esac
            elements=$((${count#*:})) count=$((${count%%:*} * layers)) n=$ranks
            case ${one%%:*} in */*) n=${one%%:*} n=${n#*/} ;; esac
            bytes=$(formula "$kind" "$rank")
            case $kind in permute | send) ;; *) bytes=$((bytes * count)) ;; esac
            echo "$rank $kind $bytes $count"
        done
    done | sort
}

# counted: the same of what --stats printed.
counted() {
    sed -n 's/^rank \([0-9]*\) sent: \(.*\)control.*/\1 \2/p' "$dir/out" |
        awk '{ for (i = 2; i < NF; i += 5) { sub(",", "", $(i + 4)); print $1, $i, $(i + 1), $(i + 4) } }' | sort
}

# compile MODEL CONSTANTS: once, to $library.
compile() {
    library=$dir/$(echo "$1-${2:-}" | tr '/,=' '---')/libmodel.so
    [ -f "$library" ] && return 0
    mkdir -p "${library%/*}"
    ./mdlc ${2:+--const=$2} -o "$library" "$source_file" 2>"$dir/err"
}

# on WHERE ALGORITHM: the model's ranks there.
on() {
    where=$1 algorithm=$2
    set -- --threads=1 --timeout=30 --collective="$algorithm" --stats --rtol="$tolerance" --atol="$tolerance" \
        --expect="0=@$dir/want/0.npy" "$library"
    # shellcheck disable=SC2086 # a function and its arguments
    if [ "$where" = threads ]; then
        ./mdl-run --ranks="$ranks" "$@" $call >"$dir/out" 2>"$dir/err" || fail "mdl-run's status is $?"
    else
        launch "$where" "$ranks" ./mdl-run "$@" $call >"$dir/out" 2>"$dir/err" || fail "mdl-run's status is $?"
    fi
    by_formula >"$dir/formula"
    counted >"$dir/counted"
    cmp -s "$dir/formula" "$dir/counted" || fail "rank, kind, bytes, collectives: $(diff "$dir/formula" "$dir/counted")"
    engines="$engines${engines:+, }$where"
}

# bytes FILE: of all kinds together, of each rank; once where they are alike.
bytes() {
    awk '{ sum[$1] += $3 } END { for (r = 0; r in sum; r++) { all = all (r ? " / " : "") sum[r]; if (sum[r] != sum[0]) differ = 1 }
        print differ ? all : sum[0] }' "$1"
}

# A row of RESULTS.md, of the threads' run.
print_row() {
    kinds=$(for one in $expected; do echo "${one%%:*} ${one#*:}"; done |
        sed 's/:.*//' | awk '{ k = $1; sub("/.*", "", k); print $2, k }' | tr '\n' ',' | sed 's/,$//; s/,/, /g')
    printf '| %s | `%s` | %s | %s | %s | %s | %s |\n' "$title" "$model" "$ranks" "$kinds" "$(bytes "$dir/formula")" \
        "$(bytes "$dir/counted")" "$engines"
}

row() {
    name=${model%% *} constants=${model#"$name"} engines=
    constants=${constants# }
    case $name in
    rows/*) source_file=$srcdir/tests/distributed/$name.mdl ;;
    *) source_file=$srcdir/examples/sharded/$name.mdl ;;
    esac
    where=nowhere
    : >"$dir/err"
    compile "$name" "$constants" || { fail "it does not compile"; return; }
    # shellcheck disable=SC2086 # a function and its arguments
    ./mdlc interpret ${constants:+--const=$constants} "$source_file" $call --output="$dir/want" >"$dir/out" 2>"$dir/err" ||
        { fail "it cannot be interpreted"; return; }
    for mpi in $mpis; do
        on "$mpi" mpi
        on "$mpi" ring
    done
    engines=$(echo "$mpis" | tr '\n' ' ')
    on threads ring
    engines="threads$(for mpi in $mpis; do printf ', %s' "$mpi"; done)"
    print_row >>"$dir/table"
}

mpis=$(launchers)
! grep -q '^SANITIZE = .*-fsanitize' Makefile || mpis= # mpi.sh has shown there what MPI moves
rows >"$dir/rows"
while IFS='|' read -r title model ranks call tolerance layers expected; do
    case $title in \#*) continue ;; esac
    trim() { echo "$1" | sed 's/^ *//; s/ *$//'; }
    title=$(trim "$title") model=$(trim "$model") ranks=$(trim "$ranks") tolerance=$(trim "$tolerance")
    layers=$(trim "$layers") call=$(trim "$call")
    row </dev/null
done <"$dir/rows"

cat >"$dir/RESULTS.md" <<'END'
# Bytes on the wire, counted and by formula
`make distributed-results` makes this table: it runs each model on ranks, holds the results to the interpreter's and the bytes to the formula, and
`make check` fails where they differ. Bytes are those that one rank sends in one call, of all collectives together; of each
rank, where ranks differ. Models are in `examples/sharded/` and `tests/distributed/`. MPI runs count both our ring and the payload handed to the library.

| what | model, constants | ranks | collectives a layer and rank | bytes by formula | bytes counted | engines |
|---|---|---|---|---|---|---|
END
cat "$dir/table" >>"$dir/RESULTS.md"

# What the table says without the engines, which are those that are here.
substance() { sed 's/|[^|]*|$/|/' "$1"; }
if [ "${1:-}" = --write ]; then
    [ $failures -gt 0 ] || cat "$dir/RESULTS.md" >"$results"
else
    substance "$dir/RESULTS.md" >"$dir/new"
    substance "$results" >"$dir/old"
    diff "$dir/old" "$dir/new" || { echo "FAILED - RESULTS.md is not this: make distributed-results"; failures=$((failures + 1)); }
fi
echo "$(wc -l <"$dir/table") rows, $failures failures"
[ $failures -eq 0 ]
