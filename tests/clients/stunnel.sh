#!/usr/bin/env bash
# apt: stunnel4 libengine-pkcs11-openssl
# apt trixie sid: pkcs11-provider
# stunnel as a server and as a client with a certificate, with a key in the cloud, through OpenSSL's provider or libp11's engine.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$(dirname "${BASH_SOURCE[0]}")/tls.bash"

need stunnel4 stunnel4

# Succeeds if the backend has logged COUNT new handshakes, all with the key's certificate.
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

# The page's blocks for the engine name the engine. The first configuration on the page is for the provider.
configure() { # ROLE FORM
    case $2 in
        engine) run_page "$1.conf.*engine = pkcs11" ;;
        file) run_page "$1.conf.*accept" ;;
        url)
            run_page "$1.conf.*accept"
            run_page 'sed -i "s.\^key'
            ;;
    esac
}
start_stunnel() { # ROLE FORM
    local pattern="^env OPENSSL_CONF.*$1.conf"
    [ "$2" != engine ] || pattern="^stunnel4 $1.conf"
    start_page "$pattern" "${with[@]}"
}

as_server() { # WAY FORM NAME
    use_way "$1"
    [ "$1" = engine ] || check "$key a file with the key's URL $3" key_file
    PORT=$(free_port)
    BACKEND=$plain_backend
    export PORT BACKEND
    check "$key server configuration $3" configure server "$2"
    start_stunnel server "$2"
    check "$key server starts $3" serves listening "$PORT"
    check "$key 50 connections, TLS 1.3 $3" handshakes "$PORT" 50 --tls 1.3 --threads 8 --certificate "$work/page/server.pem" --expect hello
    check "$key 50 connections, TLS 1.2 $3" handshakes "$PORT" 50 --tls 1.2 --threads 8 --certificate "$work/page/server.pem" --expect hello
    check "$key a client that trusts another CA $3" stranger
    stop_server
    rm -f "$work/page/server.conf"
}

as_client() { # WAY FORM NAME
    use_way "$1"
    [ "$1" = engine ] || key_file
    PORT=$(free_port)
    BACKEND=$tls_backend
    export PORT BACKEND
    check "$key client configuration $3" configure client "$2"
    start_stunnel client "$2"
    check "$key client starts $3" serves listening "$PORT"
    check "$key 50 connections as a client $3" through_client 50 8
    stop_server
    rm -f "$work/page/client.conf"
}

for key in aws-p256 aws-rsa2048 azure-p256 azure-cert-rsa $vault_ec $google_ec; do
    use_key "$key"
    certificate_of_key
    if [ "$release" != bookworm ]; then
        as_server provider file "by the provider"
        # On Debian 13, the provider breaks a client with an EC key; the page gives the reason.
        [ "$release $kind" = "trixie ec" ] || as_client provider file "by the provider"
    fi
    if [ "$release" = sid ]; then
        as_server provider url "by the provider and a URL"
        as_client provider url "by the provider and a URL"
    fi
    case $release,$key in
        bookworm,* | *,aws-p256 | *,azure-cert-rsa)
            as_server engine engine "by the engine"
            as_client engine engine "by the engine"
            ;;
    esac
done
