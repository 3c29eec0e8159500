#!/usr/bin/env bash
# apt bookworm: openjdk-17-jdk-headless libengine-pkcs11-openssl
# apt trixie sid: openjdk-21-jdk-headless openjdk-25-jdk-headless pkcs11-provider
# Java's SunPKCS11, with each JDK of the release: keytool, jarsigner, signatures from many threads, and Java's default TLS
# context as server and as client, with OpenSSL as the peer.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$clients/certify.bash"
. "$clients/java.bash"

. "$clients/server.bash"

export SOURCE=$clients/java
labels=(aws-rsa2048 aws-p256 azure-rsa2048 azure-p256 $vault_keys $google_ec)
# The certificates of these keys come with the CA's certificate; those of the other keys come alone.
chains=(aws-rsa2048 azure-p256)
certify "${labels[@]}"
for label in "${chains[@]}"; do cat "$work/ca.pem" >>"$work/$label.pem"; done
# The vault stores the certificate of this key. It is self-signed, and not for code signing.
key azure-cert-rsa
cp "$certificate" "$work/azure-cert-rsa.pem"
cp "$work/ca.pem" "$work/page"
plain_openssl req -x509 -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$work/other-ca.key" -days 2 \
    -subj "/CN=clients CA" -out "$work/other-ca.pem" 2>/dev/null
plain_openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$work/other.key" -subj "/CN=somebody" \
    -out "$work/page/somebody.csr" 2>/dev/null
plain_openssl x509 -req -in "$work/page/somebody.csr" -CA "$work/ca.pem" -CAkey "$work/ca.key" -days 2 -extfile "$work/leaf.cnf" \
    -out "$work/somebody.pem" 2>/dev/null

configure() { # LABEL: writes the configuration of the provider for that token
    local TOKEN=$1
    SLOT=$(slot "$1")
    export SLOT
    run_block 'library =' java
    cp "$work/page/pkcs11.cfg" "$work/$1.cfg"
}

lists() {
    run_block 'keytool -list -keystore' java | tee "$work/listed"
    grep "^$TOKEN, PrivateKeyEntry" "$work/listed"
    [ "$(grep -c Entry "$work/listed")" = 1 ]
    plain_openssl x509 -in "$work/$TOKEN.pem" -noout -fingerprint -sha256 | sed 's/.*=//' >"$work/fingerprint"
    grep -F "$(cat "$work/fingerprint")" "$work/listed"
}

# The certificates of the chain, with the key's certificate first.
chain() {
    local authority=0
    [[ " ${chains[*]} " != *" $TOKEN "* ]] || authority=1
    run_page 'keytool -list -v' | tee "$work/listed"
    grep -x "Certificate chain length: $((1 + authority))" "$work/listed"
    grep '^Owner:' "$work/listed" >"$work/owners"
    [ "$(wc -l <"$work/owners")" = $((1 + authority)) ]
    head -n 1 "$work/owners" | grep -x "Owner: CN=${TOKEN/azure-cert/cert}"
    [ "$authority" = 0 ] || grep -x 'Owner: CN=clients CA' "$work/owners"
}

# Java has no alias for a key without a certificate. OpenSSL makes the first certificate, with the commands of its page.
first_certificate() {
    key "$TOKEN"
    run_page 'keytool -list -keystore' | tee "$work/listed"
    refuse grep Entry "$work/listed"
    if [ "$(ways)" = engine ]; then
        PKCS11_MODULE_PATH=$MODULE run_page 'req -x509' openssl
    else
        provider_config
        OPENSSL_CONF=$work/page/openssl.cnf HASH=sha256 run_page 'req -x509 [^\n]*-out certificate.pem' openssl-provider
    fi
    cp "$work/page/certificate.pem" "$work/$TOKEN.pem"
    python3 - "$config" "$TOKEN" "$work/$TOKEN.pem" <<'END'
import json, sys
path, label, certificate = sys.argv[1:]
config = json.load(open(path))
[slot] = [slot for slot in config["slots"] if slot["label"] == label]
slot["certificate_path"] = certificate
json.dump(config, open(path, "w"), indent=2)
END
    run plain_openssl verify -check_ss_sig -CAfile "$work/$TOKEN.pem" "$work/$TOKEN.pem"
    lists
    requests
}

