#!/usr/bin/env bash
# Installs the test servers, and the SDKs that create keys in them, under target/servers (ignored by git). A second run
# installs nothing if the requirements are unchanged. The requirements pin every package, so that the version that was
# checked is the version that runs.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
out=$root/target/servers

step() { printf 'servers: %s\n' "$*"; }

# One virtual environment for each server: their requirements conflict.
python_env() {
    local name=$1 list=$here/requirements/$1.txt dir=$out/$1
    if [ -f "$dir/.installed" ] && cmp -s "$dir/.installed" "$list"; then
        step "$name is installed"
        return
    fi
    step "$name: installing the packages of $list"
    rm -rf "$dir"
    python3 -m venv "$dir"
    "$dir/bin/pip" install --quiet --disable-pip-version-check --requirement "$list"
    cp "$list" "$dir/.installed"
    step "$name: installed"
}

# Independent Azure servers. They were not available when this was written, so each is requested once, and the result is
# reported. When one becomes available, add it to SERVERS in servers.py in place of the emulator.
request() { # NAME COMMAND...
    local name=$1
    shift
    [ ! -e "$out/asked-$name" ] || { cat "$out/asked-$name"; return; }
    if "$@" >"$out/ask.log" 2>&1; then
        step "$name is available now, but not used yet: see tests/servers/README.md" | tee "$out/asked-$name"
    else
        step "skipped $name: the package registry does not provide it" | tee "$out/asked-$name"
    fi
}

mkdir -p "$out"
bash "$root/scripts/install-tools.sh" openssl python3-venv curl
python_env ministack
python_env localstack
python_env tools
command -v mvn >/dev/null && request lowkey-vault-3.4.33 \
    mvn -q -B dependency:get -Dtransitive=false -Dartifact=com.github.nagyesta.lowkey-vault:lowkey-vault-app:3.4.33
command -v go >/dev/null && request azure-keyvault-emulator-0.7.0 \
    env GOBIN="$out/bin" go install github.com/calvinchengx/azure-keyvault-emulator/cmd/azure-keyvault-emulator@v0.7.0
step "all servers are installed"
