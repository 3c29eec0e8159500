#!/usr/bin/env bash
# apt: curl libengine-pkcs11-openssl
# curl's client certificate, its key through libp11's engine, against a server that demands one.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$(dirname "${BASH_SOURCE[0]}")/tls.bash"

need curl curl

# What the server has seen: so many new handshakes, all with the key's certificate.
seen() { # COUNT CERTIFICATE [VERSION]
    local hex
    hex=$(plain_openssl x509 -in "$2" -outform DER | python3 -c 'import sys; print(sys.stdin.buffer.read().hex())')
    [ "$(grep -c "^${3:-TLSv1.*} $hex new$" "$work/seen")" -eq "$1" ]
    [ "$(wc -l <"$work/seen")" -eq "$1" ]
}

fresh() { : >"$work/seen"; }

once() {
    fresh
    client_page 'curl .*--cert client.pem' | grep -x hello
    seen 1 "$work/page/client.pem" TLSv1.3
}

version_1_2() {
    fresh
    local block
    block=$(page 'curl .*--cert client.pem')
    (cd "$work/page" && timeout 60 bash -euxc "${block/curl /curl --tls-max 1.2 }") | grep -x hello
    seen 1 "$work/page/client.pem" TLSv1.2
}

from_token() {
    fresh
    client_page 'cert-type ENG' | grep -x hello
    seen 1 "$certificate"
}

processes() { # COUNT: one after another
    fresh
    local n
    for ((n = 0; n < $1; n++)); do client_page 'curl .*--cert client.pem' >/dev/null; done
    seen "$1" "$work/page/client.pem"
}

parallel() {
    fresh
    [ "$(client_page 'curl .*--parallel' | grep -cx hello)" -eq 20 ]
    seen 20 "$work/page/client.pem"
}

uncertified() {
    fresh
    refuse curl --silent --show-error --fail --cacert "$work/page/ca.pem" "$URL"
    # Another's certificate, without its key.
    refuse curl --silent --show-error --fail --cacert "$work/page/ca.pem" --cert "$work/page/client.pem" --key "$work/page/local-key.pem" \
        "$URL"
    [ ! -s "$work/seen" ]
}

local_certificate
PORT=$(free_port)
export URL=https://localhost:$PORT/
# Our CA, and the certificates in the tokens.
cat "$work/page/ca.pem" >"$work/clients-ca.pem"
for key in aws-p256 azure-cert-ec; do
    use_key "$key"
    cat "$certificate" >>"$work/clients-ca.pem"
done
fresh
start env OPENSSL_CONF="$work/plain.cnf" python3 "$clients/mutual.py" "$PORT" "$work/page/local.pem" "$work/page/local-key.pem" \
    "$work/clients-ca.pem" "$work/seen"
check "the plain server starts" serves listening "$PORT"

for key in aws-rsa2048 aws-p256 azure-p256 azure-cert-rsa azure-cert-ec; do
    use_key "$key"
    certificate_of_key
    check "$key TLS 1.3" once
    check "$key TLS 1.2" version_1_2
    case $key in
        aws-p256 | azure-cert-ec) check "$key certificate from the token" from_token ;;
    esac
    check "$key 20 processes" processes 20
    check "$key 20 connections of one process" parallel
done
check "no certificate, or another's key" uncertified
stop_server
