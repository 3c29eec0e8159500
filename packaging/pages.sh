#!/usr/bin/env bash
# pages.sh FOLDER TOOL...: writes the man pages (compressed, as packages have them) and completions of the tool to the folder.
# TOOL... is the command that runs the tool.
set -euo pipefail
folder=$1
shift

rm -rf "$folder"
mkdir -p "$folder/man1"
"$@" man "$folder/man1"
gzip -9n "$folder"/man1/*.1
for shell in bash fish zsh; do
    "$@" completions $shell >"$folder/cloud-kms-pkcs11.$shell"
    [ -s "$folder/cloud-kms-pkcs11.$shell" ] || { echo "the completions of $shell are empty" >&2 && exit 1; }
done
