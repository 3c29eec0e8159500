#!/usr/bin/env bash
# Installs what the tests need and runs all of them. On a fresh Debian or Ubuntu machine with Rust and Python 3.
#   scripts/test.sh                   everything
#   scripts/test.sh --quick           what needs neither a release build nor other people's programs
#   scripts/test.sh --clients [NAME]  the client scripts only, all or one, with the clients of this machine
#   scripts/test.sh --memory          host programs under valgrind, the pointer code under Miri where that is installed
#   scripts/test.sh --fuzz [SECONDS]  each fuzz target for so long, by default a minute
# With LONG_TESTS=1, as in CI, what is repeated is repeated a thousand times and not some dozens.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
target=${CARGO_TARGET_DIR:-$PWD/target}
logs=$target/test-logs
passed=() failed=() skipped=() failed_logs=()

usage() { sed -n '2,8s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" && exit "$1"; }

# stage NAME COMMAND...: runs it, shows its output as it comes, and goes on whatever comes of it; 77 is "can't run here".
stage() {
    local name=$1 log=$logs/${1// /-}.log began=$SECONDS outcome=0
    shift
    printf '\n===== %s\n' "$name"
    "$@" 2>&1 | tee "$log" || outcome=$?
    note "$name" "$log" $outcome $((SECONDS - began))
}

# begin NAME COMMAND...: the same beside what follows, until finish NAME, which shows its output.
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
    note "$1" "$log" "$outcome" "$took"
}
declare -A running=()

note() { # NAME LOG OUTCOME SECONDS
    case $3 in
        0) passed+=("$1 ($4 s)") ;;
        77) skipped+=("$1: $(tail -n 1 "$2")") ;;
        *) failed+=("$1 ($4 s): $2") failed_logs+=("$2") ;;
    esac
}

tools() {
    command -v cargo >/dev/null || { echo "Rust is missing: see https://rustup.rs" >&2 && return 1; }
    bash scripts/install-tools.sh gcc libc6-dev openssl curl binutils faketime debootstrap
}
# Other releases of Debian, where this machine is one and we are root.
elsewhere() { [ "$(id -u)" -eq 0 ] && [ "$(. /etc/os-release && echo "$ID $VERSION_CODENAME")" = "debian bookworm" ]; }
cant_be_elsewhere() { echo "other releases need root, and Debian 12 to start from"; }
releases() {
    elsewhere || { cant_be_elsewhere; return 77; }
    local release outcome
    for release in trixie sid; do
        outcome=0
        nice bash tests/clients/release.sh $release bash tests/clients/install.sh --no-servers || outcome=$?
        # The stages that need it say so.
        [ $outcome -eq 0 ] || [ $outcome -eq 77 ] || return 1
    done
}
more_tools() { bash scripts/install-tools.sh cmake make pkg-config p11-kit libp11-kit-dev && bash tests/clients/install.sh; }
build() { cargo build --locked --workspace --all-targets; }
rust_tests() { cargo test --locked --workspace --no-fail-fast; }
release() { cargo build --locked --release --package cloud-kms-pkcs11 --lib; }
release_artifact() { MODULE=$target/release/libcloud_kms_pkcs11.so cargo test --locked --test module artifact; }
valgrind_runs() {
    bash scripts/install-tools.sh valgrind gcc libc6-dev || return 1
    # Alone, one after the other: valgrind is slow, and the services' clients have deadlines.
    UNDER_VALGRIND=1 cargo test --locked --test module -- --test-threads=1 programs::a_program_
}
miri_runs() {
    if ! cargo +nightly miri --version >/dev/null 2>&1; then
        echo "not installed: rustup component add --toolchain nightly miri rust-src"
        return 77
    fi
    cargo +nightly miri test --locked --lib ffi::pointers
}
servers() { bash tests/servers/start.sh && bash tests/servers/check.sh; }
contract() { CONTRACT_SERVERS=$PWD/target/servers/servers.json cargo test --locked --test backends; }
clients() { bash tests/clients/run.sh "$@"; }
clients_of() { # RELEASE [OPTION]
    elsewhere || { cant_be_elsewhere; return 77; }
    clients --release "$@"
}
installed() { bash tests/install.sh; }
demo() { bash scripts/demo.sh; }
demo_in() { # RELEASE
    elsewhere || { cant_be_elsewhere; return 77; }
    CARGO_TARGET_DIR=$target bash tests/clients/release.sh "$1" bash scripts/demo.sh
}
# What is found by chance belongs to whoever looks for it, not to the next change: CI begins every run alike, and soon ends.
fuzz_briefly() { FUZZ_SEED=1 fuzz 20; }
fuzz() { bash scripts/install-tools.sh g++ && bash fuzz/run.sh "$@"; }

[ "${CI:-}" != true ] || export LONG_TESTS=1
# A registry that does not answer for a moment is no failure of what is tested.
export CARGO_NET_RETRY=10 PIP_RETRIES=10 npm_config_fetch_retries=5
mkdir -p "$logs"
case ${1:-} in
    "")
        stage tools tools
        begin "other releases" releases
        stage build build
        stage "rust tests" rust_tests
        stage "memory by valgrind" valgrind_runs
        stage "pointers by Miri" miri_runs
        stage "more tools" more_tools
        stage servers servers
        stage "contract tests" contract
        stage release release
        stage "release artifact" release_artifact
        stage instructions bash scripts/instructions.sh
        stage installed installed
        finish "other releases"
        # Much of their time they wait.
        begin "clients of Debian 13" clients_of trixie
        begin "clients of sid" clients_of sid
        stage clients clients
        finish "clients of Debian 13"
        finish "clients of sid"
        stage "table of clients" python3 tests/clients/table.py --check
        begin "clients of Debian 13 find wrong signatures out" clients_of trixie --spoilt
        stage "clients find wrong signatures out" clients --spoilt
        finish "clients of Debian 13 find wrong signatures out"
        stage demo demo
        stage "demo on Debian 13" demo_in trixie
        stage "demo on sid" demo_in sid
        [ -z "${CI:-}" ] || stage fuzz fuzz_briefly
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
        stage "memory by valgrind" valgrind_runs
        stage "pointers by Miri" miri_runs
        ;;
    --fuzz)
        stage tools tools
        stage fuzz fuzz "${@:2}"
        ;;
    --help | -h) usage 0 ;;
    *) usage 2 >&2 ;;
esac

# Where only the end of an output is kept, as by CI, it has to tell what failed and why.
for log in "${failed_logs[@]}"; do
    printf '\n===== the end of %s\n' "$log"
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