requests() {
    key "$TOKEN"
    rm -f "$work"/page/my.*
    run_page 'keytool -certreq'
    plain_openssl req -in "$work/page/my.csr" -outform DER -out "$work/csr.der"
    request_verified "$work/csr.der"
    grep -E "subject= ?CN ?= ?${TOKEN/azure-cert/cert}" "$work/said"
    run plain_openssl req -in "$work/page/my.csr" -noout -pubkey -out "$work/csr.pub"
    same_key "$work/csr.pub"
    refuse request_verified "$(spoil "$work/csr.der")"
}

# OpenSSL 3.0 exits with 0 even if the verification fails, so the output is checked.
request_verified() { # FILE
    run plain_openssl req -inform DER -in "$1" -noout -verify -subject 2>&1 | tee "$work/said"
    grep 'verify OK' "$work/said"
}

# The token's certificate is not a CA certificate, so OpenSSL can't verify the chain. Only the signature is verified.
issues() {
    key "$TOKEN"
    rm -f "$work"/page/issued.*
    run_page 'keytool -gencert'
    plain_openssl x509 -in "$work/page/issued.pem" -outform DER -out "$work/issued.der"
    signed_by "$work/issued.der"
    plain_openssl x509 -in "$work/page/issued.pem" -noout -subject -issuer | tee "$work/said"
    grep -E "subject= ?CN ?= ?somebody" "$work/said"
    grep -E "issuer= ?CN ?= ?${TOKEN/azure-cert/cert}" "$work/said"
    refuse signed_by "$(spoil "$work/issued.der")"
}

signed_by() { # CERTIFICATE: verifies its signature with the service's key, without the issuer's name
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
    # Java chooses the hash. Newer versions choose a longer one.
    local hash
    hash=$(openssl x509 -inform DER -in "$work/issued.der" -noout -text | sed -nE 's/.*Signature Algorithm: .*[Ss][Hh][Aa]([0-9]+).*/sha\1/p' | head -n 1)
    verify "$hash" "$work/issued.tbs" "$work/issued.sig"
}

opened_block() { # prints the name of the signature block of signed.jar
    rm -rf "$work/opened"
    python3 -m zipfile -e "$work/page/signed.jar" "$work/opened"
    compgen -G "$work/opened/META-INF/*.RSA" || compgen -G "$work/opened/META-INF/*.EC"
}

block_verified() { # BLOCK CONTENT: by OpenSSL
    plain openssl cms -verify -inform DER -in "$1" -content "$2" -binary -purpose any -CAfile "$work/trusted.pem" -out "$work/content"
}

jar_verified() { # runs the page's block; without -strict if the certificate is not for code signing
    local block
    block=$(page 'jarsigner -verify')
    [ "$TOKEN" != azure-cert-rsa ] || block=${block/ -strict/}
    (cd "$work/page" && CLOUD_KMS_PKCS11_CONFIG=/nonexistent bash -euxo pipefail -c "$block")
}

