#!/usr/bin/env bash
# apt: opensc gnutls-bin libengine-pkcs11-openssl
# Tokens whose PIN is the credential: a client secret of Azure, the name of an AWS profile, or a token of Vault.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$clients/login.bash"

need pkcs11-tool opensc
need p11tool gnutls-bin

login_config
export CLOUD_KMS_PKCS11_CONFIG=$work/login.json CLOUD_KMS_PKCS11_LOG=debug CLOUD_KMS_PKCS11_LOG_FILE=$work/log

before() {
    run_page 'list-objects' | tee "$work/listed"
    grep -A 9 "token label.*: $label" "$work/listed" | grep 'login required'
    refuse grep 'Private Key Object' "$work/listed"
}

by_page() { # PATTERN
    rm -f "$work/page/file.sig"
    run_page "$1"
    verify_and_spoil verify sha256 "$work/data" "$work/page/file.sig"
}

wrong() {
    refuse pkcs11-tool --module "$MODULE" --token-label "$label" --login --pin not-the-one --list-objects >"$work/refused" 2>&1
    cat "$work/refused"
    grep CKR_PIN_INCORRECT "$work/refused"
}

unlogged() {
    [ -s "$work/log" ]
    local secret
    for secret in "$work"/secret.*; do refuse grep -F -f "$secret" "$work/log"; done
}

mkdir "$work/page"
cp "$work/data" "$work/page/file"
for name in aws-p256 azure-p256 $vault_ec; do
    key "$name"
    CREDENTIAL=$(pin)
    export CREDENTIAL
    check "$label without a login" before
    check "$label a wrong PIN" wrong
    check "$label pkcs11-tool" by_page 'env:CREDENTIAL'
    check "$label OpenSSL" by_page 'PIN ='
    check "$label p11tool" run_page 'GNUTLS_PIN'
done
check "the secrets are in no log" unlogged
