#!/usr/bin/env bash
# apt bookworm: openjdk-17-jdk-headless
# apt trixie sid: openjdk-21-jdk-headless openjdk-25-jdk-headless
# Java's SunPKCS11, under each JDK of the release: keytool, jarsigner, signatures from many threads, TLS with the keys of both
# sides in tokens.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$clients/certify.bash"
. "$clients/java.bash"

labels=(aws-rsa2048 aws-p256 azure-rsa2048 azure-p256)
certify "${labels[@]}"
mkdir "$work/page"
cp "$work/ca.pem" "$work/page"
plain_openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$work/other.key" -subj "/CN=somebody" \
    -out "$work/page/somebody.csr" 2>/dev/null

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

requests() {
    key "$TOKEN"
    rm -f "$work"/page/my.*
    run_page 'keytool -certreq'
    plain_openssl req -in "$work/page/my.csr" -outform DER -out "$work/csr.der"
    request_verified "$work/csr.der"
    grep -E "subject= ?CN ?= ?$TOKEN" "$work/said"
    run plain_openssl req -in "$work/page/my.csr" -noout -pubkey -out "$work/csr.pub"
    same_key "$work/csr.pub"
    refuse request_verified "$(spoil "$work/csr.der")"
}

# OpenSSL 3.0 says that it does not verify, and ends with 0.
request_verified() { # FILE
    run plain_openssl req -inform DER -in "$1" -noout -verify -subject 2>&1 | tee "$work/said"
    grep 'verify OK' "$work/said"
}

# An authority of one level: the token's certificate is not a CA's, so the signature is what is looked at.
issues() {
    key "$TOKEN"
    rm -f "$work"/page/issued.*
    run_page 'keytool -gencert'
    plain_openssl x509 -in "$work/page/issued.pem" -outform DER -out "$work/issued.der"
    signed_by "$work/issued.der"
    plain_openssl x509 -in "$work/page/issued.pem" -noout -subject -issuer | tee "$work/said"
    grep -E "subject= ?CN ?= ?somebody" "$work/said"
    grep -E "issuer= ?CN ?= ?$TOKEN" "$work/said"
    refuse signed_by "$(spoil "$work/issued.der")"
}

signed_by() { # CERTIFICATE: by the service's key, whatever the issuer's name is
    python3 - "$1" "$work" <<'PY'
import sys

def read(data, at):
    length, head = data[at + 1], 2
    if length & 0x80:
        head += length & 0x7F
        length = int.from_bytes(data[at + 2:at + head], "big")
    return at + head, at + head + length

data = open(sys.argv[1], "rb").read()
at, _ = read(data, 0)
_, end = read(data, at)
_, rest = read(data, end)
start, last = read(data, rest)
open(sys.argv[2] + "/issued.tbs", "wb").write(data[at:end])
open(sys.argv[2] + "/issued.sig", "wb").write(data[start + 1:last])
PY
    # Java chooses the hash: newer ones a longer one.
    local hash
    hash=$(openssl x509 -inform DER -in "$work/issued.der" -noout -text | sed -nE 's/.*Signature Algorithm: .*[Ss][Hh][Aa]([0-9]+).*/sha\1/p' | head -n 1)
    verify "$hash" "$work/issued.tbs" "$work/issued.sig"
}

opened_block() { # the signature block of signed.jar
    rm -rf "$work/opened"
    python3 -m zipfile -e "$work/page/signed.jar" "$work/opened"
    compgen -G "$work/opened/META-INF/*.RSA" || compgen -G "$work/opened/META-INF/*.EC"
}

block_verified() { # BLOCK [OPTION...]: by OpenSSL
    plain openssl cms -verify -inform DER -in "$1" -content "$2" -binary -purpose any -CAfile "$work/ca.pem" -out "$work/content"
}

jar_signed() { # PATTERN
    cp "$work/$TOKEN.pem" "$work/page/certificate.pem"
    rm -f "$work"/page/*.p12 "$work/page/signed.jar"
    run_page "$1"
    CLOUD_KMS_PKCS11_CONFIG=/nonexistent run_page 'jarsigner -verify' | tee "$work/verified"
    grep "^jar verified" "$work/verified"
    grep "CN=$TOKEN" "$work/verified"
    local block
    block=$(opened_block)
    block_verified "$block" "${block%.*}.SF"
    refuse block_verified "$(spoil "$block")" "${block%.*}.SF"
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

for label in "${labels[@]}"; do configure "$label"; done
for jdk in $(jdks); do
    use_jdk "$jdk"
    # A class of each program, compiled once.
    rm -rf "$work/classes"
    run javac -d "$work/classes" "$clients"/java/{Threads,Tls}.java
    (cd "$work" && jar --create --file page/hello.jar -C classes Tls.class)
    for TOKEN in "${labels[@]}"; do
        cp "$work/$TOKEN.cfg" "$work/page/pkcs11.cfg"
        check "$TOKEN listed by keytool, Java $jdk" lists
        check "$TOKEN certificate request by keytool, Java $jdk" requests
        check "$TOKEN certificate issued by keytool, Java $jdk" issues
        check "$TOKEN jar signed by jarsigner, Java $jdk" jar_signed 'jarsigner -keystore NONE .*-signedjar'
        check "$TOKEN signatures from 16 threads, Java $jdk" threads
    done
    # RSA in TLS 1.3 is PSS, by which Java signs because the token hashes too.
    check "aws-rsa2048 TLS 1.3 server, Java $jdk" tls TLSv1.3 aws-rsa2048 azure-rsa2048
    check "azure-rsa2048 TLS 1.2 server, Java $jdk" tls TLSv1.2 azure-rsa2048 aws-p256
    check "azure-p256 TLS 1.3 server, Java $jdk" tls TLSv1.3 azure-p256 aws-p256
    check "aws-p256 TLS 1.2 server, Java $jdk" tls TLSv1.2 aws-p256 azure-rsa2048
done
