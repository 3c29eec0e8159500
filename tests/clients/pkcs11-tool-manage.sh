#!/usr/bin/env bash
# apt: opensc gnutls-bin
# OpenSC's pkcs11-tool: generates keys, writes certificates for them, and deletes both.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$clients/emulator.bash"

need pkcs11-tool opensc
need p11tool gnutls-bin

ring=projects/my-project/locations/europe-west3/keyRings/my-ring
# The ring exists because it has a key.
own_emulator "$work/own" --google-key-ring $ring --google-key other=EC_SIGN_P256_SHA256
own_config "$work/own" "$config" >"$work/own.json"
python3 - "$work/own.json" "$work" "$ring" <<'EOF'
import json, pathlib, sys
config, work, ring = sys.argv[1:]
config = json.loads(pathlib.Path(config).read_text())
allowed = {"allow": ["generate", "destroy", "certificates"], "certificate_store": f"{work}/certificates"}
names = ["new-rsa", "new-ec"]
config["slots"] = [
    {"label": "aws-manage", "confirm_destroy": "aws-manage", **allowed,
     "keys": [{"kms_key_id": f"alias/{name}", "label": name} for name in names]},
    {"label": "azure-manage", "confirm_destroy": "azure-manage", **allowed, "keys": [{"key_name": name} for name in names]},
    {"label": "google-manage", "confirm_destroy": "google-manage", **allowed, "google_key_ring": ring,
     "keys": [{"google_key": f"{ring}/cryptoKeys/{name}"} for name in names]},
]
pathlib.Path(f"{work}/manage.json").write_text(json.dumps(config))
EOF
export CLOUD_KMS_PKCS11_CONFIG=$work/manage.json
own_credentials

tool() { run pkcs11-tool --module "$MODULE" --token-label "$label" "$@"; }

objects() { tool --list-objects 2>/dev/null | grep -c "label: *$1\$" || true; }

makes_rsa() {
    run_page 'key-type rsa'
    [ "$(objects new-rsa)" -eq 2 ]
}

makes_ec() {
    run_page 'key-type EC'
    run_page 'ECDSA-SHA256'
    refuse plain_openssl dgst -sha256 -verify "$work/page/new-ec.pub" -signature "$work/page/file.sig" "$work/other"
}

makes_no_second() {
    refuse tool --keypairgen --key-type EC:prime256v1 --usage-sign --label new-ec
    [ "$(objects new-ec)" -eq 2 ]
}

writes_certificate() {
    run_page 'issued by'
    run_page 'write-object'
    tool --read-object --type cert --label new-rsa --output-file "$work/read.der"
    run plain_openssl x509 -in "$work/page/new-rsa.crt" -outform DER -out "$work/own.der"
    run cmp "$work/read.der" "$work/own.der"
}

deletes_certificate() {
    run_page 'delete-object --type cert'
    [ "$(objects new-rsa)" -eq 2 ]
}

deletes_keys() {
    run_page 'delete-object --type privkey'
    [ "$(objects new-rsa)" -eq 0 ]
    tool --delete-object --type pubkey --label new-ec
    # KMS still lists a key that is scheduled for deletion. It can't be used.
    refuse tool --sign --mechanism ECDSA-SHA256 --label new-ec --input-file "$work/data" --output-file "$work/none"
}

keeps_name() { refuse tool --keypairgen --key-type EC:prime256v1 --usage-sign --label new-ec; }

makes_nothing() {
    sed 's/"generate", "destroy", "certificates"/"certificates"/g' "$work/manage.json" >"$work/less.json"
    CLOUD_KMS_PKCS11_CONFIG=$work/less.json refuse tool --keypairgen --key-type EC:prime256v1 --usage-sign --label more
}

mkdir "$work/page"
cp "$work/data" "$work/page/file"
for label in aws-manage azure-manage google-manage; do
    case $label in
        aws-*) NAME=alias/new-ec ;;
        azure-*) NAME=new-ec ;;
        google-*) NAME=$ring/cryptoKeys/new-ec ;;
    esac
    export NAME
    rm -f "$work"/page/new-*
    check "$label makes an RSA key" makes_rsa
    check "$label makes a key on a curve, which signs" makes_ec
    check "$label makes no second key of that name" makes_no_second
    check "$label writes a certificate" writes_certificate
    check "$label deletes the certificate" deletes_certificate
    check "$label deletes the keys" deletes_keys
    check "$label keeps a deleted key's name" keeps_name
    check "$label makes nothing where that is not allowed" makes_nothing
done
