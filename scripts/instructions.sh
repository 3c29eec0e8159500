#!/usr/bin/env bash
# Counts the instructions of the hot paths by valgrind, and fails if one has strayed by a tenth from what
# bench/instructions.txt says. Half a minute, once everything is built; other load on the machine makes no difference.
#   scripts/instructions.sh            compares
#   scripts/instructions.sh --write    puts the counts of now into the file: after a change that is meant
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
target=${CARGO_TARGET_DIR:-$root/target}

# A part of each count is the C library's, and another one's differs by more than the change that is looked for.
. /etc/os-release
if [ "$ID $VERSION_CODENAME" != "debian bookworm" ] && [ "${1:-}" != --write ]; then
    echo "the counts are those of Debian 12's C library"
    exit 77
fi
bash "$root/scripts/install-tools.sh" valgrind
cd "$root"
# By two commands, as everywhere: together they would share features, and be built once more.
cargo build --locked --release --package cloud-kms-pkcs11 --lib
cargo build --locked --release --package cloud-kms-bench
exec "$target/release/cloud-kms-bench" instructions "$target/release/libcloud_kms_pkcs11.so" "$root/bench/instructions.txt" "$@"
