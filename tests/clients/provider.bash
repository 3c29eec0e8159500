# shellcheck shell=bash disable=SC2154 # lib.sh sets them
# Sourced after lib.sh, server.bash and certify.bash by the scripts that use OpenSSL's command line through the provider. The commands
# of the pages run in $work/page. OPENSSL_CONF is the configuration of the page openssl-provider.
#
#   self_signed          makes certificate.pem with the page's block, and verifies it
#   requested            makes request.pem with the page's block, and verifies it
#   verify_cms CA [SIGNATURE]   verifies SIGNATURE (default: file.p7s) over `file`. The same check must reject other data and a changed
#                               signature.
#   handshake SIGNATURE OPTION...   connects with the page's client, without the module; SIGNATURE is s_client's name of the server's
#                               signature

export OPENSSL_CONF=$work/page/openssl.cnf

self_signed() {
    run_page 'req -x509 [^\n]*-out certificate.pem'
    verify_self_signed
}

verify_self_signed() {
    run plain_openssl x509 -in "$work/page/certificate.pem" -noout -pubkey -out "$work/certificate.pub"
    same_key "$work/certificate.pub"
    # Without -check_ss_sig, OpenSSL does not verify the signature of a self-signed certificate.
    run plain_openssl verify -check_ss_sig -CAfile "$work/page/certificate.pem" "$work/page/certificate.pem"
    plain_openssl x509 -in "$work/page/certificate.pem" -outform DER -out "$work/certificate.der"
    plain_openssl x509 -inform DER -in "$(spoil "$work/certificate.der")" -out "$work/spoilt.pem"
    refuse plain_openssl verify -check_ss_sig -CAfile "$work/spoilt.pem" "$work/spoilt.pem"
}

requested() {
    run_page 'req -new [^\n]*(.[\n].*)?-out request.pem'
    verify_requested
}

verify_requested() {
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
    # The signature is the last field of the structure, so `spoil` changes it.
    refuse "${verifies[@]}" -in "$(spoil "$signature")" -content "$work/page/file"
}

accepts() { grep -q '^ACCEPT' "$work/server.log"; }

# Runs the page's commands with additional options for s_client, and with a time limit.
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
