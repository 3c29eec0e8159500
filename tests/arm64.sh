#!/usr/bin/env bash
# Makes the packages for arm64 on another processor, and runs the module and the tool of the deb in an emulated processor: signatures,
# threads, forks, unloading. Exits with 77 if this machine can't do that.
# QUICK=1 builds without the slow optimizations of a release.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
. tests/packages/common.bash
# Below this repository, which the chroot sees.
work=$target/packages/arm64/test
rm -rf "$work"
mkdir -p "$work"
tidy() {
    stop_emulator
    rm -rf "$work"
    # What was built quickly is not for use.
    [ -z "${QUICK:-}" ] || rm -rf "$target"/packages/*arm64.deb "$target"/packages/*aarch64.rpm "$target/aarch64-unknown-linux-gnu"
}
trap tidy EXIT
if [ -n "${QUICK:-}" ]; then
    export CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 CARGO_PROFILE_RELEASE_OPT_LEVEL=0
    # Unoptimized code needs more stack, which the module's threads have with debug assertions.
    export CARGO_PROFILE_RELEASE_DEBUG_ASSERTIONS=true
    # AWS-LC does that itself in an optimized build.
    export CFLAGS_aarch64_unknown_linux_gnu=-ffile-prefix-map=${CARGO_HOME:-$HOME/.cargo}/=/crates/
fi
bash scripts/package.sh --arch arm64
bash scripts/install-tools.sh curl file

version=$(python3 packaging/changelog.py package-version "$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml | head -n 1)")
deb=$target/packages/cloud-kms-pkcs11_${version}_arm64.deb
module=$work/tree/usr/lib/aarch64-linux-gnu/pkcs11/libcloud_kms_pkcs11.so

is_for_arm64() {
    [ "$(dpkg-deb -f "$deb" Architecture)" = arm64 ]
    file "$module" "$work/tree/usr/bin/cloud-kms-pkcs11" >"$work/file"
    cat "$work/file"
    [ "$(grep -c 'ARM aarch64' "$work/file")" -eq 2 ]
    dpkg --compare-versions "$(dpkg-deb -f "$deb" Depends | sed 's/libc6 (>= \([^)]*\).*/\1/')" le 2.36
}
# What tests/module/process/programs.rs does with the same program.
configure_host() {
    local name place
    place=127.0.0.1:$(ready port)
    for name in a denied; do
        control aws/keys "{\"spec\": \"ECC_NIST_P256\", \"alias\": \"alias/$name\"}"
    done
    control vaults/default/keys '{"name": "z", "kty": "RSA", "size": 2048}'
    control faults '{"operation": "kms.Sign", "key": "alias/denied", "action": "deny"}'
    write_config "$emulator/config.json"
    python3 - "$emulator/config.json" "https://$place" >"$work/host.json" <<'PYTHON'
import json, pathlib, sys
file = pathlib.Path(sys.argv[1])
config = json.loads(file.read_text())
config |= {"aws_endpoint_url": sys.argv[2], "call_timeout_ms": 120000, "connect_timeout_ms": 60000, "cache": False,
           "ca_bundle": str(file.parent / "ca.pem"), "google_credentials_file": str(file.parent / "service-account.json"),
           "slots": [{"label": "a", "kms_key_id": "alias/a"}, {"label": "z", "key_name": "z"},
                     {"label": "denied", "kms_key_id": "alias/denied"}, {"label": "missing", "key_name": "missing"}]}
print(json.dumps(config))
PYTHON
}
control() { curl --silent --show-error --fail --data "$2" "$(ready control_url)/$1" >/dev/null; }
build_host() {
    aarch64-linux-gnu-gcc -std=gnu11 -Wall -Wextra -Werror -pthread -o "$work/host" -I include tests/c/host.c -ldl
}
# In a Debian 13: the emulator of Debian 12 can't start threads in a forked child.
run_emulated() {
    cp -rL /usr/aarch64-linux-gnu/lib "$work/lib"
    bash tests/clients/release.sh --fresh trixie bash tests/packages/emulated.sh "$work" "$module"
}

dpkg-deb -x "$deb" "$work/tree"
start_emulator "$work/emulator"
check "arm64: the deb is for this processor, and for the C library of Debian 12" is_for_arm64
check "arm64: no path of the machine that made it" bash scripts/reproducible.sh paths "$module" "$work/tree/usr/bin/cloud-kms-pkcs11"
check "arm64: the configuration" configure_host
check "arm64: the host program is built" build_host
run_emulated | tee "$work/emulated"
passed=$((passed + $(grep -c '^ok' "$work/emulated")))
echo "$passed passed, 0 failed"
