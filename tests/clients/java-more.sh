#!/usr/bin/env bash
# apt: default-jdk-headless
# Java's SunPKCS11: Cipher, KeyAgreement, Mac, Signature.verify, SecureRandom.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$clients/certify.bash"

for tool in java javac; do need $tool default-jdk-headless; done
export JAVA_TOOL_OPTIONS=-XX:TieredStopAtLevel=1 SOURCE=$clients/java
all_uses
certify azure-rsa2048 azure-p256 aws-rsa2048 aws-p256 azure-decrypt aws-decrypt aws-agree aws-agree384
mkdir "$work/page"
head -c 3000 "$work/data" "$work/other" | head -c 3000 >"$work/page/file"

uses() { # PATTERN
    export TOKEN=$label SLOT
    SLOT=$(python3 -c 'import json, sys; print([slot["label"] for slot in json.load(open(sys.argv[1]))["slots"]].index(sys.argv[2]))' "$config" "$label")
    cp "${public/#-//dev/null}" "$work/page/public.pem"
    run_page 'library ='
    run_page "$1" | tee "$work/said"
    grep -q 'as it should be' "$work/said"
}

no_pkcs1_on_aws() { # WORDS of the log
    refuse uses ' decrypt ' 2>"$work/said"
    cat "$work/said"
    grep -q "C_DecryptInit: $1" "$work/said"
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

agreeing() { check "$label KeyAgreement" uses ' agree '; }
authenticating() { check "$label Mac" authenticates; }

run_page 'javac'
for label in azure-rsa2048 azure-decrypt; do
    key "$label"
    check "$label Cipher" uses ' decrypt '
done
key aws-decrypt
check "$label no PKCS#1 v1.5" no_pkcs1_on_aws 'CKR_MECHANISM_INVALID.*CKM_RSA_PKCS is not among'
key aws-rsa2048
check "$label signs, and says why it does not decrypt" no_pkcs1_on_aws 'CKR_MECHANISM_INVALID.*CKM_RSA_PKCS is not among'
for label in azure-rsa2048 azure-p256 aws-rsa2048 aws-p256; do
    key "$label"
    check "$label Signature.verify" uses ' verify '
done
each_key agreeing agree
each_key authenticating mac
label=aws-random public=-
check "aws-random SecureRandom" service_random
