#!/usr/bin/env bash
# Counts the instructions of the hot paths with valgrind. Fails if a count differs by more than 10 % from
# bench/instructions.txt. Takes half a minute after the build. Other load on the machine does not change the counts.
#   scripts/instructions.sh            compares the counts
#   scripts/instructions.sh --write    records the counts, after an intended change
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
target=${CARGO_TARGET_DIR:-$root/target}

# Each count includes the C library. Another C library changes the counts by more than the margin.
. /etc/os-release
if [ "$ID $VERSION_CODENAME" != "debian bookworm" ] && [ "${1:-}" != --write ]; then
    echo "the counts are valid only with the C library of Debian 12"
    exit 77
fi
bash "$root/scripts/install-tools.sh" valgrind
cd "$root"
bash scripts/build.sh --lib
# The same command as in scripts/test.sh and demo.sh, so that nothing is built twice. The program that counts is optimized also in
# this build (Cargo.toml), because the instructions of its calls are counted, too.
cargo build --locked --workspace --bins
exec "$target/debug/cloud-kms-bench" instructions "$target/release/libcloud_kms_pkcs11.so" "$root/bench/instructions.txt" "$@"
