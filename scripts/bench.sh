#!/usr/bin/env bash
# Measures the module next to a minimal HTTP client that sends the same bytes, and prints tables. Takes five minutes and
# needs no cloud account. docs/performance.md explains the figures.
#   scripts/bench.sh                   measures everything
#   scripts/bench.sh SECTION...        measures some of: warm parts throughput quota start programs keys size
#   scripts/bench.sh --write           measures everything and writes docs/performance*.md and docs/images/performance-*.svg
#   scripts/bench.sh redraw            makes the summary and the plots again from docs/performance-table.md
#   scripts/bench.sh with aws|azure|vault|google PROGRAM [ARGUMENT...]   runs a program (strace, perf) with the fake service configured
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
target=${CARGO_TARGET_DIR:-$root/target}
bench=$target/release/cloud-kms-bench
module=${MODULE:-$target/release/libcloud_kms_pkcs11.so}

case ${1:-} in
    --help | -h) sed -n '2,8s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" && exit 0 ;;
esac
bash "$root/scripts/install-tools.sh" binutils openssl libengine-pkcs11-openssl opensc
cd "$root"
# Two commands: one command would unify the features of all packages and build the dependencies again.
bash scripts/build.sh --lib
cargo build --locked --release --package cloud-kms-bench
case ${1:-} in
    --write) exec "$bench" run "$module" --write "$root/docs" ;;
    redraw) exec "$bench" redraw "$root/docs" ;;
    with) exec "$bench" with "$2" "$module" "${@:3}" ;;
    *) exec "$bench" run "$module" "$@" ;;
esac
