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

# A real Vault. Go builds it from the packages of its own modules, which takes some minutes. The name of the program has the
# hash of its sources, so it is built once for each version.
vault() {
    local source=$here/vault-server work=$out/vault-build program
    command -v go >/dev/null || { step "skipped vault: Go is not installed"; return; }
    printf '1.20\n%s\n' "$(go env GOVERSION | sed 's/^go//')" | sort -CV || { step "skipped vault: it needs Go 1.20"; return; }
    program=$out/bin/vault-server-$(cat "$source"/{go.mod,go.sum,main.go} | sha256sum | cut -c1-16)
    if [ -x "$program" ]; then
        step "vault is installed"
    else
        step "vault: building, which takes some minutes"
        build_vault "$source" "$work" "$program" >"$out/vault.log" 2>&1 &
        # Waited for like this, because `set -e` has no effect within a condition.
        if ! wait $!; then
            # Only a registry without the packages is no fault of this machine or of the sources.
            grep -q "403 Forbidden\|404 Not Found" "$out/vault.log" || { cat "$out/vault.log" && return 1; }
            step "skipped vault: the Go module proxy does not provide its packages"
            return
        fi
        step "vault: built"
    fi
    ln -sf "$(basename "$program")" "$out/bin/vault-server"
}

# The only published version of Vault's SDK that fits this Vault refuses a path of Vault itself ("defines a CreateOperation but no
# ExistenceCheck"). So Vault is built with a copy of the SDK that lacks this check.
build_vault() ( # SOURCE WORK PROGRAM
    set -e
    rm -rf "$2"
    mkdir -p "$2"
    cp "$1"/{go.mod,go.sum,main.go} "$2"
    cd "$2"
    sdk=$(go mod download -json github.com/hashicorp/vault/sdk | python3 -c 'import json, sys; print(json.load(sys.stdin)["Dir"])')
    cp -r "$sdk" sdk
    chmod -R u+w sdk
    sed 's/if p.ExistenceCheck == nil {/if false {/' "$sdk/framework/backend.go" >sdk/framework/backend.go
    if cmp -s "$sdk/framework/backend.go" sdk/framework/backend.go; then echo "the check is not where it was" && exit 1; fi
    go mod edit -replace github.com/hashicorp/vault/sdk=./sdk
    nice go build -trimpath -o "$3.new" .
    mv "$3.new" "$3"
)

mkdir -p "$out/bin"
bash "$root/scripts/install-tools.sh" openssl python3-venv curl
python_env ministack
python_env localstack
python_env tools
command -v mvn >/dev/null && request lowkey-vault-3.4.33 \
    mvn -q -B dependency:get -Dtransitive=false -Dartifact=com.github.nagyesta.lowkey-vault:lowkey-vault-app:3.4.33
command -v go >/dev/null && request azure-keyvault-emulator-0.7.0 \
    env GOBIN="$out/bin" go install github.com/calvinchengx/azure-keyvault-emulator/cmd/azure-keyvault-emulator@v0.7.0
vault
step "all servers are installed"
