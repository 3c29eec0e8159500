#!/usr/bin/env bash
# Installs what the tests need and runs the tests. Needs Debian or Ubuntu, Rust and Python 3.
#   scripts/test.sh                      runs everything but tests/arm64.sh (more than an hour the first time)
#   scripts/test.sh --quick              runs the Rust tests in a debug build, without client programs
#   scripts/test.sh --clients [NAME...]  runs all client scripts, or the named ones, with the clients of this machine
#   scripts/test.sh --memory             runs a host program under valgrind, and the pointer code under Miri if it is installed
#   scripts/test.sh --fuzz [SECONDS]     runs each fuzz target for SECONDS (default: 60)
# With LONG_TESTS=1, as in CI, the tests of forks, threads and unloading repeat 1000 times instead of some dozens.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
target=${CARGO_TARGET_DIR:-$PWD/target}
logs=$target/test-logs
passed=() failed=() skipped=() failed_logs=()

usage() { sed -n '2,8s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" && exit "$1"; }

# stage NAME COMMAND...: runs COMMAND, shows its output and records its exit status. A failure does not end this script.
# Exit status 77 means that the stage is skipped on this machine; the last line of the output gives the reason.
stage() {
    local name=$1 log=$logs/${1// /-}.log began=$SECONDS outcome=0
    shift
    printf '\n===== %s\n' "$name"
    "$@" 2>&1 | tee "$log" || outcome=$?
    record "$name" "$log" $outcome $((SECONDS - began))
}

# begin NAME COMMAND...: runs a stage in the background. finish NAME waits for it, shows its output and records its status.
begin() {
    local name=$1
    shift
    (
        began=$SECONDS outcome=0
        "$@" >"$logs/${name// /-}.log" 2>&1 </dev/null || outcome=$?
        echo $outcome $((SECONDS - began)) >"$logs/${name// /-}.outcome"
    ) &
    running[$name]=$!
}
finish() { # NAME
    local log=$logs/${1// /-}.log outcome=1 took=0
    wait "${running[$1]}" || true
    read -r outcome took <"$logs/${1// /-}.outcome" || true
    printf '\n===== %s\n' "$1"
    cat "$log"
    record "$1" "$log" "$outcome" "$took"
}
declare -A running=()

free_space() { df --output=avail --block-size=1G "$target" | tail -n 1 | tr -d ' '; }

record() { # NAME LOG OUTCOME SECONDS
    case $3 in
        0) passed+=("$1 ($4 s)") ;;
        77) skipped+=("$1: $(tail -n 1 "$2")") ;;
        *) failed+=("$1 ($4 s, $(free_space) GB free on the disk): $2") failed_logs+=("$2") ;;
    esac
}

tools() {
    command -v cargo >/dev/null || { echo "Rust is not installed: install it from https://rustup.rs, then run this script again" >&2 && return 1; }
    bash scripts/install-tools.sh gcc libc6-dev openssl curl binutils faketime debootstrap \
        fish libengine-pkcs11-openssl man-db mandoc openssh-client p11-kit p11-kit-modules python3-jsonschema python3-prometheus-client zsh
}
# The clients also run in later releases of Debian, each in a chroot, which needs root. The module is built on this machine:
# built on Debian 12, it also loads with the C library of the later releases.
can_run_releases() { [ "$(id -u)" -eq 0 ] && [ "$(. /etc/os-release && echo "$ID $VERSION_CODENAME")" = "debian bookworm" ]; }
explain_no_releases() { echo "tests in other Debian releases run only on Debian 12, as root"; }
releases() {
    can_run_releases || { explain_no_releases; return 77; }
    local release outcome
    for release in trixie sid; do
        outcome=0
        nice bash tests/clients/release.sh $release bash tests/clients/install.sh --no-servers || outcome=$?
        # A release that can't be installed (77) is reported by the stages that need it.
        [ $outcome -eq 0 ] || [ $outcome -eq 77 ] || return 1
    done
}
more_tools() { bash scripts/install-tools.sh cmake make pkg-config p11-kit libp11-kit-dev && bash tests/clients/install.sh; }
build() { cargo build --locked --workspace --all-targets; }
rust_tests() { cargo test --locked --workspace --no-fail-fast; }
# The unit tests of the module with a single cloud. A warning is a failure. Without debug information and incremental
# compilation, this takes less time.
CLOUDS=(aws azure google vault)
each_cloud_alone() {
    local cloud log=$logs/one-cloud.log
    for cloud in "${CLOUDS[@]}"; do
        echo "== $cloud"
        CARGO_INCREMENTAL=0 nice cargo test --locked --lib --no-default-features --features "$cloud" \
            --config 'profile.dev.package.cloud-kms-pkcs11.debug=false' 2>&1 | tee "$log" || return 1
        ! grep '^warning' "$log" || return 1
    done
    echo "== no cloud"
    ! cargo test --locked --lib --no-run --no-default-features >"$log" 2>&1 && grep '^error: the module needs at least one' "$log"
}
release() { bash scripts/build.sh; }
release_artifact() { MODULE=$target/release/libcloud_kms_pkcs11.so cargo test --locked --test module artifact; }
valgrind_runs() {
    bash scripts/install-tools.sh valgrind gcc libc6-dev || return 1
    # One test at a time: valgrind is slow, and requests to the services have deadlines.
    UNDER_VALGRIND=1 cargo test --locked --test module -- --test-threads=1 programs::a_program_
}
miri_runs() {
    if ! cargo +nightly miri --version >/dev/null 2>&1; then
        echo "Miri is not installed: rustup component add --toolchain nightly miri rust-src"
        return 77
    fi
    cargo +nightly miri test --locked --lib ffi::pointers
}
servers() { bash tests/servers/start.sh && bash tests/servers/check.sh; }
contract() {
    export CONTRACT_SERVERS=$PWD/target/servers/servers.json
    cargo test --locked --test backends && cargo test --locked --test module vault::
}
clients() { bash tests/clients/run.sh "$@"; }
clients_of() { # RELEASE [OPTION]
    can_run_releases || { explain_no_releases; return 77; }
    clients --release "$@"
}
installation() { bash tests/install.sh; }
reproducible() { nice bash scripts/reproducible.sh --lib; }
packages() { can_run_releases || { explain_no_releases; return 77; }; bash tests/packages.sh; }
demo() { bash scripts/demo.sh; }
demo_in() { # RELEASE
    can_run_releases || { explain_no_releases; return 77; }
    CARGO_TARGET_DIR=$target bash tests/clients/release.sh "$1" bash scripts/demo.sh
}
# CI uses a fixed seed and a short time. A crash that a random run finds must not fail an unrelated change.
fuzz_briefly() { FUZZ_SEED=1 fuzz 12; }
fuzz() { build_fuzzers && bash fuzz/run.sh "$@"; }
build_fuzzers() { bash scripts/install-tools.sh g++ && nice bash fuzz/run.sh --build; }

