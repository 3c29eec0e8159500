#!/usr/bin/env bash
# apt: p11-kit gnutls-bin
# The module registered in p11-kit: its listing, and GnuTLS's p11tool and certtool with keys that only a URL names.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$clients/user.bash"

need p11-kit p11-kit
need p11tool gnutls-bin
need certtool gnutls-bin

labels=(aws-rsa2048 aws-p256 aws-p384 azure-rsa2048 azure-p256 azure-cert-rsa azure-cert-ec $vault_keys $google_ec)
become_user "${labels[@]}"

has_tokens() { # FILE
    local name
    for name in "${labels[@]}"; do
        grep -qx "    token: $name" "$1" || { echo "p11-kit does not list the token $name" && return 1; }
    done
}

lists_modules() {
    run_page 'list-modules' >"$work/modules"
    cat "$work/modules"
    has_tokens "$work/modules"
}

registers_for_user() {
    run_page 'modules/cloud-kms-pkcs11.module'
    lists_modules
    # The output of p11-kit 0.24 and 0.25.
    grep -qE '^(cloud-kms-pkcs11: |module: cloud-kms-pkcs11$)' "$work/modules"
}

# Registers the module with the file that CMake writes. The rest of the script uses this registration.
registers_by_cmake() {
    sed "s|@MODULE_FILE@|$MODULE|" "$root/packaging/cloud-kms-pkcs11.module.in" \
        >"$user/.config/pkcs11/modules/cloud-kms-pkcs11.module"
    lists_modules
}

# Other programs read the output of these commands, so the module must not write log lines to it.
prints_nothing_else() { # COMMAND...
    run "${as_user[@]}" "$@" >"$work/quiet"
    CLOUD_KMS_PKCS11_LOG=debug run "${as_user[@]}" "$@" >"$work/loud" 2>"$work/log"
    grep -qi debug "$work/log"
    run cmp "$work/quiet" "$work/loud"
}

lists_objects() {
    run_page '--list-all' >"$work/objects"
    cat "$work/objects"
    grep -qF "pkcs11:model=" "$work/objects"
    same_key "$work/page/public.pem"
    grep -q 'type=private' "$work/objects"
    [ "$certificate" = - ] || grep -q 'type=cert' "$work/objects"
}

signs_certificates() {
    run_page '--generate-self-signed'
    run plain_openssl x509 -in "$work/page/certificate.pem" -noout -pubkey -out "$work/certificate.pub"
    same_key "$work/certificate.pub"
    # Without -check_ss_sig, OpenSSL does not verify the signature of a self-signed certificate.
    run plain_openssl verify -check_ss_sig -CAfile "$work/page/certificate.pem" "$work/page/certificate.pem"
    run plain_openssl req -in "$work/page/request.pem" -verify -noout
    run plain_openssl req -in "$work/page/request.pem" -noout -pubkey -out "$work/request.pub"
    same_key "$work/request.pub"
}

is_authority() {
    run_page '--generate-certificate'
    run plain_openssl verify -CAfile "$work/page/certificate.pem" "$work/page/server.pem"
    run plain_openssl x509 -in "$work/page/server.pem" -outform DER -out "$work/server.der"
    run plain_openssl x509 -inform DER -in "$(spoil "$work/server.der")" -out "$work/spoilt.pem"
    refuse plain_openssl verify -CAfile "$work/page/certificate.pem" "$work/spoilt.pem"
}

check "registered for a user" registers_for_user
check "registered by CMake" registers_by_cmake
check "list-modules with debug log" prints_nothing_else p11-kit list-modules
check "token URLs with debug log" prints_nothing_else p11tool --list-token-urls
for name in "${labels[@]}"; do
    key "$name"
    export TOKEN=$label
    check "$label objects and public key" lists_objects
    check "$label export with debug log" prints_nothing_else p11tool --batch --export "$uri;type=public"
    check "$label certificate and request" signs_certificates
    check "$label certificate for another" is_authority
done
