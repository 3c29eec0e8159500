#!/usr/bin/env bash
# install.sh [--no-servers] [NAME...]: installs the Debian packages of all client scripts, or of the named ones, and the servers.
# The head of each script lists its packages (scripts.bash).
# In sid a package may be uninstallable for a day. A script with such a package is listed in target/clients/sid/broken, and run.sh
# skips it.
set -euo pipefail
clients=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$clients/../.." && pwd)
. "$clients/scripts.bash"

servers=1
if [ "${1:-}" = --no-servers ]; then
    servers=
    shift
fi
names=("$@")
[ ${#names[@]} -gt 0 ] || mapfile -t names < <(scripts "$(this_release)")

install() { bash "$root/scripts/install-tools.sh" "$@"; }

install_one_by_one() {
    local broken=$root/target/clients/sid/broken name packages
    mkdir -p "$(dirname "$broken")"
    : >"$broken"
    for name in "${names[@]}"; do
        mapfile -t packages < <(packages_of "$name")
        install "${packages[@]}" || echo "$name" >>"$broken"
    done
}

echo "clients: installing the Debian packages"
mapfile -t packages < <(for name in "${names[@]}"; do packages_of "$name"; done | sort -u)
if [ "$(this_release)" != sid ]; then
    install "${packages[@]}"
else
    rm -f "$root/target/clients/sid/broken"
    install "${packages[@]}" || install_one_by_one
fi
[ -z "$servers" ] || bash "$root/tests/servers/install.sh"
