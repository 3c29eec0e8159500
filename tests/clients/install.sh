#!/usr/bin/env bash
# Installs the clients that the scripts here run, and the servers they need.
set -euo pipefail
clients=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

missing=()
for name in opensc gnutls-bin libengine-pkcs11-openssl openssh-client openssh-server time; do
    dpkg-query -W -f '${Status}' "$name" 2>/dev/null | grep -q 'install ok installed' || missing+=("$name")
done
if [ ${#missing[@]} -eq 0 ]; then
    echo "clients: packages are there"
else
    echo "clients: installing ${missing[*]}"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi
bash "$clients/../servers/install.sh"
