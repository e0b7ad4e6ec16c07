#!/bin/sh
# README.md with its blocks that begin with `$ command` made anew: make sharded-readme. mdlc is taken from the PATH; GGUF
# names SmolLM2's weights.
set -eu
cd "$(dirname "$0")"
: "${GGUF:?names SmolLM2-135M-Instruct.Q4_1.gguf}"
export GGUF
made=$(mktemp)
trap 'rm -f "$made"' EXIT
state=text
while IFS= read -r line; do
    case $state:$line in
    text:'```') state=opened ;;
    opened:'$ '*)
        printf '%s\n' "$line"
        sh -c "${line#'$ '}" </dev/null
        state=old
        continue ;;
    opened:*) state=kept ;;
    old:'```' | kept:'```') state=text ;;
    esac
    [ $state = old ] || printf '%s\n' "$line"
done <README.md >"$made"
cat "$made" >README.md
