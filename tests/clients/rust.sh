#!/usr/bin/env bash
# apt: gcc libc6-dev
# Rust: examples/cryptoki.rs, a program with the cryptoki crate.
user_home=$HOME
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

need cargo "Rust 1.94.1 or newer"

export SOURCE=$root
export CARGO_HOME=${CARGO_HOME:-$user_home/.cargo} RUSTUP_HOME=${RUSTUP_HOME:-$user_home/.rustup}
# The page builds the program in a separate folder.
unset CARGO_TARGET_DIR

echo "rust: building the example (some seconds)"
build() {
    run_page 'cargo new' || return
    # Pins the dependencies with the module's lock file. Cargo removes the unused entries.
    cp "$root/Cargo.lock" "$work/page/sign/Cargo.lock" || return
    run_page 'cargo build'
}
build >"$work/install.log" 2>&1 || { cat "$work/install.log" && exit 1; }

client cryptoki "$(sed -n '/^name = "cryptoki"$/{n;s/version = "\(.*\)"/\1/p}' "$work/page/sign/Cargo.lock")"

sign_all() {
    rm -rf "$work/page/signatures"
    run_page 'debug/sign' >"$work/said"
    cat "$work/said"
    grep -qx "object CKO_PRIVATE_KEY $label $id" "$work/said"
    grep -qx "object CKO_PUBLIC_KEY $label $id" "$work/said"
    [ "$certificate" = - ] || grep -qx "object CKO_CERTIFICATE $label $id" "$work/said"
    local file name size count=0
    for file in "$work"/page/signatures/*.sig; do
        name=$(basename "$file" .sig)
        size=$(sed -nE 's/.*SHA([0-9]+).*/\1/p' <<<"$name")
        # The mechanisms without a hash in their name sign a SHA-256 digest.
        size=${size:-256}
        case $name in
            *PSS | *PSS-*) verify_and_spoil verify_pss "sha$size" "$work/data" "$file" ;;
            *) verify_and_spoil verify "sha$size" "$work/data" "$file" ;;
        esac
        count=$((count + 1))
    done
    # RSA: 8 mechanisms, 6 of them also in parts; EC: 6, 5 of them also in parts; and one signature before the login.
    [ "$count" -eq "$([ "$kind" = rsa ] && echo 15 || echo 12)" ]
}

mkdir -p "$work/page"
cp "$work/data" "$work/page/data"
with_key() { check "$label cryptoki" sign_all; }
each_key with_key
