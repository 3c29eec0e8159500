#!/usr/bin/env bash
# emulated.sh FOLDER MODULE: runs in a Debian with a recent qemu. Runs programs for arm64 of the folder with the module.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
given=$1 module=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
. "$root/tests/packages/common.bash"

install_qemu() {
    apt-get -o Acquire::Retries=5 -qq update
    apt-get -o Acquire::Retries=5 install -y -qq --no-install-recommends qemu-user
    # qemu looks for the libraries of the processor below this folder.
    mkdir /sysroot && ln -s "$given/lib" /sysroot/lib
}
host() { CLOUD_KMS_PKCS11_CONFIG=$given/host.json qemu-aarch64 -L /sysroot "$given/host" "$module" "$@"; }
lists() {
    CLOUD_KMS_PKCS11_CONFIG=$given/emulator/config.json qemu-aarch64 -L /sysroot "$given/tree/usr/bin/cloud-kms-pkcs11" list \
        --module "$module" >"$work/list"
    cat "$work/list"
    grep -q 'pkcs11:token=aws-rsa;' "$work/list" && grep -q 'pkcs11:token=google-ec;' "$work/list"
}

check "arm64: apt install of qemu" install_qemu
check "arm64: signatures, threads and a forked child" host everything
check "arm64: loading and unloading 20 times" host cycles 20
check "arm64: cloud-kms-pkcs11 list" lists
