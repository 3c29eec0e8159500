#!/usr/bin/env bash
# Installs the servers that the tests talk to, and the SDKs that fill them,
# under target/servers (git-ignored). Everything is pinned; a second run only
# looks. The Python requirements are complete freezes, so that a server that
# was checked stays the server that is run.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
out=$root/target/servers

step() { printf 'servers: %s\n' "$*"; }

# One virtual environment for each: their pins contradict each other.
python_env() {
    local name=$1 list=$here/requirements/$1.txt dir=$out/$1
    if [ -f "$dir/.installed" ] && cmp -s "$dir/.installed" "$list"; then
        step "$name is there"
        return
    fi
    step "$name: installing"
    rm -rf "$dir"
    python3 -m venv "$dir"
    "$dir/bin/pip" install --quiet --disable-pip-version-check --requirement "$list"
    cp "$list" "$dir/.installed"
    step "$name: done"
}

# Independent Azure servers, which no registry that we reach has had so far: asked for once, and reported.
# Whoever sees one of them arrive writes its start into servers.py, and puts it in the emulator's place there.
ask() { # NAME COMMAND...
    local name=$1
    shift
    [ ! -e "$out/asked-$name" ] || { cat "$out/asked-$name"; return; }
    if "$@" >"$out/ask.log" 2>&1; then
        step "$name can be had now: it is not used yet (tests/servers/README.md)" | tee "$out/asked-$name"
    else
        step "skipped $name: the registry does not have it" | tee "$out/asked-$name"
    fi
}

mkdir -p "$out"
bash "$root/scripts/install-tools.sh" openssl python3-venv curl
python_env ministack
python_env localstack
python_env tools
command -v mvn >/dev/null && ask lowkey-vault-3.4.33 \
    mvn -q -B dependency:get -Dtransitive=false -Dartifact=com.github.nagyesta.lowkey-vault:lowkey-vault-app:3.4.33
command -v go >/dev/null && ask azure-keyvault-emulator-0.7.0 \
    env GOBIN="$out/bin" go install github.com/calvinchengx/azure-keyvault-emulator/cmd/azure-keyvault-emulator@v0.7.0
step "all installed"
