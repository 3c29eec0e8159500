#!/usr/bin/env bash
# release.sh RELEASE COMMAND...: runs the command, here, in another release of Debian (trixie, sid). That is installed into
# target/releases at first use. The tree, the home folder with what package managers have fetched, and the machine's own
# toolchains in /usr/local are bound into it, not copied, and only as long as the command runs.
# Exits with 77 where this machine can't: no root, no debootstrap; or if sid can't be installed today.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
release=$1
shift
place=$root/target/releases/$release

[ "$(id -u)" -eq 0 ] || { echo "a release in a chroot needs root" && exit 77; }
bash "$root/scripts/install-tools.sh" debootstrap || { echo "debootstrap can't be installed" && exit 77; }

# Where this machine's own packages of Debian come from.
mirror() { apt-get indextargets --format '$(REPO_URI)' 'Origin: Debian' 'Identifier: Packages' | head -n 1; }

install() {
    rm -rf "$place.new"
    mkdir -p "$place.new"
    debootstrap --variant=minbase --include=ca-certificates,openssl,python3 "$release" "$place.new" "$(mirror)" || return
    # No package starts a server.
    printf '#!/bin/sh\nexit 101\n' >"$place.new/usr/sbin/policy-rc.d"
    chmod +x "$place.new/usr/sbin/policy-rc.d"
    # A mirror's copy of sid may be some days behind: then its index has expired.
    echo 'Acquire::Check-Valid-Until "false";' >"$place.new/etc/apt/apt.conf.d/90mirror"
    mv "$place.new" "$place"
}
if [ ! -e "$place" ]; then
    echo "release: installing $release"
    mkdir -p "$root/target/releases"
    if ! install >"$place.log" 2>&1; then
        tail -n 20 "$place.log"
        [ "$release" != sid ] || { echo "sid can't be installed today" && exit 77; }
        exit 1
    fi
fi

# Whom this machine trusts, for pip and its like.
cp /etc/ssl/certs/ca-certificates.crt "$place/etc/ssl/certs/ca-certificates.crt"
cp /etc/resolv.conf /etc/hosts "$place/etc/"

export RELEASE=$release PLACE=$place ROOT=$root HERE=$PWD DEBIAN_FRONTEND=noninteractive
export PATH=/usr/local/go/bin:${CARGO_HOME:-$HOME/.cargo}/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin
# What is mounted in this namespace is gone with it, whatever becomes of the command.
exec unshare --mount --propagation private bash -euo pipefail -c '
    bind() { mkdir -p "$PLACE$1" && mount --rbind "$1" "$PLACE$1"; }
    for folder in /proc /sys /dev "$ROOT" "$HOME"; do bind "$folder"; done
    [ ! -d /usr/local/go ] || bind /usr/local/go
    exec chroot "$PLACE" bash -euo pipefail -c '\''cd "$HERE" && exec "$@"'\'' bash "$@"' bash "$@"
