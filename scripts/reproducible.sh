#!/usr/bin/env bash
# Shows that the release build is the same in every folder, and that no path of the machine that built it is inside.
#   scripts/reproducible.sh [--lib]          builds here and in a copy of the last commit in another folder, and compares. --lib: only the
#                                            module
#   scripts/reproducible.sh FIRST SECOND     compares the module and the tool of two folders
#   scripts/reproducible.sh paths FILE...    searches the files for paths of this machine
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
target=${CARGO_TARGET_DIR:-$PWD/target}
files=(libcloud_kms_pkcs11.so cloud-kms-pkcs11)

# Paths that a build puts into a program: the folders of users, of this repository, of cargo and of temporary files.
search() { # FILE...
    local file found=0 paths
    for file in "$@"; do
        # grep must not end early: its failure would be that of the pipeline.
        paths=$(strings -n 6 "$file" | grep -nE "(^|[^[:alnum:]])(/root|/home|/tmp|/build|/opt|$PWD|$target|${CARGO_HOME:-$HOME/.cargo}|${RUSTUP_HOME:-$HOME/.rustup})/" || true)
        if [ -n "$paths" ]; then
            head -n 20 <<<"$paths"
            found=1
        fi
        # Shows that the search finds paths at all: the messages of panics name files.
        strings -n 6 "$file" | grep -c '^/crates/' >/dev/null || { echo "$file was not built by scripts/build.sh" && found=1; }
    done
    [ $found -eq 0 ]
}

compare() { # FIRST SECOND
    local file
    for file in "${files[@]}"; do
        sha256sum "$1/$file" "$2/$file"
        cmp "$1/$file" "$2/$file"
    done
    echo "both builds are the same"
}

# Builds the last commit in another folder, with another home of cargo that has the same downloads.
build_elsewhere() { # FOLDER
    git clone --quiet . "$1/elsewhere/source"
    mkdir -p "$1/cargo"
    ln -s "${CARGO_HOME:-$HOME/.cargo}/registry" "$1/cargo/registry"
    env -u CARGO_TARGET_DIR CARGO_HOME="$1/cargo" bash "$1/elsewhere/source/scripts/build.sh" "${@:2}"
}

case ${1:-} in
    "" | --lib)
        [ $# -eq 0 ] || files=(libcloud_kms_pkcs11.so)
        bash scripts/build.sh "$@"
        work=$(mktemp -d)
        trap 'rm -rf "$work"' EXIT
        build_elsewhere "$work" "$@"
        compare "$target/release" "$work/elsewhere/source/target/release"
        search "${files[@]/#/$target/release/}"
        ;;
    paths) search "${@:2}" ;;
    -*) sed -n '2,6s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2 && exit 2 ;;
    *)
        compare "$1" "$2"
        search "${files[@]/#/$2/}"
        ;;
esac
