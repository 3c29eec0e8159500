#!/usr/bin/env bash
# apt: stunnel4 libengine-pkcs11-openssl
# stunnel as server and as client with a certificate, the key through libp11's engine.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$(dirname "${BASH_SOURCE[0]}")/tls.bash"

need stunnel4 stunnel4

# What the backend has seen: so many new handshakes, all with the key's certificate.
seen() { # COUNT
    local hex
    hex=$(plain_openssl x509 -in "$work/page/client.pem" -outform DER | python3 -c 'import sys; print(sys.stdin.buffer.read().hex())')
    [ "$(grep -c "^TLSv1.* $hex new$" "$work/seen")" -eq "$1" ]
}

through_client() { # COUNT THREADS
    : >"$work/seen"
    handshakes "$PORT" "$1" --plain --expect hello --threads "$2"
    seen "$1"
}

stranger() {
    refuse plain_openssl s_client -connect "127.0.0.1:$PORT" -CAfile "$work/other-ca.pem" -no-CApath -verify_return_error </dev/null
}

plain_openssl req -x509 -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$work/other-key.pem" -days 2 -subj "/CN=Test CA" \
    -addext "basicConstraints=critical,CA:true" -out "$work/other-ca.pem" 2>/dev/null
local_certificate
: >"$work/seen"
plain_backend=$(free_port)
tls_backend=$(free_port)
mkdir "$work/site"
echo hello >"$work/site/index.html"
python3 -m http.server --bind 127.0.0.1 --directory "$work/site" "$plain_backend" >/dev/null 2>&1 &
later "kill $!"
OPENSSL_CONF=$work/plain.cnf python3 "$clients/mutual.py" "$tls_backend" "$work/page/local.pem" "$work/page/local-key.pem" \
    "$work/page/ca.pem" "$work/seen" >"$work/mutual.log" 2>&1 &
later "kill $!"
check "the backends start" wait_for 30 listening "$plain_backend"
check "the backends start" wait_for 30 listening "$tls_backend"

for key in aws-p256 aws-rsa2048 azure-p256 azure-cert-rsa; do
    use_key "$key"
    certificate_of_key
    PORT=$(free_port)
    BACKEND=$plain_backend
    export PORT BACKEND
    check "$key server configuration" run_page 'server.conf.*accept'
    start_page 'stunnel4 server.conf'
    check "$key server starts" serves listening "$PORT"
    check "$key 50 connections, TLS 1.3" handshakes "$PORT" 50 --tls 1.3 --threads 8 --certificate "$work/page/server.pem" --expect hello
    check "$key 50 connections, TLS 1.2" handshakes "$PORT" 50 --tls 1.2 --threads 8 --certificate "$work/page/server.pem" --expect hello
    check "$key a client that trusts another CA" stranger
    stop_server

    PORT=$(free_port)
    BACKEND=$tls_backend
    check "$key client configuration" run_page 'client.conf.*accept'
    start_page 'stunnel4 client.conf'
    check "$key client starts" serves listening "$PORT"
    check "$key 50 connections as a client" through_client 50 8
    stop_server
done
