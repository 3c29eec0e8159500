#!/usr/bin/env bash
# release.sh RELEASE COMMAND...: runs the command in the current folder, in a chroot with another release of Debian (trixie, sid).
# The first use installs the release into target/releases. While the command runs, this repository, the home folder (with the
# downloads of package managers) and Go in /usr/local/go are mounted into the chroot.
# release.sh --fresh RELEASE COMMAND...: the same in a release (also bookworm) in which nothing else is installed. Only this repository
# is mounted, and what the command changes is forgotten when it ends.
# Exits with 77 if this machine can't do that (no root, no debootstrap), or if sid can't be installed today.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
fresh=
if [ "$1" = --fresh ]; then
    fresh=1
    shift
fi
release=$1
shift
place=$root/target/releases/$release${fresh:+-fresh}

[ "$(id -u)" -eq 0 ] || { echo "$release: a chroot needs root; run this as root" && exit 77; }
bash "$root/scripts/install-tools.sh" debootstrap || { echo "$release: the package debootstrap can't be installed" && exit 77; }

# Prints the address from which this machine gets Debian's packages.
mirror() { apt-get indextargets --format '$(REPO_URI)' 'Origin: Debian' 'Identifier: Packages' | head -n 1; }

install() {
    rm -rf "$place.new"
    mkdir -p "$place.new"
    # shellcheck disable=SC2046
    debootstrap --variant=minbase $([ -n "$fresh" ] || echo --include=ca-certificates,openssl,python3) "$release" "$place.new" "$(mirror)" || return
    # Prevents packages from starting servers when they are installed (invoke-rc.d).
    printf '#!/bin/sh\nexit 101\n' >"$place.new/usr/sbin/policy-rc.d"
    chmod +x "$place.new/usr/sbin/policy-rc.d"
    # A mirror's copy of sid may be some days old, and its index expired. What is installed need not be kept twice.
    printf '%s\n' 'Acquire::Check-Valid-Until "false";' 'APT::Keep-Downloaded-Packages "false";' >"$place.new/etc/apt/apt.conf.d/90mirror"
    mv "$place.new" "$place"
}
if [ ! -e "$place" ]; then
    echo "installing $release into $place"
    mkdir -p "$root/target/releases"
    if ! install >"$place.log" 2>&1; then
        tail -n 20 "$place.log"
        [ "$release" != sid ] || { echo "sid can't be installed today: see $place.log" && exit 77; }
        exit 1
    fi
fi

# The CAs that this machine trusts, for pip and other package managers.
[ -n "$fresh" ] || cp /etc/ssl/certs/ca-certificates.crt "$place/etc/ssl/certs/ca-certificates.crt"
cp /etc/resolv.conf /etc/hosts "$place/etc/"

export RELEASE=$release PLACE=$place ROOT=$root HERE=$PWD FRESH=$fresh DEBIAN_FRONTEND=noninteractive
export PATH=/usr/local/go/bin:${CARGO_HOME:-$HOME/.cargo}/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin
# The mounts are in a new namespace, so they disappear when the command ends, however it ends.
exec unshare --mount --propagation private bash -euo pipefail -c '
    bind() { mkdir -p "$PLACE$1" && mount --rbind "$1" "$PLACE$1"; }
    if [ -n "$FRESH" ]; then
        mount -t tmpfs tmpfs /mnt
        mkdir /mnt/changes /mnt/work
        mount -t overlay -o "lowerdir=$PLACE,upperdir=/mnt/changes,workdir=/mnt/work" overlay "$PLACE"
    else
        for folder in "$HOME" /usr/local/go; do [ ! -d "$folder" ] || bind "$folder"; done
    fi
    for folder in /proc /sys /dev "$ROOT"; do bind "$folder"; done
    exec chroot "$PLACE" bash -euo pipefail -c '\''cd "$HERE" && exec "$@"'\'' bash "$@"' bash "$@"
