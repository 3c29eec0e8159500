#!/usr/bin/env bash
# apt: libengine-pkcs11-openssl
# Signatures and certificates with OpenSSL's command line, through libp11's engine.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

engines=$(openssl version -e | sed 's/^ENGINESDIR: "\(.*\)"$/\1/')
need "$engines/pkcs11.so" libengine-pkcs11-openssl

cat >"$work/engine.cnf" <<EOF
openssl_conf = setup
[setup]
engines = engines
[engines]
pkcs11 = pkcs11
[pkcs11]
engine_id = pkcs11
dynamic_path = $engines/pkcs11.so
MODULE_PATH = $MODULE
init = 0
[req]
distinguished_name = subject
[subject]
EOF

with_engine() { OPENSSL_CONF=$work/engine.cnf run openssl "$@"; }
private() { printf '%s;type=private%s' "$uri" "$pin"; }

# `pkeyutl` signs a digest, `dgst` signs a file.

pkeyutl() { # HASH [PKEYOPT...]
    local hash=$1 option options=()
    shift
    for option in "digest:$hash" "$@"; do options+=(-pkeyopt "$option"); done
    hash_file "$hash" "$work/data" "$work/digest"
    with_engine pkeyutl -sign -engine pkcs11 -keyform engine -inkey "$(private)" \
        -in "$work/digest" -out "$work/signature" "${options[@]}"
}

dgst() { # HASH [SIGOPT...]
    local hash=$1 option options=()
    shift
    for option in "$@"; do options+=(-sigopt "$option"); done
    with_engine dgst "-$hash" -engine pkcs11 -keyform engine -sign "$(private)" "${options[@]}" \
        -out "$work/signature" "$work/data"
}

pkeyutl_pkcs1() { pkeyutl "$1" rsa_padding_mode:pkcs1 && verify_and_spoil verify "$1" "$work/data" "$work/signature"; }
pkeyutl_pss() {
    pkeyutl "$1" rsa_padding_mode:pss rsa_pss_saltlen:digest
    verify_and_spoil verify_pss "$1" "$work/data" "$work/signature"
}
pkeyutl_ecdsa() { pkeyutl "$1" && verify_and_spoil verify "$1" "$work/data" "$work/signature"; }
dgst_plain() { dgst "$1" && verify_and_spoil verify "$1" "$work/data" "$work/signature"; }
dgst_pss() {
    dgst "$1" rsa_padding_mode:pss rsa_pss_saltlen:digest
    verify_and_spoil verify_pss "$1" "$work/data" "$work/signature"
}

self_signed() { # HASH
    with_engine req -x509 -new -engine pkcs11 -keyform engine -key "$(private)" "-$1" -subj "/CN=$label" -days 2 \
        -out "$work/certificate.pem"
    run plain_openssl x509 -in "$work/certificate.pem" -noout -pubkey -out "$work/certificate.pub"
    same_key "$work/certificate.pub"
    # Without -check_ss_sig, OpenSSL does not verify the signature of a self-signed certificate.
    run plain_openssl verify -check_ss_sig -CAfile "$work/certificate.pem" "$work/certificate.pem"
}

request() { # HASH
    with_engine req -new -engine pkcs11 -keyform engine -key "$(private)" "-$1" -subj "/CN=$label" -out "$work/request.pem"
    # OpenSSL 3.0 exits with 0 even if the signature is wrong, so the output is checked.
    run plain_openssl req -in "$work/request.pem" -verify -noout 2>&1 | grep 'self-signature verify OK'
    run plain_openssl req -in "$work/request.pem" -noout -pubkey -out "$work/request.pub"
    same_key "$work/request.pub"
}

each_hash() { # NAME FUNCTION [SCHEME]
    local size
    for size in 256 384 512; do
        [ -z "${3:-}" ] || can "$3" "sha$size" || continue
        check "$label $1 sha$size" "$2" "sha$size"
    done
}

sign_with() {
    if [ "$kind" = rsa ]; then
        each_hash "dgst" dgst_plain pkcs1
        each_hash "pkeyutl pkcs1" pkeyutl_pkcs1 pkcs1
        each_hash "pkeyutl pss" pkeyutl_pss pss
        each_hash "dgst pss" dgst_pss pss
        # The certificates have signatures by PKCS#1 v1.5.
        can pkcs1 || return 0
    else
        each_hash "dgst" dgst_plain
        check "$label pkeyutl $hash" pkeyutl_ecdsa "$hash"
    fi
    check "$label self-signed certificate" self_signed "$hash"
    check "$label certificate request" request "$hash"
}

# The page's commands, with one key of each type and cloud.
page_signs() {
    run_block 'dgst -sha256 -engine' openssl --through engine
    same_key "$work/page/public.pem"
    verify_and_spoil verify sha256 "$work/data" "$work/page/file.sig"
    ! can pss || { run_page 'file.pss' && verify_and_spoil verify_pss sha256 "$work/data" "$work/page/file.pss"; }
}

page_certifies() {
    run_block 'req -x509' openssl --through engine
    run plain_openssl x509 -in "$work/page/certificate.pem" -noout -pubkey -out "$work/certificate.pub"
    same_key "$work/certificate.pub"
    run plain_openssl verify -check_ss_sig -CAfile "$work/page/certificate.pem" "$work/page/certificate.pem"
    run plain_openssl req -in "$work/page/request.pem" -verify -noout
}

mkdir "$work/page"
cp "$work/data" "$work/page/file"
export PKCS11_MODULE_PATH=$MODULE
for name in aws-rsa2048 aws-p256 azure-rsa2048 azure-p256 $vault_keys $google_keys; do
    key "$name"
    check "$label page: signatures" page_signs
    check "$label page: certificates" page_certifies
done
# Later releases use the provider (openssl-provider.sh), so here they test fewer keys.
if [ "$release" = bookworm ]; then
    each_key sign_with
    each_key sign_with bound
else
    for name in aws-rsa2048 aws-p256 azure-rsa2048 azure-p256 $vault_keys $google_keys; do
        key "$name"
        sign_with
    done
fi
