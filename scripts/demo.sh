#!/usr/bin/env bash
# Builds the module and signs a file with openssl and six keys: an RSA and an EC key in AWS KMS, in Azure Key Vault and in Google Cloud KMS.
# An emulator on this machine takes the place of these services, so no cloud account is needed. If the tests' server of HashiCorp
# Vault has been built (tests/servers/install.sh), two more keys are in a real Vault. The servers are stopped at the end.
# Needs Debian or Ubuntu, and Rust.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
target=${CARGO_TARGET_DIR:-$PWD/target}
demo=$target/demo
module=$target/release/libcloud_kms_pkcs11.so

step() { printf '\n== %s\n' "$*"; }
run() { # COMMAND: prints it, then runs it
    local word line=
    for word in "$@"; do
        if [[ $word =~ ^[[:alnum:]_./=:-]+$ ]]; then line+=" $word"; else line+=" ${word@Q}"; fi
    done
    printf '$%s\n' "$line"
    "$@"
}

step "1/4 Install the tools: a C compiler, openssl, curl, and what connects openssl to PKCS#11 modules"
command -v cargo >/dev/null || { echo "Rust is not installed: install it from https://rustup.rs, then run this script again" >&2 && exit 1; }
bash scripts/install-tools.sh gcc libc6-dev openssl curl
# OpenSSL 3.0 (Debian 12) uses libp11's engine. Later releases of Debian and Ubuntu have pkcs11-provider.
case $(openssl version) in
    "OpenSSL 3.0."*) package=libengine-pkcs11-openssl way=engine key=(-engine pkcs11 -keyform engine) ;;
    *) package=pkcs11-provider way=provider key=() ;;
esac
bash scripts/install-tools.sh "$package"

step "2/4 Build the module and the emulator (some minutes the first time)"
# The same commands as in scripts/test.sh, so that neither builds again what the other has built.
run bash scripts/build.sh --lib
run cargo build --locked --workspace --bins

step "3/4 Start the emulator of AWS KMS, Azure Key Vault and Google Cloud KMS, with six keys"
rm -rf "$demo"
mkdir -p "$demo"
"$target/debug/cloud-kms-emulator" --ca-file "$demo/ca.pem" --ready-file "$demo/ready.json" \
    --aws-key alias/demo-rsa=RSA_3072 --aws-key alias/demo-ec=ECC_NIST_P256 \
    --vault-key demo-rsa=RSA-2048 --vault-key demo-ec=P-384 \
    --google-key demo-rsa=RSA_SIGN_PKCS1_3072_SHA256 --google-key demo-ec=EC_SIGN_P256_SHA256 \
    --google-credentials-file "$demo/service-account.json" >"$demo/emulator.log" 2>&1 &
emulator=$!
servers=("$emulator")
trap 'kill "${servers[@]}" 2>/dev/null || true; wait "${servers[@]}" 2>/dev/null || true' EXIT
wait_for() { # PROCESS FILE LOG: waits until a server has written its file
    for _ in $(seq 600); do
        [ ! -s "$2" ] || return 0
        kill -0 "$1" 2>/dev/null || { cat "$3" >&2 && exit 1; }
        sleep 0.1
    done
    echo "the server did not start within a minute: see $3" >&2 && exit 1
}
# value NAME FILE: prints a text or number of a JSON file with one object.
value() { sed "s/.*\"$1\":\"\{0,1\}\([^\",}]*\).*/\1/" "$2"; }
wait_for "$emulator" "$demo/ready.json" "$demo/emulator.log"
port=$(value port "$demo/ready.json")
echo "The emulator listens on 127.0.0.1:$port."

