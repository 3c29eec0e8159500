#!/usr/bin/env bash
# Measures the module on this machine, next to a bare client that sends the same bytes in the same run, and prints one
# table. Some five minutes, and needs no account: docs/performance.md explains it.
#   scripts/bench.sh                   everything
#   scripts/bench.sh SECTION...        some of: warm parts throughput start programs keys size
#   scripts/bench.sh --write           everything, and puts the table into docs/performance.md
#   scripts/bench.sh with aws|azure PROGRAM [ARGUMENT...]   runs a program (strace, perf) where the fake service is configured
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
target=${CARGO_TARGET_DIR:-$root/target}
bench=$target/release/cloud-kms-bench
module=${MODULE:-$target/release/libcloud_kms_pkcs11.so}

case ${1:-} in
    --help | -h) sed -n '2,7s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" && exit 0 ;;
esac
bash "$root/scripts/install-tools.sh" binutils openssl libengine-pkcs11-openssl opensc
cd "$root"
# By two commands, as everywhere: together they would share features, and be built once more.
cargo build --locked --release --package cloud-kms-pkcs11 --lib
cargo build --locked --release --package cloud-kms-bench
case ${1:-} in
    --write) exec "$bench" run "$module" --write "$root/docs/performance.md" ;;
    with) exec "$bench" with "$2" "$module" "${@:3}" ;;
    *) exec "$bench" run "$module" "$@" ;;
esac
