#!/usr/bin/env bash
# apt: libengine-pkcs11-openssl
# TLS with OpenSSL's s_server and s_client, with a key in the cloud on either side, through libp11's engine.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$(dirname "${BASH_SOURCE[0]}")/tls.bash"

accepts() { grep -q '^ACCEPT' "$work/server.log"; }

client_conf=
# Runs the page's commands with additional options.
with_page_client() { # PATTERN OPTION...
    local block pattern=$1
    shift
    block=$(page "$pattern")
    (cd "$work/page" && OPENSSL_CONF=$client_conf timeout 60 bash -euxo pipefail -c "${block/openssl s_client/openssl s_client $*}") |
        tee "$work/answer"
}

handshake() { # SIGNATURE OPTION...
    client_conf=$work/plain.cnf with_page_client 's_client.*verify_hostname' "${@:2}"
    grep -E '^ *Verify return code: 0 \(ok\)$' "$work/answer"
    grep -xE "Peer signature type: ($1)" "$work/answer"
}

stranger() {
    refuse plain_openssl s_client -connect "127.0.0.1:$PORT" -CAfile "$work/other-ca.pem" -no-CApath -verify_return_error </dev/null
}

request() {
    client_page 'req -new'
    # OpenSSL 3.0 exits with 0 even if the signature is wrong, so the output is checked.
    run plain_openssl req -in "$work/page/server.csr" -verify -noout 2>&1 | grep 'self-signature verify OK'
    run plain_openssl req -in "$work/page/server.csr" -noout -pubkey -out "$work/request.pub"
    same_key "$work/request.pub"
}

as_server() {
    start_page 's_server.*engine'
    check "$key s_server starts" serves accepts
    if [ "$kind" = rsa ]; then
        check "$key s_server, TLS 1.2, PKCS#1" handshake "$PKCS1" -tls1_2 -sigalgs RSA+SHA256
        check "$key s_server, TLS 1.2, PSS" handshake "$PSS" -tls1_2 -sigalgs RSA-PSS+SHA384
        check "$key s_server, TLS 1.3" handshake "$PSS" -tls1_3
    else
        check "$key s_server, TLS 1.2" handshake "$ECDSA" -tls1_2
        check "$key s_server, TLS 1.3" handshake "$ECDSA" -tls1_3
    fi
    check "$key a client that trusts another CA" stranger
    check "$key still serves, 10 connections" handshakes "$PORT" 10 --certificate "$work/page/server.pem" --threads 1
    stop_server
}

# The server's reply describes the client's certificate.
present() { # OPTION...
    client_conf='' with_page_client 's_client.*-cert client.pem' "$@"
    grep -x 'Client certificate' "$work/answer"
    plain_openssl x509 -in "$work/page/client.pem" -noout -text | sed -n '/Serial Number:/{n;p}' >"$work/serial"
    grep -F -f "$work/serial" "$work/answer"
}

uncertified() {
    printf 'GET / HTTP/1.0\r\n\r\n' >"$work/get"
    plain_openssl s_client -connect "127.0.0.1:$PORT" -quiet -CAfile "$work/page/ca.pem" <"$work/get" >"$work/answer" 2>&1 || true
    refuse grep 'HTTP/1.0 200' "$work/answer"
}

as_client() {
    start_page 's_server.*-Verify'
    check "$key the plain server starts" serves accepts
    check "$key client's certificate, TLS 1.2" present -tls1_2
    check "$key client's certificate, TLS 1.3" present -tls1_3
    check "$key no certificate" uncertified
    stop_server
}

plain_openssl req -x509 -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$work/other-key.pem" -days 2 -subj "/CN=Test CA" \
    -addext "basicConstraints=critical,CA:true" -out "$work/other-ca.pem" 2>/dev/null
local_certificate
PORT=$(free_port)
export PORT

# Later releases use the provider (openssl-provider.sh), so here they test one key of each type and cloud.
labels=(aws-rsa2048 aws-p256 azure-rsa2048 azure-p256 $vault_keys $google_ec)
[ "$release" != bookworm ] || labels+=(aws-p384 azure-cert-rsa azure-cert-ec)
need_engine
for key in "${labels[@]}"; do
    use_key "$key"
    certificate_of_key
    case $key in
        aws-rsa2048 | azure-p256) check "$key certificate request" request ;;
    esac
    as_server
    as_client
done
