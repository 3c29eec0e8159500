# shellcheck shell=bash disable=SC2154 # lib.sh sets them
# Sourced after lib.sh by scripts that run a CA with OpenSSL's command line. Each function runs a block of the page, then verifies
# the result with OpenSSL without the module.
#
#   root_certificate   makes root.pem
#   issue_x509         makes server.pem with openssl x509
#   issue_ca           makes listed.pem with openssl ca
#   revoke             makes root.crl, which revokes listed.pem

plain_openssl req -x509 -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$work/other-key.pem" -days 2 -subj "/CN=My root" \
    -addext "basicConstraints=critical,CA:true" -out "$work/other-root.pem" 2>/dev/null

root_certificate() {
    run_page 'req -x509 [^\n]*\n[^\n]*-out root.pem'
    run plain_openssl verify -check_ss_sig -CAfile "$work/page/root.pem" "$work/page/root.pem"
    run plain_openssl x509 -in "$work/page/root.pem" -noout -pubkey -out "$work/root.pub"
    same_key "$work/root.pub"
}

verify_issued() { # CERTIFICATE
    run plain_openssl verify -x509_strict -purpose sslserver -verify_hostname server.example -CAfile "$work/page/root.pem" "$1"
    # The same check must reject a root with the same name and another key, and a changed signature.
    refuse plain_openssl verify -CAfile "$work/other-root.pem" "$1"
    plain_openssl x509 -in "$1" -outform DER -out "$work/one.der"
    plain_openssl x509 -inform DER -in "$(spoil "$work/one.der")" -out "$work/spoilt.pem"
    refuse plain_openssl verify -CAfile "$work/page/root.pem" "$work/spoilt.pem"
}

issue_x509() {
    run_page 'x509 -req'
    verify_issued "$work/page/server.pem"
}

issue_ca() {
    run_page 'openssl ca [^\n]*-batch'
    verify_issued "$work/page/listed.pem"
    grep -q '^V.*CN=server.example$' "$work/page/index.txt"
}

revoke() {
    run_page 'openssl ca [^\n]*-revoke'
    run plain_openssl crl -in "$work/page/root.crl" -CAfile "$work/page/root.pem" -noout 2>&1 | grep -x 'verify OK'
    run plain_openssl verify -crl_check -CRLfile "$work/page/root.crl" -CAfile "$work/page/root.pem" "$work/page/server.pem"
    refuse plain_openssl verify -crl_check -CRLfile "$work/page/root.crl" -CAfile "$work/page/root.pem" "$work/page/listed.pem"
}
