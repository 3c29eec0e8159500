#!/usr/bin/env bash
# install.sh [--no-servers]: installs the clients that the scripts here run (each names its Debian packages in a line
# "# apt: ..."), and the servers.
set -euo pipefail
clients=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$clients/../.." && pwd)

echo "clients: packages"
mapfile -t packages < <(sed -n 's/^# apt: //p' "$clients"/*.sh | tr ' ' '\n' | sort -u)
bash "$root/scripts/install-tools.sh" "${packages[@]}"
[ "${1:-}" = --no-servers ] || bash "$root/tests/servers/install.sh"
