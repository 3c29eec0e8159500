#!/usr/bin/env bash
# apt: bind9 bind9-utils bind9-dnsutils ldnsutils pkcs11-provider
# releases: trixie sid
# BIND with OpenSSL's provider: key files, dnssec-signzone, and named with automatic signing.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$clients/dnssec.bash"
. "$clients/server.bash"

PATH=$PATH:/usr/sbin
need dnssec-signzone bind9-utils
need named bind9
need delv bind9-dnsutils
need ldns-verify-zone ldnsutils

key_files() {
    run_block 'module-load-behavior' bind
    run_block 'keyfromlabel' bind --set "ZSK=$ZSK"
    [ "$(cat "$work"/page/K*.private | grep -c '^Label: ')" -eq 2 ]
    refuse grep -i '^PrivateExponent\|^PrivateKey:\|^Prime' "$work"/page/K*.private
    grep -h -v '^;' "$work"/page/K*.key | awk '{ line = $4 " " $5 " " $6 " "; for (i = 7; i <= NF; i++) line = line $i; print line }' |
        sort >"$work/keys-of-bind"
    diff "$work/keys-of-bind" <(printf '%s\n' "$ksk" "$zsk" | sort)
}

sign_zone() {
    run_block 'dnssec-signzone' bind
    run_page 'dnssec-verify'
    verify_zone "$work/page/signed.zone" "$ksk" "$zsk"
}

signed_by_named() { run_page 'dig' && is_signed "$work/page/transferred.zone"; }

transferred() {
    run_page 'dig'
    verify_zone "$work/page/transferred.zone" "$ksk" "$zsk"
    # named has not generated keys.
    [ "$(compgen -G "$work/page/K*.private" | wc -l)" -eq 2 ]
}

# delv trusts the key-signing key. With another trust anchor the validation must fail.
validated() {
    run_page 'trust-anchors' | tee "$work/answer"
    grep '^; fully validated' "$work/answer"
    grep -P '^www\.example\.com\.\t.*192\.0\.2\.2$' "$work/answer"
    echo "trust-anchors { example.com. static-key ${other% *} \"${other##* }\"; };" >"$work/page/others"
    (cd "$work/page" && timeout 30 delv @127.0.0.1 -p "$PORT" -a others +root=example.com www.example.com) >"$work/answer" 2>&1 || true
    cat "$work/answer"
    grep 'resolution failed: broken trust chain' "$work/answer"
}

keys_of_zone() { # KSK ZSK ALGORITHM NUMBER [BITS]
    export TOKEN=$1 ZSK=$2 ALGORITHM=$3 BITS=${5:-} PORT
    PORT=$(free_port)
    ksk=$(dnskey "$1" 257 "$4")
    zsk=$(dnskey "$2" 256 "$4")
    other=$(dnskey "$2" 257 "$4")
    new_zone
    check "$TOKEN key files" key_files
    check "$TOKEN zone signed by dnssec-signzone" sign_zone
}

by_named() {
    run_block 'named.conf' bind --set "PORT=$PORT" 2>/dev/null
    start_page 'named -g'
    check "$TOKEN named signs by itself" serves signed_by_named
    check "$TOKEN zone transferred" transferred
    check "$TOKEN answer validated" validated
    stop_server
}

from_tool=aws-rsa2048
keys_of_zone aws-rsa2048 azure-rsa2048 RSASHA256 8 2048
by_named
keys_of_zone azure-p256 aws-p256 ECDSAP256SHA256 13
by_named
[ -z "$vault_ec" ] || keys_of_zone "$vault_ec" aws-p256 ECDSAP256SHA256 13
keys_of_zone "$google_ec" aws-p256 ECDSAP256SHA256 13
keys_of_zone aws-p384 azure-p384 ECDSAP384SHA384 14
keys_of_zone azure-rsa4096 aws-rsa3072 RSASHA256 8
