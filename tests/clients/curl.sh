#!/usr/bin/env bash
# apt: curl libengine-pkcs11-openssl
# apt trixie sid: pkcs11-provider
# curl with a client certificate whose key is in the cloud, through OpenSSL's provider or libp11's engine.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$(dirname "${BASH_SOURCE[0]}")/tls.bash"

need curl curl

# Succeeds if the server has logged COUNT new handshakes, all with the key's certificate.
seen() { # COUNT CERTIFICATE [VERSION]
    local hex
    hex=$(plain_openssl x509 -in "$2" -outform DER | python3 -c 'import sys; print(sys.stdin.buffer.read().hex())')
    [ "$(grep -c "^${3:-TLSv1.*} $hex new$" "$work/seen")" -eq "$1" ]
    [ "$(wc -l <"$work/seen")" -eq "$1" ]
}

fresh() { : >"$work/seen"; }

# Runs the page's command. Only the page's configuration names the module.
by_page() { # PATTERN [OPTION...]
    local block pattern=$1
    shift
    block=${block_of_tool:-$(page "$pattern")}
    [ -n "$block" ] || { echo "no block matches $pattern in docs/clients/$script.md" && return 1; }
    (cd "$work/page" && env -u PKCS11_MODULE_PATH "${with[@]}" timeout 60 bash -euxo pipefail -c "${block/curl --silent/curl $* --silent}")
}

once() { # PATTERN
    fresh
    by_page "$1" | grep -x hello
    seen 1 "$work/page/client.pem" TLSv1.3
}

version_1_2() { # PATTERN
    fresh
    by_page "$1" --tls-max 1.2 | grep -x hello
    seen 1 "$work/page/client.pem" TLSv1.2
}

from_token() { # PATTERN WAY
    local block_of_tool=
    fresh
    [ "$key" != aws-p256 ] || block_of_tool=$(snippet "$1" curl --through "$2" --set "URL=$URL")
    by_page "$1" | grep -x hello
    seen 1 "$certificate"
}

processes() { # COUNT PATTERN: one after another
    fresh
    local n
    for ((n = 0; n < $1; n++)); do by_page "$2" >/dev/null; done
    seen "$1" "$work/page/client.pem"
}

in_turn() { # PATTERN: one process, a new connection each time
    fresh
    URL="$URL?[1-10]" by_page "$1" --http1.1 --no-sessionid --header Connection:close | grep -cx hello | grep -x 10
    seen 10 "$work/page/client.pem"
}

parallel() {
    fresh
    [ "$(by_page 'curl .*--parallel' | grep -cx hello)" -eq 20 ]
    seen 20 "$work/page/client.pem"
}

uncertified() {
    fresh
    refuse curl --silent --show-error --fail --cacert "$work/page/ca.pem" "$URL"
    # A certificate with the wrong key.
    refuse curl --silent --show-error --fail --cacert "$work/page/ca.pem" --cert "$work/page/client.pem" --key "$work/page/local-key.pem" \
        "$URL"
    [ ! -s "$work/seen" ]
}

local_certificate
PORT=$(free_port)
export URL=https://localhost:$PORT/
# The test CA, and the certificates in the tokens.
cat "$work/page/ca.pem" >"$work/clients-ca.pem"
for key in aws-p256 azure-cert-ec; do
    use_key "$key"
    cat "$certificate" >>"$work/clients-ca.pem"
done
fresh
start env OPENSSL_CONF="$work/plain.cnf" python3 "$clients/mutual.py" "$PORT" "$work/page/local.pem" "$work/page/local-key.pem" \
    "$work/clients-ca.pem" "$work/seen"
check "the plain server starts" serves listening "$PORT"

try_client() { # WAY TYPE
    local one="curl .*--cert client.pem[^\n]*\n +(--engine pkcs11 )?--key-type $2 " name="by the $1"
    use_way "$1"
    check "$key TLS 1.3 $name" once "$one"
    check "$key TLS 1.2 $name" version_1_2 "$one"
    case $key in
        aws-p256 | azure-cert-ec) check "$key certificate from the token $name" from_token "cert-type $2" "$1" ;;
    esac
    check "$key 20 processes $name" processes 20 "$one"
    check "$key 10 connections of one process, in turn $name" in_turn "$one"
    # Not with the provider; the page gives the reason.
    [ "$1" = provider ] || check "$key 20 connections of one process, at once $name" parallel
}

for key in aws-rsa2048 aws-p256 azure-p256 azure-cert-rsa azure-cert-ec $vault_ec $google_ec; do
    use_key "$key"
    certificate_of_key
    [ "$release" = bookworm ] || try_client provider PROV
    case $release,$key in bookworm,* | *,aws-p256 | *,azure-cert-rsa) try_client engine ENG ;; esac
done
check "no certificate, or another's key" uncertified
stop_server
