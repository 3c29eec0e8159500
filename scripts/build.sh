#!/usr/bin/env bash
# Builds the module and the tool, so that the result is the same in every folder and contains no path of this machine.
#   scripts/build.sh [OPTION...]    OPTION is one of `cargo build`: --lib for the module alone, --profile dev, --target TARGET
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
cargo=${CARGO:-cargo}
# CMake may find cargo in a folder that is not in PATH. rustc is in the same folder.
PATH=$PATH:$(dirname "$(command -v "$cargo")")
target=${CARGO_TARGET_DIR:-$PWD/target}
cargo_home=${CARGO_HOME:-$HOME/.cargo}

# Messages of panics contain paths. Paths below this folder are relative already, those of other crates are below cargo's home.
# The name of the folder with their source depends on the registry, so the crates must be there before its name is known.
"$cargo" fetch --quiet --locked --target "$(rustc --print host-tuple)"
flags=("$(rustc --print sysroot)/lib/rustlib/src/rust=/rustc/$(rustc -vV | sed -n 's/^commit-hash: //p')")
for folder in "$cargo_home"/registry/src/*/; do
    flags+=("${folder%/}=/crates")
done
flags+=("$target=/target")
RUSTFLAGS="${RUSTFLAGS:-}$(printf ' --remap-path-prefix=%s' "${flags[@]}")"
export RUSTFLAGS

# The packages are named together, whatever is built of them: so they share their dependencies, with the same features. A command
# with one package would build the module with other features, and each of the two commands would undo what the other has built.
case " $* " in
    *" --profile"*) profile=() ;;
    *) profile=(--release) ;;
esac
exec "$cargo" build --locked "${profile[@]}" --package cloud-kms-pkcs11 --package cloud-kms-pkcs11-cli "$@"