jar_signed() {
    cp "$work/ca.pem" "$work/trusted.pem"
    plain_openssl x509 -in "$work/$TOKEN.pem" -out "$work/page/certificate.pem"
    [ "$TOKEN" != azure-cert-rsa ] || cp "$work/azure-cert-rsa.pem" "$work/trusted.pem"
    rm -f "$work"/page/*.p12 "$work/page/signed.jar"
    run_block 'jarsigner -keystore NONE .*-signedjar' jarsigner
    run_page 'alias ca'
    jar_verified | tee "$work/verified"
    grep "^jar verified" "$work/verified"
    grep "CN=${TOKEN/azure-cert/cert}" "$work/verified"
    local block
    block=$(opened_block)
    block_verified "$block" "${block%.*}.SF"
    refuse block_verified "$(spoil "$block")" "${block%.*}.SF"
    # A file of the jar is replaced under the same signature.
    cp "$work/page/signed.jar" "$work/other.jar"
    (cd "$work" && cp other Threads.class && jar --update --file other.jar Threads.class)
    refuse plain jarsigner -verify -strict -keystore "$work/page/trust.p12" -storepass changeit "$work/other.jar" | tee "$work/said"
    grep 'digest error for Threads.class' "$work/said"
}

threads() {
    SCHEMES="SHA256withECDSA SHA256withECDSAinP1363Format SHA512withECDSA"
    key "$TOKEN"
    [ "$kind" = ec ] || SCHEMES="SHA256withRSA SHA384withRSA SHA512withRSA PSS-SHA256 PSS-SHA384"
    export SCHEMES
    rm -rf "$work/page/classes" "$work/page"/{exported,public}.pem
    # Verifies with the public key of the certificate, which must be the service's.
    run_page 'Threads.java' | tee "$work/said"
    same_key "$work/page/public.pem"
    grep -x '48 signatures' "$work/said"
}

tls_client() { # CA OPTION...: runs the page's client, without the module
    local block
    block=$(page 's_client')
    (cd "$work/page" && OPENSSL_CONF=$work/plain.cnf CLOUD_KMS_PKCS11_CONFIG=/nonexistent timeout 60 bash -euxo pipefail -c \
        "${block/-CAfile ca.pem/-CAfile $1 ${*:2} -showcerts}") | tee "$work/answer"
}

served() { # PROTOCOL SIGNATURE
    local authority=0
    [[ " ${chains[*]} " != *" $TOKEN "* ]] || authority=1
    with_log tls_client ca.pem "$1"
    grep -E '^ *Verify return code: 0 \(ok\)$' "$work/answer"
    grep -E "^subject= ?CN ?= ?$TOKEN$" "$work/answer"
    grep -xE "Peer signature type: ($2)" "$work/answer"
    [ "$(grep -c 'BEGIN CERTIFICATE' <(sed '/^Server certificate$/,$d' "$work/answer"))" = $((1 + authority)) ]
    refuse tls_client "$work/other-ca.pem" "$1"
}

as_server() { # SIGNATURE OF TLS 1.2, OF TLS 1.3
    PORT=$(free_port)
    export PORT
    configure "$TOKEN"
    run_page '>token.properties' 2>"$work/said"
    run_page 'Server.java <<' 2>"$work/said"
    start_page '^java [^\n]*\n *Server.java'
    check "$TOKEN TLS server starts, Java $jdk" serves listening "$PORT"
    check "$TOKEN TLS 1.3 server, Java $jdk" served -tls1_3 "$2"
    check "$TOKEN TLS 1.2 server, Java $jdk" served -tls1_2 "$1"
    stop_server
}

visits() {
    rm -f "$work"/page/*.p12
    run_page 'alias ca'
    run_page 'Client.java <<'
    client_page '^java [^\n]*\n[^\n]*Client.java' | tee "$work/answer"
    grep -E "Subject: ?CN ?= ?$TOKEN" "$work/answer"
}

as_client() { # PROTOCOL
    PORT=$(free_port)
    export PORT
    configure "$TOKEN"
    run_page '>token.properties' 2>"$work/said"
    start plain_openssl s_server -accept "127.0.0.1:$PORT" -www "$1" -cert "$work/somebody.pem" -key "$work/other.key" \
        -CAfile "$work/ca.pem" -Verify 1 -verify_return_error
    wait_for 30 listening "$PORT" || true
    check "$TOKEN TLS client, $1, Java $jdk" visits
    stop_server
}

for label in "${labels[@]}" azure-cert-rsa; do configure "$label"; done
first=1
for jdk in $(jdks); do
    use_jdk "$jdk"
    # The file in the jar.
    rm -rf "$work/classes"
    run javac -d "$work/classes" "$SOURCE/Threads.java"
    (cd "$work" && jar --create --file page/hello.jar -C classes Threads.class)
    for TOKEN in "${labels[@]}" azure-cert-rsa; do
        cp "$work/$TOKEN.cfg" "$work/page/pkcs11.cfg"
        check "$TOKEN listed by keytool, Java $jdk" lists
        check "$TOKEN certificate chain, Java $jdk" chain
        check "$TOKEN certificate request by keytool, Java $jdk" requests
        check "$TOKEN certificate issued by keytool, Java $jdk" issues
        check "$TOKEN jar signed by jarsigner, Java $jdk" jar_signed
        check "$TOKEN signatures from 16 threads, Java $jdk" threads
    done
    # TLS 1.3 signs with RSA-PSS. Java can do that because the token lists the PSS mechanisms that hash.
    for TOKEN in aws-rsa2048 azure-p256; do
        key "$TOKEN"
        if [ "$kind" = rsa ]; then as_server "$PSS|$PKCS1" "$PSS"; else as_server "$ECDSA" "$ECDSA"; fi
    done
    TOKEN=azure-rsa2048 as_client -tls1_3
    TOKEN=aws-p256 as_client -tls1_2
    # Only once, because the certificate of this key then exists.
    if [ -n "$first" ]; then
        TOKEN=aws-rsa3072
        configure "$TOKEN"
        check "$TOKEN first certificate, Java $jdk" first_certificate
        first=
    fi
done
