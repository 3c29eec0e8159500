#!/usr/bin/env bash
# apt: python3-venv python3-dev swig g++
# Python: operations other than RSA and ECDSA signatures, with python-pkcs11 and PyKCS11.
user_home=$HOME
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$clients/venv.bash"

venv python python
packages python-pkcs11 PyKCS11
all_uses
cp "$work/data" "$work/page/data"

# The programs compare the results with `cryptography`. Their output must have each LINE.
says() { # PATTERN LINE...
    local pattern=$1 line
    shift
    cp "${public/#-//dev/null}" "$work/page/public.pem"
    TOKEN=$label run_page "$pattern" >"$work/said"
    cat "$work/said"
    for line in "$@"; do grep -qF "$line" "$work/said"; done
}

authenticates() {
    says 'uses_python_pkcs11' "authenticated SHA${bits}_HMAC"
    verify_mac "$work/page/data" "$work/page/mac"
    refuse verify_mac "$work/other" "$work/page/mac"
    refuse verify_mac "$work/page/data" "$(spoil "$work/page/mac")"
}

slh_verified() { # FILE SIGNATURE
    run plain_openssl pkeyutl -verify -pubin -inkey "$public" -rawin -in "$1" -sigfile "$2"
}

slh_dsa() {
    says 'uses_pykcs11' "signed and verified SLH_DSA 7856"
    # OpenSSL has SLH-DSA since version 3.5.
    [ "$release" != bookworm ] || return 0
    slh_verified "$SOURCE/uses_pykcs11.py" "$work/page/public.pem.sig"
    refuse slh_verified "$work/other" "$work/page/public.pem.sig"
    refuse slh_verified "$SOURCE/uses_pykcs11.py" "$(spoil "$work/page/public.pem.sig")"
}

with_key() {
    local oaep=("decrypted, encrypted, unwrapped, wrapped OAEP SHA-1" "decrypted, encrypted, unwrapped, wrapped OAEP SHA-256") lines=()
    local pkcs1="decrypted, encrypted, unwrapped, wrapped PKCS#1 v1.5" refused="PKCS#1 v1.5 is refused"
    case $usage-$kind-$cloud in
        mac-*)
            check "$label python-pkcs11" authenticates
            return
            ;;
        sign-slh-dsa-*)
            check "$label PyKCS11" slh_dsa
            return
            ;;
        agree-*) lines=("derived with CKD_NULL, with CKD_SHA256_KDF" "a point that is not on the curve is refused") ;;
        decrypt-*-aws) lines=("${oaep[@]}" "$refused") ;;
        decrypt-*-google) lines=("OAEP SHA-1 is refused" "${oaep[1]}" "$refused") ;;
        decrypt-*-azure) lines=("${oaep[@]}" "$pkcs1") ;;
        # A key that signs and decrypts, as for SCEP.
        sign-rsa-azure) lines=("signed and verified SHA256_RSA_PKCS" "${oaep[@]}" "$pkcs1") ;;
        sign-rsa-vault) lines=("signed and verified SHA256_RSA_PKCS" "OAEP SHA-1 is refused" "${oaep[1]}" "$refused") ;;
        sign-rsa-aws) lines=("signed and verified SHA256_RSA_PKCS") ;;
        sign-ec-*) lines=("signed and verified ECDSA_SHA256") ;;
        sign-ed25519-aws) lines=("signed and verified EDDSA" "a message of 4097 bytes is refused") ;;
        sign-ed25519-vault) lines=("signed and verified EDDSA" "a message of 524289 bytes is refused") ;;
        sign-ed25519-google) lines=("signed and verified EDDSA" "a message of 65537 bytes is refused") ;;
        sign-ml-dsa-*) lines=("signed and verified ML_DSA 4000" "signed and verified ML_DSA 100000") ;;
    esac
    check "$label python-pkcs11" says 'uses_python_pkcs11' "${lines[@]}"
    case $usage-$kind in
        agree-*) check "$label PyKCS11" says 'uses_pykcs11' derived ;;
        decrypt-*) check "$label PyKCS11" says 'uses_pykcs11' "decrypted, unwrapped" ;;
        sign-ml-dsa) check "$label PyKCS11" says 'uses_pykcs11' "ML_DSA 100000 b'a context'" HASH_ML_DSA_{SHA256,SHA3_224,SHA3_512,SHAKE128,SHAKE256} ;;
    esac
}

for use in sign decrypt agree mac; do each_key with_key $use; done
