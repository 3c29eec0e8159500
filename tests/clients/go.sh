#!/usr/bin/env bash
# apt: gcc libc6-dev
# Go: miekg/pkcs11, and a certificate authority and a TLS server with crypto11. Go itself (1.25 or newer) is no Debian package.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

need go "Go 1.25 or newer"
need gcc gcc

. "$clients/go.bash"

install() {
    echo "go: building the programs (the first time a minute)"
    modules
    run_page 'go build'
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
            *PSS.sig) verify_and_spoil verify_pss "sha${size:-256}" "$work/data" "$file" ;;
            *) verify_and_spoil verify "sha${size:-256}" "$work/data" "$file" ;;
        esac
        count=$((count + 1))
    done
    [ "$count" -eq "$([ "$kind" = rsa ] && echo 8 || echo 6)" ]
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
}

tls_server() {
    run plain_openssl x509 -in "$certificate" -noout -pubkey -out "$work/certificate.pub"
    same_key "$work/certificate.pub"
    cp "$certificate" "$work/page/certificate.pem"
    run_page 'crypto11.json <<'
    run_page '/tls -config'
}

# A client that trusts another certificate must refuse, or it would refuse nothing.
tls_refused() {
    cp "$work/other-ca.pem" "$work/page/certificate.pem"
    run_page 'crypto11.json <<'
    refuse run_page '/tls -config' 2>"$work/said"
    grep 'x509: certificate signed by unknown authority' "$work/said"
}

install >"$work/install.log" 2>&1 || { cat "$work/install.log" && exit 1; }
head -n 1 "$work/install.log"
# What the compiler wrote into the programs.
client Go "$(go version "$work/page/sign" | sed 's/.*: go//')"
client miekg/pkcs11 "$(module_of github.com/miekg/pkcs11 "$work/page/sign")"
client crypto11 "$(module_of github.com/ThalesGroup/crypto11 "$work/page/ca")"
cp "$work/data" "$work/page/data"
plain_openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$work/other-ca.key" -subj "/CN=MICROMDM SCEP CA" -days 2 \
    -out "$work/other-ca.pem" 2>/dev/null

with_key() {
    check "$label signs by each mechanism (miekg/pkcs11)" sign_all
    case $label in
        *rsa2048 | *rsa4096 | *cert-rsa | *p256 | *p384 | *p521) check "$label is a certificate authority (crypto11)" authority ;;
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
    refuse decrypts 'decrypt -config [^\n]*"\$TOKEN"\n' 2>"$work/said"
    cat "$work/said"
    grep 'a key of AWS KMS signs or decrypts, never both' "$work/said"
}

all_uses
for name in aws-decrypt azure-decrypt azure-rsa2048; do
    key "$name"
    check "$label decrypts (crypto11)" decrypts 'decrypt -config [^\n]*"\$TOKEN"\n'
done
check "$label signs and decrypts as a SCEP server (crypto11)" decrypts 'scep'
key aws-rsa2048
check "$label signs, and says why it does not decrypt" says_why_not
