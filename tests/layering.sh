#!/bin/sh
# The house's rules that a reader relies on: who includes whom, a README in each directory, files of one job.
set -u
cd "${srcdir:-$(dirname "$0")/..}" || exit 1
failed=0

complain() {
    echo "$*"
    failed=1
}

# The row of a directory: what its files may include besides their own directory's.
allowed() {
    case $1 in
    frontend/tool*) echo ".*" ;;
    ir/* | runtime/*) echo "config\.h" ;;
    frontend/* | passes/*) echo "config\.h\|ir/.*" ;;
    backend/*) echo "config\.h\|ir/.*\|runtime/abi\.h\|runtime/mdl\.h" ;;
    esac
}

sources() { find ir frontend passes backend runtime -name '*.[chly]' ! -name 'grammar.[ch]' ! -name 'lexer.c'; }

for file in $(sources); do
    own=${file%%/*}
    grep -n '^ *# *include *"' "$file" | grep -v "\"\($own/.*\|$(allowed "$file")\)\"" | sed "s|^|$file:|; s|$|: not a file this directory may include|" |
        grep . && failed=1
    lines=$(wc -l <"$file")
    [ "$lines" -le 600 ] || complain "$file: $lines lines; past 600 it is two files"
    head -n 3 "$file" | grep -q '/\*' || complain "$file: does not begin with what it is for"
done
grep -n '^#include <llvm' -r ir frontend passes runtime && complain "LLVM is backend's alone"
for directory in . ir frontend passes backend runtime tests examples examples/*/; do
    case $directory in examples/common*) continue ;; esac
    [ -s "$directory/README.md" ] || complain "$directory: has no README.md"
done
[ "$(sources | wc -l)" -gt 100 ] || complain "sources were not found"
exit $failed
