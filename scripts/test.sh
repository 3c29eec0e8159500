#!/usr/bin/env bash
# Installs what the tests need and runs all of them. On a fresh Debian or Ubuntu machine with Rust and Python 3.
#   scripts/test.sh                   everything
#   scripts/test.sh --quick           what needs neither a release build nor other people's programs
#   scripts/test.sh --clients [NAME]  the client scripts only, all or one
#   scripts/test.sh --fuzz [SECONDS]  each fuzz target for so long, by default a minute
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
target=${CARGO_TARGET_DIR:-$PWD/target}
logs=$target/test-logs
passed=() failed=()

usage() { sed -n '2,6s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" && exit "$1"; }

# stage NAME COMMAND...: runs it, shows its output as it comes, and goes on whatever comes of it.
stage() {
    local name=$1 began=$SECONDS
    shift
    printf '\n===== %s\n' "$name"
    if "$@" 2>&1 | tee "$logs/${name// /-}.log"; then
        passed+=("$name ($((SECONDS - began)) s)")
    else
        failed+=("$name ($((SECONDS - began)) s): $logs/${name// /-}.log")
    fi
}

tools() {
    command -v cargo >/dev/null || { echo "Rust is missing: see https://rustup.rs" >&2 && return 1; }
    bash scripts/install-tools.sh gcc libc6-dev openssl curl binutils
}
more_tools() { bash scripts/install-tools.sh cmake make pkg-config p11-kit libp11-kit-dev && bash tests/clients/install.sh; }
build() { cargo build --locked --workspace --all-targets; }
rust_tests() { cargo test --locked --workspace; }
release() { cargo build --locked --release --package cloud-kms-pkcs11 --lib; }
release_artifact() { MODULE=$target/release/libcloud_kms_pkcs11.so cargo test --locked --test module artifact; }
servers() { bash tests/servers/start.sh && bash tests/servers/check.sh; }
contract() { CONTRACT_SERVERS=$PWD/target/servers/servers.json cargo test --locked --test backends; }
clients() { bash tests/clients/run.sh "$@"; }
installed() { bash tests/install.sh; }
demo() { bash scripts/demo.sh; }
fuzz() { bash scripts/install-tools.sh g++ && bash fuzz/run.sh "$@"; }

mkdir -p "$logs"
case ${1:-} in
    "")
        stage tools tools
        stage build build
        stage "rust tests" rust_tests
        stage "more tools" more_tools
        stage servers servers
        stage "contract tests" contract
        stage release release
        stage "release artifact" release_artifact
        stage instructions bash scripts/instructions.sh
        stage installed installed
        stage clients clients
        stage "clients in the README" bash tests/clients/table.sh --check
        stage "clients find wrong signatures out" clients --spoilt
        stage demo demo
        [ -z "${CI:-}" ] || stage fuzz fuzz
        bash tests/servers/stop.sh
        ;;
    --quick)
        stage tools tools
        stage build build
        stage "rust tests" rust_tests
        ;;
    --clients)
        stage tools tools
        stage "more tools" more_tools
        stage build build
        stage release release
        stage clients clients "${@:2}"
        ;;
    --fuzz)
        stage tools tools
        stage fuzz fuzz "${@:2}"
        ;;
    --help | -h) usage 0 ;;
    *) usage 2 >&2 ;;
esac

printf '\n===== summary\n'
[ ${#passed[@]} -eq 0 ] || printf 'passed: %s\n' "${passed[@]}"
[ ${#failed[@]} -eq 0 ] || printf 'FAILED: %s\n' "${failed[@]}"
echo "${#passed[@]} passed, ${#failed[@]} failed"
[ ${#failed[@]} -eq 0 ]
