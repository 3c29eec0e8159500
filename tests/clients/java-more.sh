#!/usr/bin/env bash
# apt: gnutls-bin
# apt bookworm: openjdk-17-jdk-headless
# apt trixie sid: openjdk-21-jdk-headless openjdk-25-jdk-headless
# Java's SunPKCS11, with each JDK of the release: Cipher, KeyAgreement, Mac, Signature.verify, SecureRandom.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$clients/certify.bash"
. "$clients/java.bash"

export SOURCE=$clients/java
all_uses
need p11tool gnutls-bin

# The other keys get their certificates with the page's commands.
certify aws-ed25519
mkdir "$work/page"
head -c 3000 "$work/data" "$work/other" | head -c 3000 >"$work/page/file"

certificate_beside() {
    export TOKEN=$label
    rm -f "$work"/page/{public,certificate}.pem
    run_page 'p11tool'
    same_key "$work/page/public.pem"
    run_page 'force_pubkey'
    run plain_openssl verify -CAfile "$work/page/authority.crt" "$work/page/certificate.pem"
    cp "$work/page/certificate.pem" "$work/$label.pem"
    python3 - "$config" "$label" "$work/$label.pem" <<'END'
import json, sys
path, label, certificate = sys.argv[1:]
config = json.load(open(path))
[slot] = [slot for slot in config["slots"] if slot["label"] == label]
slot["certificate_path"] = certificate
json.dump(config, open(path, "w"), indent=2)
END
}

uses() { # PATTERN
    export TOKEN=$label SLOT
    SLOT=$(slot "$label")
    cp "${public/#-//dev/null}" "$work/page/public.pem"
    run_page 'library ='
    run_page "$1" | tee "$work/said"
    grep -q 'as it should be' "$work/said"
}

no_pkcs1() { # WORDS of the log
    refuse uses ' decrypt ' 2>"$work/said"
    cat "$work/said"
    grep -q "C_DecryptInit: $1" "$work/said"
}

# The signature makes a request. The verifications make no request.
verifies() {
    CLOUD_KMS_PKCS11_LOG=debug uses ' verify ' 2>"$work/log"
    sed '/^local$/,$d' "$work/log" >"$work/before"
    sed '1,/^local$/d' "$work/log" >"$work/after"
    cat "$work/after"
    # A debug line that names no C_ function describes a request.
    grep -P ' debug: (?!C_).* at .*: ok' "$work/before"
    grep 'C_VerifyFinal' "$work/after"
    refuse grep -P ' debug: (?!C_)' "$work/after"
}

authenticates() {
    export NAME=HmacSHA$bits
    uses ' mac '
    verify_mac "$work/page/file" "$work/page/$NAME.mac"
    refuse verify_mac "$work/other" "$work/page/$NAME.mac"
    refuse verify_mac "$work/page/file" "$(spoil "$work/page/$NAME.mac")"
}

service_random() {
    CLOUD_KMS_PKCS11_LOG=debug uses ' random' 2>"$work/log"
    grep 'GenerateRandom.*: ok' "$work/log"
}

# SunPKCS11 lists the entry, because of the certificate, but does not support keys of that type.
listed_only() {
    export TOKEN=$label SLOT
    SLOT=$(slot "$label")
    run_page 'library ='
    local options=(-keystore NONE -storetype PKCS11 -storepass "" -addprovider SunPKCS11 -providerArg "$work/page/pkcs11.cfg")
    run keytool -list "${options[@]}" | tee "$work/said"
    grep "^$label, PrivateKeyEntry" "$work/said"
    refuse run keytool -certreq "${options[@]}" -alias "$label" >"$work/said"
    cat "$work/said"
    grep 'unknown key type' "$work/said"
}

certifying() { check "$label certificate by its public key" certificate_beside; }
agreeing() { check "$label KeyAgreement, Java $jdk" uses ' agree '; }
authenticating() { check "$label Mac, Java $jdk" authenticates; }

for label in azure-rsa2048 azure-p256 aws-rsa2048 aws-p256 azure-decrypt aws-decrypt google-decrypt $vault_keys $google_ec; do
    key "$label"
    certifying
done
each_key certifying agree
for jdk in $(jdks); do
    use_jdk "$jdk"
    rm -rf "$work/page/classes"
    run_page 'javac'
    for label in azure-rsa2048 azure-decrypt; do
        key "$label"
        check "$label Cipher, Java $jdk" uses ' decrypt '
    done
    for label in aws-decrypt google-decrypt $vault_rsa; do
        key "$label"
        check "$label no PKCS#1 v1.5, Java $jdk" no_pkcs1 'CKR_MECHANISM_INVALID.*does not decrypt with CKM_RSA_PKCS'
    done
    key aws-rsa2048
    check "$label no decryption by a key that signs, Java $jdk" no_pkcs1 'CKR_MECHANISM_INVALID.*does not decrypt with CKM_RSA_PKCS'
    for label in azure-rsa2048 azure-p256 aws-rsa2048 aws-p256 $vault_keys $google_ec; do
        key "$label"
        check "$label Signature.verify, Java $jdk" verifies
    done
    each_key agreeing agree
    each_key authenticating mac
    label=aws-random public=-
    check "aws-random SecureRandom, Java $jdk" service_random
    label=aws-ed25519
    check "aws-ed25519 listed, of no use, Java $jdk" listed_only
done
