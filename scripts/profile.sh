#!/usr/bin/env bash
# Lists the functions that execute the instructions of a warm signature. Uses callgrind and a build with symbols.
#   scripts/profile.sh [aws|azure|vault|google] [PATH]    PATH is sign (the default), find, attributes or digest
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
target=${CARGO_TARGET_DIR:-$root/target}
cloud=${1:-aws}
module=$target/profiling/libcloud_kms_pkcs11.so
bench=$target/release/cloud-kms-bench

bash "$root/scripts/install-tools.sh" valgrind
cd "$root"
cargo build --locked --release --package cloud-kms-bench
cargo build --locked --profile profiling --package cloud-kms-pkcs11 --lib
"$bench" with "$cloud" "$module" valgrind --tool=callgrind --callgrind-out-file="$target/profile.$cloud" \
    "$bench" path "$module" "${2:-sign}" 200 >/dev/null
callgrind_annotate --inclusive=yes "$target/profile.$cloud" | sed "s#$HOME/.cargo/registry/src/[^/]*/##; s#/rustc/[0-9a-f]*/##; s# \[/.*##" | head -150