[ "${CI:-}" != true ] || export LONG_TESTS=1
# A package registry that fails for a moment must not fail the tests.
export CARGO_NET_RETRY=10 PIP_RETRIES=10 npm_config_fetch_retries=5
mkdir -p "$logs"
case ${1:-} in
    "")
        [ "$(free_space)" -ge 20 ] || echo "the disk has $(free_space) GB free; all tests need 20"
        stage tools tools
        begin "install other releases" releases
        stage build build
        stage "rust tests" rust_tests
        stage "memory under valgrind" valgrind_runs
        stage "pointers under Miri" miri_runs
        # Most of the tools are downloaded, so this takes less time beside it.
        begin "each cloud alone" each_cloud_alone
        stage "more tools" more_tools
        finish "each cloud alone"
        stage servers servers
        stage "contract tests" contract
        # The second build, in another folder, uses the processor that linking leaves idle.
        begin "reproducible build" reproducible
        stage release release
        stage "release artifact" release_artifact
        stage instructions bash scripts/instructions.sh
        stage installation installation
        stage "supply chain" bash scripts/supply-chain.sh check
        # This leaves the packages that the stage packages tests.
        stage "release of a version" bash tests/release.sh
        finish "install other releases"
        begin packages packages
        # The client scripts mostly wait, so three runs at once are faster than one after the other.
        begin "clients of Debian 13" clients_of trixie
        begin "clients of sid" clients_of sid
        stage clients clients
        finish "clients of Debian 13"
        finish "clients of sid"
        stage "table of clients" python3 tests/clients/table.py --check
        begin "clients of Debian 13 detect wrong signatures" clients_of trixie --spoilt
        [ -z "${CI:-}" ] || begin "build of the fuzzers" build_fuzzers
        stage "clients detect wrong signatures" clients --spoilt
        finish "clients of Debian 13 detect wrong signatures"
        finish packages
        finish "reproducible build"
        stage demo demo
        stage "demo on Debian 13" demo_in trixie
        stage "demo on sid" demo_in sid
        if [ -n "${CI:-}" ]; then
            finish "build of the fuzzers"
            stage fuzz fuzz_briefly
        fi
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
    --memory)
        stage tools tools
        stage build build
        stage "memory under valgrind" valgrind_runs
        stage "pointers under Miri" miri_runs
        ;;
    --fuzz)
        stage tools tools
        stage fuzz fuzz "${@:2}"
        ;;
    --help | -h) usage 0 ;;
    *) usage 2 >&2 ;;
esac

# CI keeps only the end of the output, so the ends of the failed logs come last, before the summary.
for log in "${failed_logs[@]}"; do
    printf '\n===== last lines of %s\n' "$log"
    tail -n 60 "$log"
done
printf '\n===== summary\n'
[ ${#passed[@]} -eq 0 ] || printf 'passed: %s\n' "${passed[@]}"
[ ${#skipped[@]} -eq 0 ] || printf 'skipped: %s\n' "${skipped[@]}"
for at in "${!failed[@]}"; do
    printf 'FAILED: %s\n' "${failed[at]}"
    grep -aE '^FAILED|panicked at|^error' "${failed_logs[at]}" | cut -c1-200 | awk '!seen[$0]++' | tail -n 8 | sed 's/^/    /' || true
done
echo "${#passed[@]} passed, ${#failed[@]} failed, ${#skipped[@]} skipped"
[ ${#failed[@]} -eq 0 ]
