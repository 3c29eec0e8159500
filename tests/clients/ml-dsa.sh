#!/usr/bin/env bash
# releases: sid
# apt: pkcs11-provider
# ML-DSA keys of KMS with OpenSSL's command line, through pkcs11-provider. OpenSSL verifies without the module.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$clients/server.bash"
. "$clients/certify.bash"
. "$clients/provider.bash"
. "$clients/ca.bash"

export TOOL=${TOOL:-$root/target/release/cloud-kms-pkcs11}
need "$TOOL" "none; cargo build --release -p cloud-kms-pkcs11-cli"
need "$(openssl version -m | sed 's/^MODULESDIR: "\(.*\)"$/\1/')/pkcs11.so" pkcs11-provider

verify_raw() { # - DATA SIGNATURE
    run plain_openssl pkeyutl -verify -rawin -pubin -inkey "$public" -in "$2" -sigfile "$3"
}

signs_file() {
    rm -f "$work/page/file.sig"
    run_block 'pkeyutl -sign' openssl
    same_key "$work/page/public.pem"
    verify_and_spoil verify_raw - "$work/page/file" "$work/page/file.sig"
}

signs_by_dgst() {
    rm -f "$work/page/file.sig"
    run_page 'dgst -sign'
    verify_and_spoil verify_raw - "$work/page/file" "$work/page/file.sig"
}

# The message is longer than KMS accepts.
signs_large_file() {
    head -c 1000000 /dev/urandom >"$work/page/file"
    signs_file
    signs_by_dgst
}

of_kind() { # PEM-FILE, command that prints it
    run plain_openssl "$2" -in "$1" -noout -text | grep -m 1 "Signature Algorithm: ML-DSA-${label#*-mldsa}$"
}

certifies_itself() {
    self_signed
    of_kind "$work/page/certificate.pem" x509
}

asks_for_certificate() {
    requested
    of_kind "$work/page/request.pem" req
}

# The project's own tool makes the same files.
tool() { run env CLOUD_KMS_PKCS11_MODULE="$MODULE" "$TOOL" "$@"; }

tool_certifies_itself() {
    tool self-sign --slot "$label" --subject CN=tool --out "$work/page/certificate.pem" --force
    verify_self_signed
    of_kind "$work/page/certificate.pem" x509
}

tool_asks_for_certificate() {
    tool csr --slot "$label" --subject CN=tool --out "$work/page/request.pem" --force
    verify_requested
    of_kind "$work/page/request.pem" req
}

# An RSA key of another cloud issues a certificate for the request of the ML-DSA key.
tool_issues() {
    tool self-sign --slot azure-rsa2048 --subject "CN=My root" --ca --out "$work/page/root.pem" --force
    tool ca sign --slot azure-rsa2048 --ca-certificate "$work/page/root.pem" --csr "$work/page/request.pem" \
        --out "$work/page/issued.pem" --force
    run plain_openssl verify -x509_strict -CAfile "$work/page/root.pem" "$work/page/issued.pem"
    refuse plain_openssl verify -CAfile "$work/other-root.pem" "$work/page/issued.pem"
}

cms() {
    run_page 'cms -sign'
    verify_cms "$work/page/certificate.pem"
}

stranger() {
    refuse plain_openssl s_client -connect "127.0.0.1:$PORT" -CAfile "$work/other-root.pem" -no-CApath -verify_return_error </dev/null
}

# A client without ML-DSA must not get a connection.
without_ml_dsa() {
    refuse plain_openssl s_client -connect "127.0.0.1:$PORT" -CAfile "$work/page/certificate.pem" -sigalgs ECDSA+SHA256:RSA-PSS+SHA256 </dev/null
}

tls() {
    PORT=$(free_port)
    export PORT
    start_page 's_server'
    check "$label TLS 1.3 server starts" serves accepts
    check "$label TLS 1.3 server" handshake "${label#*-}" -tls1_3
    check "$label TLS 1.3 server, post-quantum key agreement" handshake "${label#*-}" -groups X25519MLKEM768
    cp "$work/page/certificate.pem" "$work/page/ca.pem"
    check "$label 10 connections" handshakes "$PORT" 10 --certificate "$work/page/certificate.pem" --threads 1
    check "$label a client that trusts another certificate" stranger
    check "$label a client without ML-DSA" without_ml_dsa
    stop_server
}

# A root with the same name and type, and another key.
plain_openssl req -x509 -new -newkey ML-DSA-65 -noenc -keyout "$work/other-key.pem" -days 2 -subj "/CN=My root" \
    -addext "basicConstraints=critical,CA:true" -addext "keyUsage=critical,keyCertSign" -out "$work/other-root.pem" 2>/dev/null
provider_config >/dev/null 2>&1
all_uses
from_tool=aws-mldsa65
for name in aws-mldsa44 aws-mldsa65 aws-mldsa87 google-mldsa65; do
    key "$name"
    export TOKEN=$label
    cp "$work/data" "$work/page/file"
    check "$label file signed" signs_file
    check "$label file signed by dgst" signs_by_dgst
    check "$label self-signed certificate" certifies_itself
    check "$label certificate request" asks_for_certificate
    check "$label openssl cms" cms
    check "$label large file signed" signs_large_file
    [ "$label" != aws-mldsa65 ] || check "$label openssl x509 -req" issue_x509
    tls
    check "$label self-signed certificate by the tool" tool_certifies_itself
    check "$label certificate request by the tool" tool_asks_for_certificate
    [ "$label" != aws-mldsa65 ] || check "$label certificate issued by the tool" tool_issues
done
