#!/bin/sh
# What each test of a build folder took when it last ran, longest first:  sh tests/times.sh [DIR]
find "${1:-.}" -name '*.log' -exec grep -H '^timed: ' {} + |
    sed 's|^\(.*/\)\{0,1\}tests/\(.*\)\.log:timed: \([0-9.]*\) s of processors in \([0-9.]*\) s$|\3 \4 \2|' | sort -rn |
    awk '{ printf "| %s | %.1f | %.1f |\n", $3, $1, $2; sum += $1 } END { printf "| all | %.1f | |\n", sum }'
