# What the scripts here share; sourced in the build folder, not run.
#   launchers            the MPIs that are here and have a shim: openmpi, mpich
#   launch MPI N COMMAND…   as N ranks
#   ranks_of DIR         processes of mdl-run whose command line names DIR
MDL_COMM_PATH=$PWD/runtime
export MDL_COMM_PATH

launchers() {
    for mpi in openmpi mpich; do
        if command -v mpirun.$mpi >/dev/null && [ -f runtime/libmdl-$mpi.so ]; then
            echo $mpi
        else
            echo "$mpi is not here: not tested" >&2
        fi
    done
}

# OpenMPI leaks, from components that are unloaded before a sanitizer could name them: leaks are looked for under MPICH.
launch() {
    mpi=$1 ranks=$2
    shift 2
    case $mpi in
    openmpi) ASAN_OPTIONS=detect_leaks=0 mpirun.openmpi --allow-run-as-root --oversubscribe -np "$ranks" "$@" ;;
    mpich) mpirun.mpich -np "$ranks" "$@" ;;
    esac
}

ranks_of() {
    for process in /proc/[0-9]*; do
        [ "$(cat "$process/comm" 2>/dev/null)" = mdl-run ] || continue
        grep -q '^State:[[:space:]]*Z' "$process/status" 2>/dev/null && continue
        tr '\0' '\n' 2>/dev/null <"$process/cmdline" | grep -q "^$1/" && echo "${process#/proc/}"
    done
}
