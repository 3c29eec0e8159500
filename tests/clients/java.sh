#!/usr/bin/env bash
# apt: default-jdk-headless
# Java's SunPKCS11: keytool, jarsigner, signatures from many threads, TLS with the keys of both sides in tokens.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$clients/certify.bash"

for tool in java javac keytool jarsigner jar; do need $tool default-jdk-headless; done
# Quick to start rather than quick.
export JAVA_TOOL_OPTIONS=-XX:TieredStopAtLevel=1
# A class of each program, compiled once.
run javac -d "$work/classes" "$clients"/java/*.java

labels=(aws-rsa2048 aws-p256 azure-rsa2048 azure-p256)
certify "${labels[@]}"
mkdir "$work/page"
cp "$work/ca.pem" "$work/page"
(cd "$work" && jar --create --file page/hello.jar -C classes Tls.class)

slot() { # LABEL: its position
    python3 -c 'import json, sys; print([slot["label"] for slot in json.load(open(sys.argv[1]))["slots"]].index(sys.argv[2]))' "$config" "$1"
}
configure() { # LABEL: writes its provider's configuration
    local TOKEN=$1
    SLOT=$(slot "$1")
    export SLOT
    run_page 'library ='
    cp "$work/page/pkcs11.cfg" "$work/$1.cfg"
}

lists() {
    run_page 'keytool -list' | tee "$work/listed"
    grep "^$TOKEN, PrivateKeyEntry" "$work/listed"
    [ "$(grep -c Entry "$work/listed")" = 1 ]
    plain_openssl x509 -in "$work/$TOKEN.pem" -noout -fingerprint -sha256 | sed 's/.*=//' >"$work/fingerprint"
    grep -F "$(cat "$work/fingerprint")" "$work/listed"
}

jar_signed() {
    cp "$work/$TOKEN.pem" "$work/page/certificate.pem"
    rm -f "$work"/page/*.p12 "$work/page/signed.jar"
    run_page 'jarsigner -keystore NONE'
    CLOUD_KMS_PKCS11_CONFIG=/nonexistent run_page 'jarsigner -verify' | tee "$work/verified"
    grep "^jar verified" "$work/verified"
    grep "CN=$TOKEN" "$work/verified"
    # The signature block, by OpenSSL.
    python3 -m zipfile -e "$work/page/signed.jar" "$work/opened"
    local block
    block=$(compgen -G "$work/opened/META-INF/*.RSA" || compgen -G "$work/opened/META-INF/*.EC")
    plain openssl cms -verify -inform DER -in "$block" -content "${block%.*}.SF" -binary -purpose any -CAfile "$work/ca.pem" -out "$work/content"
    rm -rf "$work/opened"
    # Another jar's content under this signature.
    cp "$work/page/signed.jar" "$work/other.jar"
    (cd "$work" && cp other Tls.class && jar --update --file other.jar Tls.class)
    refuse plain jarsigner -verify -strict -keystore "$work/page/trust.p12" -storepass changeit "$work/other.jar"
}

threads() {
    local schemes=(SHA256withECDSA SHA256withECDSAinP1363Format SHA512withECDSA)
    key "$TOKEN"
    [ "$kind" = ec ] || schemes=(SHA256withRSA SHA384withRSA SHA512withRSA PSS-SHA256 PSS-SHA384)
    run timeout 90 java -cp "$work/classes" Threads "$work/$TOKEN.cfg" "$TOKEN" "$public" "${schemes[@]}"
}

tls() { # PROTOCOL SERVER CLIENT
    run timeout 90 java -cp "$work/classes" Tls "$1" "$work/ca.pem" "$work/$2.cfg" "$2" "$work/$3.cfg" "$3"
}

for TOKEN in "${labels[@]}"; do
    check "$TOKEN configuration" configure "$TOKEN"
    check "$TOKEN keytool lists" lists
    check "$TOKEN jarsigner" jar_signed
    check "$TOKEN 16 threads" threads
done
# RSA in TLS 1.3 is PSS, by which Java signs because the token hashes too.
check "TLS 1.3, RSA at both ends" tls TLSv1.3 aws-rsa2048 azure-rsa2048
check "TLS 1.2, RSA at both ends" tls TLSv1.2 aws-rsa2048 azure-rsa2048
check "TLS 1.3, P-256 at both ends" tls TLSv1.3 azure-p256 aws-p256
check "TLS 1.2, RSA and P-256" tls TLSv1.2 azure-rsa2048 aws-p256
