#!/usr/bin/env bash
# packages.sh [RELEASE...]: tests the packages that scripts/package.sh has made: by lintian, rpm and rpmlint, and by installing the deb
# into a fresh Debian (bookworm, trixie, sid), where programs sign with keys of an emulator. Needs root for the releases.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
work=$(mktemp -d)
. tests/packages/common.bash
releases=("$@")
[ $# -gt 0 ] || releases=(bookworm trixie sid)
given=$target/packages/given
trap 'stop_emulator; rm -rf "$work" "$given"' EXIT
bash scripts/install-tools.sh curl dpkg-dev lintian openssl rpm rpmlint python3

version=$(python3 packaging/changelog.py package-version "$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml | head -n 1)")
deb=$target/packages/cloud-kms-pkcs11_${version}_amd64.deb
rpm=$target/packages/cloud-kms-pkcs11-$version-1.x86_64.rpm

. tests/packages/deb.bash
. tests/packages/rpm.bash
test_deb "$deb"
test_rpm "$rpm" "$deb"

if [ "$(id -u)" -ne 0 ]; then
    echo "$passed passed, 0 failed"
    echo "the packages can't be installed: a chroot needs root"
    exit 77
fi
start_emulator "$given"
write_config "$given/config.json"
skipped=()
for release in "${releases[@]}"; do
    outcome=0
    bash tests/clients/release.sh --fresh "$release" bash tests/packages/installed.sh "$deb" "$given" >"$work/$release" 2>&1 || outcome=$?
    sed "s/^/$release: /" "$work/$release"
    case $outcome in
        0) passed=$((passed + $(grep -c '^ok' "$work/$release"))) ;;
        77) skipped+=("$(tail -n 1 "$work/$release")") ;;
        *) exit 1 ;;
    esac
done
echo "$passed passed, 0 failed"
if [ ${#skipped[@]} -gt 0 ]; then
    printf '%s\n' "${skipped[@]}"
    exit 77
fi
