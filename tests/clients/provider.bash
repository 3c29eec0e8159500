# shellcheck shell=bash disable=SC2154 # lib.sh sets them
# For the scripts of OpenSSL's command line through its provider, after lib.sh, server.bash and certify.bash. $work/page is where
# the pages' commands run; OPENSSL_CONF is the page's.
#
#   self_signed          the page's block makes certificate.pem
#   requested            the page's block makes request.pem
#   verify_cms CA [SIGNATURE]   file.p7s, or that, is file's; refused for other data, and spoilt
#   handshake SIGNATURE OPTION...   the page's client, without the module, connects; SIGNATURE is what s_client calls the server's

export OPENSSL_CONF=$work/page/openssl.cnf

self_signed() {
    run_page 'req -x509 [^\n]*-out certificate.pem'
    run plain_openssl x509 -in "$work/page/certificate.pem" -noout -pubkey -out "$work/certificate.pub"
    same_key "$work/certificate.pub"
    # check_ss_sig: otherwise the signature of a self-signed certificate is taken on trust.
    run plain_openssl verify -check_ss_sig -CAfile "$work/page/certificate.pem" "$work/page/certificate.pem"
    plain_openssl x509 -in "$work/page/certificate.pem" -outform DER -out "$work/certificate.der"
    plain_openssl x509 -inform DER -in "$(spoil "$work/certificate.der")" -out "$work/spoilt.pem"
    refuse plain_openssl verify -check_ss_sig -CAfile "$work/spoilt.pem" "$work/spoilt.pem"
}

requested() {
    run_page 'req -new [^\n]*(.[\n].*)?-out request.pem'
    run plain_openssl req -in "$work/page/request.pem" -verify -noout
    run plain_openssl req -in "$work/page/request.pem" -noout -pubkey -out "$work/request.pub"
    same_key "$work/request.pub"
    plain_openssl req -in "$work/page/request.pem" -outform DER -out "$work/request.der"
    refuse plain_openssl req -inform DER -in "$(spoil "$work/request.der")" -verify -noout
}

verify_cms() { # CA [SIGNATURE]
    local ca=$1 signature=${2:-$work/page/file.p7s}
    local verifies=(plain_openssl cms -verify -binary -inform DER -purpose any -CAfile "$ca" -out "$work/content")
    run "${verifies[@]}" -in "$signature" -content "$work/page/file"
    run cmp "$work/content" "$work/page/file"
    refuse "${verifies[@]}" -in "$signature" -content "$work/other"
    # The signature is the last field.
    refuse "${verifies[@]}" -in "$(spoil "$signature")" -content "$work/page/file"
}

accepts() { grep -q '^ACCEPT' "$work/server.log"; }

# The page's commands with what the test wants to be fixed added, and with an end.
page_client() { # CONFIGURATION PATTERN OPTION...
    local block configuration=$1 pattern=$2
    shift 2
    block=$(page "$pattern")
    (cd "$work/page" && OPENSSL_CONF=$configuration timeout 60 bash -euxo pipefail -c "${block/openssl s_client/openssl s_client $*}") |
        tee "$work/answer"
}

handshake() { # SIGNATURE OPTION...
    page_client "$work/plain.cnf" 's_client.*verify_hostname' "${@:2}"
    grep -E '^ *Verify return code: 0 \(ok\)$' "$work/answer"
    grep -xE "Peer signature type: ($1)" "$work/answer"
}
