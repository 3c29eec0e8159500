#!/usr/bin/env bash
# recordings.sh: makes docs/images/doctor.svg from what `doctor` and `list` print, with an emulator of the clouds on this machine.
# Only paths are replaced: those of the home directory and of the module. Needs Rust.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
bash scripts/install-tools.sh libengine-pkcs11-openssl openssl p11-kit python3 util-linux
cargo build --locked --workspace --bins
cargo build --locked --package cloud-kms-pkcs11 --lib
built=${CARGO_TARGET_DIR:-$PWD/target}/debug
module=$built/libcloud_kms_pkcs11.so

home=$(mktemp -d)
"$built/cloud-kms-emulator" --seed 1 --ca-file "$home/ca.pem" --ready-file "$home/ready.json" --aws-key alias/web=ECC_NIST_P256 \
    --vault-certificate code=RSA-3072 --google-key image=EC_SIGN_P256_SHA256 --google-credentials-file "$home/google.json" >/dev/null &
emulator=$!
trap 'kill $emulator 2>/dev/null || true; wait $emulator 2>/dev/null || true; rm -rf "$home"' EXIT
for _ in $(seq 600); do
    [ ! -s "$home/ready.json" ] || break
    sleep 0.1
done
value() { sed "s/.*\"$1\":\"\{0,1\}\([^\",}]*\).*/\1/" "$home/ready.json"; }
port=$(value port)

mkdir -p "$home"/.config/{cloud-kms-pkcs11,pkcs11/modules} "$home/.cache" "$home/.aws"
echo "module: $module" >"$home/.config/pkcs11/modules/cloud-kms-pkcs11.module"
printf '[default]\naws_access_key_id = %s\naws_secret_access_key = %s\n' "$(value access_key_id)" "$(value secret_access_key)" \
    >"$home/.aws/credentials"
value client_secret >"$home/azure-secret"
cat >"$home/.config/cloud-kms-pkcs11/config.json" <<JSON
{
  "aws_region": "eu-central-1",
  "aws_endpoint_url": "http://127.0.0.1:$port",
  "vault_url": "https://127.0.0.1:$port",
  "azure_authority_host": "https://127.0.0.1:$port",
  "azure_tenant_id": "$(value tenant_id)",
  "azure_client_id": "$(value client_id)",
  "azure_client_secret_file": "$home/azure-secret",
  "verify_challenge_resource": false,
  "google_endpoint_url": "http://127.0.0.1:$port",
  "google_credentials_file": "$home/google.json",
  "ca_bundle": "$home/ca.pem",
  "slots": [
    { "label": "web", "kms_key_id": "alias/web" },
    { "label": "old-web", "kms_key_id": "alias/old-web" },
    { "label": "code-signing", "key_name": "code" },
    { "label": "image", "google_key": "$(value key_ring)/cryptoKeys/image/cryptoKeyVersions/1" }
  ]
}
JSON
chmod 600 "$home"/{azure-secret,google.json,.aws/credentials}

# p11-kit ignores the home directory of root.
as_user=()
if [ "$(id -u)" -eq 0 ]; then
    chown -R nobody: "$home"
    as_user=(setpriv --reuid nobody --regid nogroup --clear-groups)
fi
run() { # ARGUMENT...: prints what the tool prints on a terminal
    local code=0
    "${as_user[@]}" env -i PATH="$PATH" HOME="$home" AWS_EC2_METADATA_DISABLED=true CLICOLOR_FORCE=1 TERM=xterm \
        CLOUD_KMS_PKCS11_MODULE="$module" "$built/cloud-kms-pkcs11" "$@" 2>/dev/null || code=$?
    [ $code -le 1 ] || return $code
}
record() { # ARGUMENT...: the same, with the paths of an installed module
    run "$@" | sed -e "s|$module|/usr/lib/x86_64-linux-gnu/pkcs11/libcloud_kms_pkcs11.so|g" -e "s|$home|/home/me|g" \
        -e '/AWS_EC2_METADATA_DISABLED/d'
}
record doctor >"$home/doctor"
record list >"$home/list"
python3 scripts/terminal-svg.py "What cloud-kms-pkcs11 doctor and cloud-kms-pkcs11 list print" \
    "cloud-kms-pkcs11 doctor" "$home/doctor" "cloud-kms-pkcs11 list" "$home/list" >docs/images/doctor.svg