tokens=(aws-rsa aws-ec azure-rsa azure-ec google-rsa google-ec) vault_slots=
vault_server=$PWD/target/servers/bin/vault-server
if [ -x "$vault_server" ]; then
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=localhost -days 2 \
        -keyout "$demo/vault.key" -out "$demo/vault.pem" 2>/dev/null
    "$vault_server" 0 "$demo/vault.pem" "$demo/vault.key" "$demo/vault.pem" "$demo/vault.json" >"$demo/vault.log" 2>&1 &
    servers+=($!)
    wait_for $! "$demo/vault.json" "$demo/vault.log"
    vault=$(value plain_address "$demo/vault.json")
    (umask 077 && value root_token "$demo/vault.json" >"$demo/vault-token")
    ask_vault() { curl -fsS -H "X-Vault-Token: $(cat "$demo/vault-token")" "$vault/v1/$1" "${@:2}"; }
    ask_vault sys/mounts/transit -d '{"type": "transit"}'
    ask_vault transit/keys/demo-rsa -d '{"type": "rsa-3072"}' >/dev/null
    ask_vault transit/keys/demo-ec -d '{"type": "ecdsa-p256"}' >/dev/null
    tokens+=(vault-rsa vault-ec)
    vault_slots=",
    { \"label\": \"vault-rsa\", \"transit_key\": \"demo-rsa\", \"vault_address\": \"$vault\", \"vault_token_file\": \"vault-token\" },
    { \"label\": \"vault-ec\", \"transit_key\": \"demo-ec\", \"vault_address\": \"$vault\", \"vault_token_file\": \"vault-token\" }"
    echo "A real HashiCorp Vault listens at $vault, with two more keys."
else
    echo "To sign with a real HashiCorp Vault as well, build it with tests/servers/install.sh (some minutes, needs Go)."
fi

google_ring=$(value key_ring "$demo/ready.json")
cat >"$demo/config.json" <<JSON
{
  "aws_region": "eu-central-1",
  "aws_endpoint_url": "http://127.0.0.1:$port",
  "vault_url": "https://127.0.0.1:$port",
  "azure_authority_host": "https://127.0.0.1:$port",
  "verify_challenge_resource": false,
  "google_endpoint_url": "http://127.0.0.1:$port",
  "google_credentials_file": "service-account.json",
  "ca_bundle": "$demo/ca.pem",
  "slots": [
    { "label": "aws-rsa", "kms_key_id": "alias/demo-rsa" },
    { "label": "aws-ec", "kms_key_id": "alias/demo-ec" },
    { "label": "azure-rsa", "key_name": "demo-rsa" },
    { "label": "azure-ec", "key_name": "demo-ec" },
    { "label": "google-rsa", "google_key": "$google_ring/cryptoKeys/demo-rsa/cryptoKeyVersions/1" },
    { "label": "google-ec", "google_key": "$google_ring/cryptoKeys/demo-ec/cryptoKeyVersions/1" }$vault_slots
  ]
}
JSON
case $way in
    provider)
        cat >"$demo/openssl.cnf" <<CNF
openssl_conf = setup
[setup]
providers = providers
[providers]
default = builtin
pkcs11 = pkcs11
[builtin]
activate = 1
[pkcs11]
activate = 1
pkcs11-module-path = $module
CNF
        ;;
    engine)
        cat >"$demo/openssl.cnf" <<CNF
openssl_conf = setup
[setup]
engines = engines
[engines]
pkcs11 = pkcs11
[pkcs11]
engine_id = pkcs11
dynamic_path = $(openssl version -e | sed 's/^ENGINESDIR: "\(.*\)"$/\1/')/pkcs11.so
MODULE_PATH = $module
init = 0
CNF
        ;;
esac
export CLOUD_KMS_PKCS11_CONFIG=$demo/config.json
echo "The module reads $CLOUD_KMS_PKCS11_CONFIG, which has a token for each key."
echo "To sign, openssl reads $demo/openssl.cnf, which loads the module."
export AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AZURE_TENANT_ID AZURE_CLIENT_ID AZURE_CLIENT_SECRET
own() { value "$1" "$demo/ready.json"; }
AWS_ACCESS_KEY_ID=$(own access_key_id) AWS_SECRET_ACCESS_KEY=$(own secret_access_key)
AZURE_TENANT_ID=$(own tenant_id) AZURE_CLIENT_ID=$(own client_id) AZURE_CLIENT_SECRET=$(own client_secret)

public_key() { # TOKEN: fetches the public key from the server, so that the verification does not depend on the module
    case $1 in
        vault-*) ask_vault "transit/keys/demo-${1#vault-}" | sed 's/.*"public_key":"\([^"]*\)".*/\1/; s/\\n/\n/g' ;;
        aws-*) curl -fsS "http://127.0.0.1:$port/_control/aws/keys/alias/demo-${1#aws-}/public.pem" ;;
        google-*) curl -fsS "http://127.0.0.1:$port/_control/google/keys/demo-${1#google-}/public.pem" ;;
        azure-*) curl -fsS "http://127.0.0.1:$port/_control/vaults/default/keys/demo-${1#azure-}/public.pem" ;;
    esac >"$demo/$1.pem"
}

echo "the contract" >"$demo/contract.txt"
step "4/4 Sign with each key through the module, then verify without the module"
for token in "${tokens[@]}"; do
    printf '\n-- token %s\n' "$token"
    public_key "$token"
    OPENSSL_CONF=$demo/openssl.cnf run openssl dgst -sha256 "${key[@]}" \
        -sign "pkcs11:token=$token;type=private" -out "$demo/$token.sig" "$demo/contract.txt"
    run openssl dgst -sha256 -verify "$demo/$token.pem" -signature "$demo/$token.sig" "$demo/contract.txt"
done

step "Done: openssl made ${#tokens[@]} signatures through the module, and all of them are valid"
echo "Each signature was verified with the public key that the server holds, without the module."
echo
echo "To use your own keys, write this to ~/.config/cloud-kms-pkcs11/config.json, with the names of your keys:"
cat <<'JSON'
{
  "slots": [
    { "label": "my-aws-key", "aws_region": "eu-central-1", "kms_key_id": "alias/my-key" },
    { "label": "my-azure-key", "vault_url": "https://my-vault.vault.azure.net", "key_name": "my-key" },
    { "label": "my-google-key",
      "google_key": "projects/my-project/locations/europe-west3/keyRings/my-ring/cryptoKeys/my-key/cryptoKeyVersions/1" },
    { "label": "my-vault-key", "vault_address": "https://vault.example.com:8200", "transit_key": "my-key" }
  ]
}
JSON
echo "The module is $module."
echo "README.md describes the installation and the permissions that the module needs."
