#!/usr/bin/env bash
# Tests the installation by cmake: ctest, a prefix (as a user installs), a DESTDIR (as a packager installs), and that p11-kit
# finds the module.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
passed=0

check() {
    local name=$1
    shift
    "$@" >"$work/log" 2>&1 || { echo "FAILED  $name" && cat "$work/log" && exit 1; }
    passed=$((passed + 1))
    echo "ok      $name"
}

configure() { cmake -S . -B "$work/build" -DCARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$PWD/target}" "$@"; }

# README's commands, but its folder "build" is a temporary one, and sudo installs packages as install-tools.sh does and
# everything else into a DESTDIR.
readme_commands() {
    local block
    block=$(awk '/^```sh$/ { block = "" } { block = block $0 "\n" } /^```$/ && block ~ /cmake --install/ { printf "%s", block; exit }' \
        README.md | sed '1d;$d' | sed -E "s, build( |$), $work/readme-build\1,g; s,^cmake -S .*,& -DCARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target},")
    echo "$block"
    [ -n "$block" ] || return
    sudo() {
        case $1 in
            apt-get) bash scripts/install-tools.sh "${@:3}" ;;
            *) DESTDIR=$work/stage "$@" ;;
        esac
    }
    export work
    export -f sudo
    bash -euxc "$block"
}

check "configure" configure -DCMAKE_INSTALL_PREFIX="$work/prefix"
check "build" cmake --build "$work/build"
(cd "$work/build" && ctest --output-on-failure)
check "install under a prefix" cmake --install "$work/build"

module=$(find "$work/prefix" -name libcloud_kms_pkcs11.so)
registration=$(find "$work/prefix" -name cloud-kms-pkcs11.module)
check "the .module file names the module" grep -qx "module: $module" "$registration"
check "the header is installed" test -e "$work/prefix/include/cloud-kms-pkcs11/pkcs11.h"
check "the example configuration is installed" test -n "$(find "$work/prefix" -name config.example.json)"
echo '{ "slots": [] }' >"$work/empty.json"
check "the tool finds the module" env CLOUD_KMS_PKCS11_CONFIG="$work/empty.json" "$work/prefix/bin/cloud-kms-pkcs11" list
check "the tool's man pages are installed" test -s "$work/prefix/share/man/man1/cloud-kms-pkcs11.1.gz"
check "the completions are installed" test -s "$work/prefix/share/bash-completion/completions/cloud-kms-pkcs11"
check "pkg-config finds the module" test -e \
    "$(PKG_CONFIG_PATH=$(dirname "$(find "$work/prefix" -name cloud-kms-pkcs11.pc)") pkg-config --variable=p11_module cloud-kms-pkcs11)"

# p11-kit reads a user's registrations from ~/.config/pkcs11/modules, but not for root. So root tests as another user.
mkdir -p "$work/home/.config/pkcs11/modules" "$work/home/.config/cloud-kms-pkcs11"
cp "$registration" "$work/home/.config/pkcs11/modules/"
echo '{ "slots": [{ "label": "installed", "aws_region": "eu-central-1", "kms_key_id": "alias/none" }] }' \
    >"$work/home/.config/cloud-kms-pkcs11/config.json"
user=()
if [ "$(id -u)" -eq 0 ]; then
    user=(setpriv --reuid=65534 --regid=65534 --clear-groups)
    chmod -R a+rX "$work"
fi
lists() {
    "${user[@]}" env -u XDG_CONFIG_HOME HOME="$work/home" p11-kit list-modules >"$work/modules"
    cat "$work/modules"
    grep -q 'token: installed' "$work/modules"
}
check "p11-kit lists the token" lists

if [ "$(id -u)" -eq 0 ]; then
    # README's commands. With p11-kit's own prefix the bare file name is enough, and DESTDIR keeps the machine as it is.
    check "README's commands, into a DESTDIR" readme_commands
    path=$(pkg-config --variable=p11_module_path p11-kit-1)
    check "the module is in p11-kit's folder" test -e "$work/stage$path/libcloud_kms_pkcs11.so"
    [ "$(uname -m)" != x86_64 ] ||
        check "README's path of the module" grep -qx "export MODULE=$path/libcloud_kms_pkcs11.so" README.md
    configs=$(pkg-config --variable=p11_module_configs p11-kit-1)
    check "the .module file has the bare file name" grep -qx "module: libcloud_kms_pkcs11.so" "$work/stage$configs/cloud-kms-pkcs11.module"
fi
echo "$passed passed, 0 failed"
