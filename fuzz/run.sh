#!/usr/bin/env bash
# run.sh [SECONDS [TARGET...]]: runs each fuzz target, or the named ones, for SECONDS (default: 60), two at a time. Each target
# starts with its corpus.
# run.sh --build: only builds them.
# FUZZ_SEED: the seed. A number other than 0 makes runs repeatable (default: 0, a random seed).
# Works with the stable toolchain: RUSTC_BOOTSTRAP allows the unstable compiler flags that libFuzzer and the address sanitizer
# need. With a nightly toolchain, `cargo fuzz run TARGET` does the same.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
seconds=${1:-60}
shift || true
triple=$(rustc -vV | sed -n 's/^host: //p')
work=${CARGO_TARGET_DIR:-$PWD/../target}/fuzz
mkdir -p "$work"
work=$(cd "$work" && pwd)

targets=("$@")
[ ${#targets[@]} -gt 0 ] || for file in fuzz_targets/*.rs; do targets+=("$(basename "$file" .rs)"); done

runtime=$(rustc --print sysroot)/lib/rustlib/$triple/lib
if ! ls "$runtime"/librustc-*_rt.asan.a >/dev/null 2>&1; then
    echo "skipped: fuzzing: this Rust toolchain has no address sanitizer for $triple; the toolchain of rustup has one for x86-64 Linux"
    exit 77
fi

# The flags of cargo-fuzz. Because --target is given, cargo applies them to the target only, not to build scripts.
flags=(
    --cfg fuzzing
    -Zsanitizer=address
    -Cpasses=sancov-module
    -Cllvm-args=-sanitizer-coverage-level=4
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters
    -Cllvm-args=-sanitizer-coverage-pc-table
    -Cllvm-args=-sanitizer-coverage-trace-compares
)
RUSTC_BOOTSTRAP=1 RUSTFLAGS="${flags[*]}" CARGO_TARGET_DIR=$work \
    cargo build --locked --release --target "$triple"
[ "$seconds" != --build ] || exit 0

# fuzz TARGET: reads the corpus in the repository, and writes new inputs to the work folder.
fuzz() {
    local target=$1 found=$work/corpus/$1 log=$work/$1.log
    local options=(-seed="${FUZZ_SEED:-0}" -max_total_time="$seconds" -timeout=25 -rss_limit_mb=3000 -print_final_stats=1)
    [ ! -f "dictionaries/$target" ] || options+=(-dict="dictionaries/$target")
    mkdir -p "$found" "$work/artifacts/$target"
    "$work/$triple/release/$target" "${options[@]}" -artifact_prefix="$work/artifacts/$target/" \
        "$found" "corpus/$target" >"$log" 2>&1
}

status=0
finish() { # PID TARGET
    if wait "$1"; then
        echo "$2: $(sed -n 's/^stat::number_of_executed_units: *//p' "$work/$2.log") runs, no crash found"
    else
        tail -40 "$work/$2.log"
        echo "$2: CRASH FOUND: see $work/$2.log; fix it, and add the input from $work/artifacts/$2 to fuzz/corpus/$2"
        status=1
    fi
}

for ((i = 0; i < ${#targets[@]}; i += 2)); do
    pids=()
    for target in "${targets[@]:i:2}"; do
        fuzz "$target" &
        pids+=($!)
    done
    for j in "${!pids[@]}"; do finish "${pids[j]}" "${targets[i + j]}"; done
done
exit $status
