#!/usr/bin/env bash
# apt: libnss3-tools
# NSS's tools: listing, TLS servers and clients, CMS.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$clients/server.bash"
. "$clients/certify.bash"

need certutil libnss3-tools
need selfserv libnss3-tools

labels=(aws-rsa2048 aws-p256 azure-rsa2048 azure-p256 $vault_keys $google_ec)
key_usage=digitalSignature,keyEncipherment
certify "${labels[@]}"
cp "$work/ca.pem" "$work/page/ca.pem"
cp "$work/data" "$work/page/file"
printf 'GET / HTTP/1.0\r\n\r\n' >"$work/page/request"

# Certificates without a token: that of the server mutual.py, and a CA that no client trusts.
plain_openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$work/local-key.pem" -subj /CN=localhost 2>/dev/null |
    plain_openssl x509 -req -CA "$work/ca.pem" -CAkey "$work/ca.key" -days 2 -extfile "$work/leaf.cnf" -out "$work/local.pem" 2>/dev/null
plain_openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=other CA" -days 2 \
    -keyout "$work/other-ca.key" -out "$work/other-ca.pem" 2>/dev/null

der() { plain_openssl x509 -in "$1" -outform DER -out "$2"; }

lists() {
    run_page 'certutil -K' >"$work/listed"
    cat "$work/listed"
    grep -iE "token( name)?: *$TOKEN *\$" "$work/listed"
    grep -E "^< 0> +$kind .* $TOKEN\$" "$work/listed"
    grep -E "^$TOKEN:$TOKEN +u,u,u\$" "$work/listed"
    certutil -L -d sql:"$work/page/nss" -n "$TOKEN:$TOKEN" -r >"$work/one.der"
    der "$work/$TOKEN.pem" "$work/two.der"
    run cmp "$work/one.der" "$work/two.der"
}

connects() { # COUNT [OPTION...]
    timeout 60 python3 "$clients/handshakes.py" "$work/ca.pem" "$PORT" "$@" --certificate "$work/$TOKEN.pem" --expect EOF
}

stranger() { refuse timeout 60 python3 "$clients/handshakes.py" "$work/other-ca.pem" "$PORT" 1; }

# The server's log is checked, not the client's output: TLS proves that the certificate's key has signed.
presented() { # TLS
    rm -f "$work/seen"
    export TLS=${1/TLSv/tls}
    as_user=(timeout 30)
    run_page 'tstclnt' >"$work/answer"
    cat "$work/answer"
    grep -a hello "$work/answer"
    der "$work/$TOKEN.pem" "$work/two.der"
    run grep -x "$1 $(python3 -c 'import sys; print(open(sys.argv[1], "rb").read().hex())' "$work/two.der") new" "$work/seen"
}

message() {
    rm -f "$work/page/file.p7s"
    run_page 'cmsutil -S' >"$work/answer"
    cat "$work/answer"
    grep 'signer0.status=GoodSignature' "$work/answer"
    plain_cms() { OPENSSL_CONF=$work/plain.cnf run_page 'openssl cms'; }
    plain_cms
    cp "$work/other" "$work/page/file"
    refuse plain_cms
    cp "$work/data" "$work/page/file"
    cp "$work/page/file.p7s" "$work/good.p7s"
    cp "$(spoil "$work/good.p7s")" "$work/page/file.p7s"
    refuse plain_cms
}

check "database" run_page 'modutil .* -add'
for label in "${labels[@]}"; do
    key "$label"
    export TOKEN=$label
    check "$label certutil and modutil list" lists
    PORT=$(free_port)
    export PORT
    start_page selfserv
    serves listening "$PORT" || true
    check "$label TLS 1.3 server" connects 40 --threads 8 --tls 1.3
    check "$label TLS 1.2 server" connects 40 --threads 8 --tls 1.2
    check "$label a client that trusts another CA" stranger
    stop_server
    OPENSSL_CONF=$work/plain.cnf python3 "$clients/mutual.py" "$PORT" "$work/local.pem" "$work/local-key.pem" "$work/ca.pem" "$work/seen" >"$work/server.log" 2>&1 &
    server=$!
    serves listening "$PORT" || true
    check "$label TLS 1.3 client certificate" presented TLSv1.3
    check "$label TLS 1.2 client certificate" presented TLSv1.2
    stop_server
    check "$label CMS signature" message
done
