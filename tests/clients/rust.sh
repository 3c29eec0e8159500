#!/usr/bin/env bash
# apt: gcc libc6-dev
# Rust: examples/cryptoki.rs, with the cryptoki crate.
user_home=$HOME
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

need cargo "Rust 1.94.1 or newer"

export SOURCE=$root
export CARGO_TARGET_DIR=$root/target
export CARGO_HOME=${CARGO_HOME:-$user_home/.cargo} RUSTUP_HOME=${RUSTUP_HOME:-$user_home/.rustup}

echo "rust: building the example (where the tests were built, some seconds)"
run_page 'cargo build' >"$work/install.log" 2>&1 || { cat "$work/install.log" && exit 1; }

client cryptoki "$(sed -n '/^name = "cryptoki"$/{n;s/version = "\(.*\)"/\1/p}' "$root/Cargo.lock")"

sign_all() {
    rm -rf "$work/page/signatures"
    run_page 'examples/cryptoki' >"$work/said"
    cat "$work/said"
    grep -qx "object CKO_PRIVATE_KEY $label $id" "$work/said"
    grep -qx "object CKO_PUBLIC_KEY $label $id" "$work/said"
    [ "$certificate" = - ] || grep -qx "object CKO_CERTIFICATE $label $id" "$work/said"
    local file size count=0
    for file in "$work"/page/signatures/*.sig; do
        size=$(basename "$file" .sig | sed -nE 's/.*SHA([0-9]+).*/\1/p')
        case $file in
            *PSS.sig) verify_and_spoil verify_pss "sha$size" "$work/data" "$file" ;;
            *) verify_and_spoil verify "sha$size" "$work/data" "$file" ;;
        esac
        count=$((count + 1))
    done
    [ "$count" -eq "$([ "$kind" = rsa ] && echo 6 || echo 5)" ]
}

mkdir -p "$work/page"
cp "$work/data" "$work/page/data"
with_key() { check "$label cryptoki" sign_all; }
each_key with_key
