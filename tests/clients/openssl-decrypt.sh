#!/usr/bin/env bash
# apt: libengine-pkcs11-openssl
# Decryption, CMS and ECDH with OpenSSL's command line, through libp11's engine.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

engines=$(openssl version -e | sed 's/^ENGINESDIR: "\(.*\)"$/\1/')
need "$engines/pkcs11.so" libengine-pkcs11-openssl
all_uses
export PKCS11_MODULE_PATH=$MODULE
mkdir "$work/page"

decrypts() { # pkcs1 | sha1 | sha256
    local pattern='rsa_oaep_md:sha256'
    case $1 in pkcs1) pattern='-inkey [^\n]* -in secret.enc' ;; sha1) pattern='rsa_oaep_md:sha1' ;; esac
    encrypt "$1"
    rm -f "$work/page/secret"
    TOKEN=$label run_page "$pattern"
    cmp "$work/text" "$work/page/secret"
    cp "$(spoil "$work/page/secret.enc")" "$work/page/secret.enc"
    rm -f "$work/page/secret"
    TOKEN=$label refuse run_page "$pattern"
    refuse cmp "$work/text" "$work/page/secret"
}

refuses() { # pkcs1 | sha1 | sha256, WORDS of the log
    local pattern="rsa_oaep_md:$1"
    [ "$1" != pkcs1 ] || pattern='-inkey [^\n]* -in secret.enc'
    encrypt "$1"
    TOKEN=$label refuse run_page "$pattern" 2>&1 | tee "$work/said"
    grep -q "$2" "$work/said"
}

# The messages of S/MIME and SCEP: the content key is encrypted for a certificate.
opens_cms() {
    plain_openssl req -x509 -newkey rsa:2048 -nodes -subj "/CN=clients CA" -keyout "$work/ca.key" -out "$work/ca.pem" 2>/dev/null
    plain_openssl req -new -key "$work/ca.key" -subj "/CN=$label" |
        plain_openssl x509 -req -CA "$work/ca.pem" -CAkey "$work/ca.key" -force_pubkey "$public" -days 2 -out "$work/page/me.pem"
    rm -f "$work/page/message"
    run plain_openssl cms -encrypt -aes256 -binary "$@" -in "$work/data" -outform DER -out "$work/page/message.p7" \
        -recip "$work/page/me.pem" ${keyopt:+-keyopt rsa_padding_mode:oaep -keyopt rsa_oaep_md:sha256 -keyopt rsa_mgf1_md:sha256}
    TOKEN=$label run_page 'cms -decrypt'
    cmp "$work/data" "$work/page/message"
    # Encrypted for another certificate with the same name and serial number.
    run plain_openssl cms -encrypt -aes256 -binary -in "$work/data" -outform DER -out "$work/page/message.p7" "$work/ca.pem"
    rm -f "$work/page/message"
    TOKEN=$label refuse run_page 'cms -decrypt'
    refuse cmp "$work/data" "$work/page/message"
}
opens_cms_oaep() { keyopt=1 opens_cms; }

agrees() {
    run plain_openssl genpkey -algorithm EC -pkeyopt "ec_paramgen_curve:$curve" -out "$work/own.pem"
    run plain_openssl pkey -in "$work/own.pem" -pubout -out "$work/page/peer.pem"
    TOKEN=$label run_page 'pkeyutl -derive'
    run plain_openssl pkeyutl -derive -inkey "$work/own.pem" -peerkey "$public" -out "$work/shared"
    cmp "$work/shared" "$work/page/shared"
    run plain_openssl genpkey -algorithm EC -pkeyopt "ec_paramgen_curve:$curve" -out "$work/other.pem"
    run plain_openssl pkeyutl -derive -inkey "$work/other.pem" -peerkey "$public" -out "$work/shared"
    refuse cmp "$work/shared" "$work/page/shared"
}

# libp11 0.4.12 fails with a token that has a key of an unknown type.
beside_ed25519() {
    python3 - "$config" "$work/mixed.json" <<'END'
import json, sys
config = json.load(open(sys.argv[1]))
slots = {slot["label"]: slot for slot in config["slots"]}
keys = [{"kms_key_id": slots[label]["kms_key_id"], "label": label} for label in ("aws-ed25519", "aws-hmac", "aws-decrypt", "aws-p256")]
config["slots"] = [{"label": "mixed", "cloud": "aws", "keys": keys}]
config["slots"] += [config["slots"][0] | {"label": "hiding", "hide_keys": ["Ed25519"]}]
json.dump(config, open(sys.argv[2], "w"))
END
    export CLOUD_KMS_PKCS11_CONFIG=$work/mixed.json
    local sign=(openssl dgst -sha256 -engine pkcs11 -keyform engine -out "$work/signature")
    run "${sign[@]}" -sign "pkcs11:token=mixed;object=$label;type=private" "$work/data" || echo "expected with libp11 0.4.12: it fails with a token that has a key of an unknown type"
    rm -f "$work/signature"
    run "${sign[@]}" -sign "pkcs11:token=hiding;object=$label;type=private" "$work/data"
    verify_and_spoil verify sha256 "$work/data" "$work/signature"
}

decrypting() {
    if can decrypt sha1; then
        check "$label OAEP with SHA-1" decrypts sha1
    else
        check "$label no OAEP with SHA-1" refuses sha1 'C_Decrypt.*: CKR_MECHANISM_PARAM_INVALID'
    fi
    check "$label OAEP with SHA-256" decrypts sha256
    check "$label CMS by OAEP" opens_cms_oaep
    if can decrypt pkcs1; then
        check "$label PKCS#1 v1.5" decrypts pkcs1
        check "$label CMS by PKCS#1 v1.5" opens_cms
    else
        check "$label no PKCS#1 v1.5" refuses pkcs1 'C_DecryptInit: CKR_MECHANISM_INVALID.*does not decrypt with CKM_RSA_PKCS'
    fi
}
agreeing() { check "$label ECDH" agrees; }

each_key decrypting decrypt
each_key agreeing agree
[ -z "$vault_rsa" ] || { key "$vault_rsa" && decrypting; }
key azure-rsa2048
check "$label decrypts, and signs elsewhere" decrypts pkcs1
key aws-rsa2048
check "$label signs, and says why it does not decrypt" refuses sha256 'a key of AWS KMS can sign or decrypt, but not both'
key aws-p256
check "$label beside an Ed25519 key" beside_ed25519
