#!/usr/bin/env bash
# apt: gcc libc6-dev libpcsclite-dev pkg-config certbot
# Go: step-ca as an ACME server; the project's test programs with miekg/pkcs11 and crypto11. Every release uses this machine's Go,
# because the programs need Go 1.25, and Debian 12 and 13 have an older version.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$clients/server.bash"

need go "Go 1.25 or newer"
need gcc gcc
need certbot certbot

. "$clients/go.bash"

install() {
    echo "go: building step-ca and the test programs (some minutes the first time)"
    again run_page 'go install' && modules && run_page 'go build'
}

sign_all() {
    rm -rf "$work/page/signatures"
    run_page '/sign -module' >"$work/said"
    cat "$work/said"
    grep -qx "object private $label $id" "$work/said"
    grep -qx "object public $label $id" "$work/said"
    [ "$certificate" = - ] || grep -qx "object certificate $label $id" "$work/said"
    local file size count=0
    for file in "$work"/page/signatures/*.sig; do
        size=$(basename "$file" .sig | sed -nE 's/.*SHA([0-9]+).*/\1/p')
        case $file in
            *PSS.sig | *PSS-parts.sig) verify_and_spoil verify_pss "sha${size:-256}" "$work/data" "$file" ;;
            *) verify_and_spoil verify "sha${size:-256}" "$work/data" "$file" ;;
        esac
        count=$((count + 1))
    done
    # One signature for each mechanism, and one more, in parts, for each mechanism that hashes the data.
    [ "$count" -eq "$([ "$kind" = rsa ] && echo 14 || echo 11)" ]
}

acme() {
    export TOKEN=$label PORT HTTP_PORT
    PORT=$(free_port) HTTP_PORT=$(free_port)
    trap stop_server EXIT
    rm -rf "$work/page/db" "$work/page/certbot"
    cp "$public" "$work/page/public.pem"
    run_page 'intermediate.cnf'
    run_page 'ca.json <<'
    start_page '/step-ca --insecure'
    serves listening "$PORT"
    client_page 'certbot certonly'
    # The page verifies the certificate. With another intermediate certificate the verification must fail.
    local certificate=$work/page/certbot/live/localhost/cert.pem
    run plain_openssl verify -CAfile "$work/page/root.pem" -untrusted "$work/page/intermediate.pem" "$certificate"
    refuse plain_openssl verify -CAfile "$work/page/root.pem" -untrusted "$work/other-intermediate.pem" "$certificate"
}

authority() {
    rm -f "$work"/page/*.pem
    run_page 'crypto11.json <<'
    run_page '/ca -config'
    run plain_openssl x509 -in "$work/page/ca.pem" -noout -pubkey -out "$work/certificate.pub"
    same_key "$work/certificate.pub"
    run plain_openssl verify -check_ss_sig -CAfile "$work/page/ca.pem" "$work/page/ca.pem"
    run plain_openssl verify -purpose sslserver -verify_hostname localhost -CAfile "$work/page/ca.pem" "$work/page/server.pem"
    refuse plain_openssl verify -CAfile "$work/other-ca.pem" "$work/page/server.pem"
    run plain_openssl x509 -in "$work/page/server.pem" -noout -pubkey -out "$work/server.pub"
    run plain_openssl req -in "$work/page/server.csr" -noout -pubkey -out "$work/request.pub"
    run cmp "$work/server.pub" "$work/request.pub"
}

tls_server() {
    run plain_openssl x509 -in "$certificate" -noout -pubkey -out "$work/certificate.pub"
    same_key "$work/certificate.pub"
    cp "$certificate" "$work/page/certificate.pem"
    run_page 'crypto11.json <<'
    run_page '/tls -config'
}

# A client that trusts another certificate must refuse the server. Otherwise the check of the certificate proves nothing.
tls_refused() {
    cp "$work/other-ca.pem" "$work/page/certificate.pem"
    run_page 'crypto11.json <<'
    refuse run_page '/tls -config' 2>"$work/said"
    grep 'x509: certificate signed by unknown authority' "$work/said"
}

install >"$work/install.log" 2>&1 || { cat "$work/install.log" && exit 1; }
head -n 1 "$work/install.log"
# The versions that the compiler has written into the programs.
client Go "$(go version "$work/page/sign" | sed 's/.*: go//')"
client step-ca "$(go version -m "$work/page/step-ca" | awk '$1 == "mod" { print $3 }')"
client miekg/pkcs11 "$(module_of github.com/miekg/pkcs11 "$work/page/sign")"
client crypto11 "$(module_of github.com/ThalesGroup/crypto11 "$work/page/ca")"
cp "$work/data" "$work/page/data"
other_authority() { # SUBJECT FILE: makes a CA with the same name and another key
    plain_openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$work/other.key" -subj "$1" -days 2 -out "$2" 2>/dev/null
}
other_authority "/O=Example/CN=Example CA" "$work/other-ca.pem"
other_authority "/CN=Intermediate CA" "$work/other-intermediate.pem"

with_key() {
    check "$label signs by each mechanism (miekg/pkcs11)" sign_all
    case $label in
        *rsa2048 | *rsa4096 | *cert-rsa | *p256 | *p384 | *p521)
            check "$label is a certificate authority (crypto11)" authority
            ;;
    esac
    case $label in
        *rsa2048 | *p256) check "$label is an ACME server's (step-ca)" acme ;;
    esac
    [ "$certificate" = - ] || check "$label serves TLS to many at once (crypto11)" tls_server
}

each_key with_key
key azure-cert-ec
check "TLS clients refuse another certificate" tls_refused

decrypts() { # PATTERN
    cp "$public" "$work/page/public.pem"
    run_page 'crypto11.json <<'
    run_page "$1"
}

says_why_not() {
    refuse decrypts '/decrypt -config' 2>"$work/said"
    cat "$work/said"
    grep 'a key of AWS KMS can sign or decrypt, but not both' "$work/said"
}

all_uses
for name in aws-decrypt google-decrypt $vault_rsa azure-decrypt azure-rsa2048; do
    key "$name"
    check "$label decrypts (crypto11)" decrypts '/decrypt -config'
done
check "$label signs, and decrypts PKCS#1 v1.5 (crypto11)" decrypts '-pkcs1'
key aws-rsa2048
check "$label signs, and says why it does not decrypt" says_why_not
