#!/usr/bin/env bash
# apt: opensc time gnutls-bin
# OpenSC's pkcs11-tool: lists and reads objects, and signs with every mechanism that a token lists.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

need pkcs11-tool opensc
need p11tool gnutls-bin
need /usr/bin/time time

tool() {
    local login=()
    [ -z "$PIN" ] || login=(--login --pin "$PIN")
    run pkcs11-tool --module "$MODULE" --token-label "$label" "${login[@]}" "$@"
}

sign() { # MECHANISM INPUT [OPTION...]
    local mechanism=$1 input=$2
    shift 2
    rm -f "$work/signature"
    tool --sign --mechanism "$mechanism" --label "$label" --input-file "$input" --output-file "$work/signature" "$@"
}

# RSA

digest_info() { # HASH OUT: writes the DER prefix of a DigestInfo, for CKM_RSA_PKCS
    python3 - "$1" "$work/data" "$2" <<'EOF'
import hashlib, sys
last = {"sha256": 1, "sha384": 2, "sha512": 3, "sha224": 4}
name, data, out = sys.argv[1:]
digest = hashlib.new(name, open(data, "rb").read()).digest()
oid = b"\x2b\x0e\x03\x02\x1a" if name == "sha1" else bytes.fromhex("608648016503040200")[:8] + bytes([last[name]])
algorithm = b"\x06" + bytes([len(oid)]) + oid + b"\x05\x00"
inner = b"\x30" + bytes([len(algorithm)]) + algorithm + b"\x04" + bytes([len(digest)]) + digest
open(out, "wb").write(b"\x30" + bytes([len(inner)]) + inner)
EOF
}

rsa_hashing() { # HASH: the token hashes
    sign "${1^^}-RSA-PKCS" "$work/data"
    verify_and_spoil verify "$1" "$work/data" "$work/signature"
}

rsa_digest_info() {
    digest_info "$1" "$work/info"
    sign RSA-PKCS "$work/info"
    verify_and_spoil verify "$1" "$work/data" "$work/signature"
}

hash_bytes() { [ "$1" = sha1 ] && echo 20 || echo $((${1#sha} / 8)); }

rsa_pss() {
    hash_file "$1" "$work/data" "$work/digest"
    sign RSA-PKCS-PSS "$work/digest" --hash-algorithm "${1^^}" --mgf "MGF1-${1^^}" --salt-len "$(hash_bytes "$1")"
    verify_and_spoil verify_pss "$1" "$work/data" "$work/signature"
}

rsa_pss_hashing() { # here the mechanism names the hash, and the tool refuses --hash-algorithm
    sign "${1^^}-RSA-PKCS-PSS" "$work/data" --mgf "MGF1-${1^^}" --salt-len "$(hash_bytes "$1")"
    verify_and_spoil verify_pss "$1" "$work/data" "$work/signature"
}

# Elliptic curves. The digest may have any length: a longer one is cut to the curve's size, a shorter
# one is a smaller number.

ecdsa_of() { # BYTES
    head -c "$1" /dev/urandom >"$work/digest"
    sign ECDSA "$work/digest" --signature-format openssl
    verify_digest "$work/digest" "$work/signature"
    head -c "$1" /dev/urandom >"$work/digest"
    refuse verify_digest "$work/digest" "$work/signature"
}

to_der() { # RAW DER: r || s as ECDSA-Sig-Value
    python3 - "$1" "$2" $(((bits + 7) / 8)) <<'EOF'
import sys
raw, size = open(sys.argv[1], "rb").read(), int(sys.argv[3])
assert len(raw) == 2 * size, f"{len(raw)} bytes, not {2 * size}"
def integer(part):
    number = int.from_bytes(part, "big")
    body = number.to_bytes(number.bit_length() // 8 + 1, "big")
    return b"\x02" + bytes([len(body)]) + body
body = integer(raw[:size]) + integer(raw[size:])
length = bytes([len(body)]) if len(body) < 128 else b"\x81" + bytes([len(body)])
open(sys.argv[2], "wb").write(b"\x30" + length + body)
EOF
}

ecdsa_raw() { # what PKCS#11 itself gives
    hash_file "$hash" "$work/data" "$work/digest"
    sign ECDSA "$work/digest" --signature-format rs
    to_der "$work/signature" "$work/signature.der"
    verify_and_spoil verify "$hash" "$work/data" "$work/signature.der"
}

ecdsa_hashing() { # HASH
    sign "ECDSA-${1^^}" "$work/data" --signature-format openssl
    verify_and_spoil verify "$1" "$work/data" "$work/signature"
}

# Listing and reading

# One check for each listed mechanism that signs. A listed mechanism that is unknown here fails.
listed() {
    local mechanism=$1
    case $mechanism in
        RSA-PKCS | RSA-PKCS-PSS | ECDSA) ;; # below, with all their parameters
        SHA*-RSA-PKCS-PSS) check "$label $mechanism" rsa_pss_hashing "$(lower "${mechanism%-RSA-PKCS-PSS}")" ;;
        SHA*-RSA-PKCS) check "$label $mechanism" rsa_hashing "$(lower "${mechanism%-RSA-PKCS}")" ;;
        ECDSA-SHA*) check "$label $mechanism" ecdsa_hashing "$(lower "${mechanism#ECDSA-}")" ;;
        *-HMAC | EDDSA | *ML-DSA* | *SLH-DSA*) ;; # for other keys: pkcs11-tool-more, python-more
        # The numbers of ML-DSA and SLH-DSA, which older versions do not name.
        mechtype-0x1D | mechtype-0x1F | mechtype-0x2[3-9A-CE] | mechtype-0x34 | mechtype-0x37) ;;
        *) check "$label $mechanism is listed for signing and tested here" false ;;
    esac
}

lower() { # SHA-256 and SHA256 become sha256
    local name=${1,,}
    echo "${name/sha-/sha}"
}

mechanisms_of_token() { tool --list-mechanisms 2>/dev/null | awk -F', ' '/sign/ { sub(/^ +/, "", $1); print $1 }'; }

lists_at_least() { # MECHANISM...
    local mechanism
    for mechanism in "$@"; do
        grep -qx -- "$mechanism" "$work/mechanisms" || { echo "$mechanism is not listed" && return 1; }
    done
}

# The token lists what some key of that cloud and type does. This key has the schemes of its algorithm only.
allowed() { # MECHANISM
    case $1 in
        SHA*-RSA-PKCS-PSS) can pss "$(lower "${1%-RSA-PKCS-PSS}")" ;;
        SHA*-RSA-PKCS) can pkcs1 "$(lower "${1%-RSA-PKCS}")" ;;
    esac
}

refuses_mechanisms() { # MECHANISM...
    local mechanism option
    for mechanism in "$@"; do
        option=()
        [[ $mechanism != *PSS ]] || option=(--mgf MGF1-SHA256 --salt-len 32)
        refuse sign "$mechanism" "$work/data" "${option[@]}" 2>&1 | tee "$work/said"
        grep -q "C_SignInit: CKR_MECHANISM_INVALID.*the service does not allow CKM_.* with this key" "$work/said"
    done
}

mechanisms() {
    local mechanism size length required refused=()
    mechanisms_of_token >"$work/mechanisms" || true
    if [ "$kind" = rsa ]; then
        required=()
        for size in 256 384 512; do
            if can pkcs1 "sha$size"; then
                required+=(RSA-PKCS "SHA$size-RSA-PKCS")
                check "$label RSA-PKCS with a sha$size DigestInfo" rsa_digest_info "sha$size"
            fi
            if can pss "sha$size"; then
                required+=(RSA-PKCS-PSS "SHA$size-RSA-PKCS-PSS")
                check "$label RSA-PKCS-PSS sha$size" rsa_pss "sha$size"
            fi
        done
    else
        required=(ECDSA ECDSA-SHA{1,224,256,384,512,3-224,3-256,3-384,3-512})
        for length in 20 28 32 48 64; do check "$label ECDSA of $length bytes" ecdsa_of "$length"; done
        check "$label ECDSA as r || s" ecdsa_raw
    fi
    check "$label lists ${#required[@]} mechanisms at least" lists_at_least "${required[@]}"
    # The list is that of the token, so it may have mechanisms of another key type. Only those of this type are tested.
    while read -r mechanism; do
        case $kind-$mechanism in
            rsa-ECDSA* | ec-*RSA-PKCS*) ;;
            *) if [ "$usage" != bound ] || allowed "$mechanism"; then listed "$mechanism"; else refused+=("$mechanism"); fi ;;
        esac
    done <"$work/mechanisms"
    [ "$usage" != bound ] || check "$label refuses the ${#refused[@]} other mechanisms" refuses_mechanisms "${refused[@]}"
}

# OpenSC 0.23 reads a public EC key from freed memory (OpenSC#3200), so this may fail with any module.
reads_curves() { ! opensc-tool --info | grep -qi '^opensc 0\.23\.'; }

# The point that pkcs11-tool prints must be the end of the service's public key.
shows_point() {
    tool --list-objects --type pubkey >"$work/objects"
    local point header=4 own
    point=$(awk '$1 == "EC_POINT:" { print $2 }' "$work/objects")
    own=$(plain_openssl pkey -pubin -in "$public" -pubout -outform DER | od -An -v -tx1 | tr -d ' \n')
    # Removes the tag and length of the OCTET STRING: 04 41, 04 61 or 04 81 85.
    [ "$curve" != P-521 ] || header=6
    echo "$point" && echo "$own"
    [ "${#point}" -ge 130 ] && [[ $own == *"${point:header}" ]]
}

reads_public_key() {
    tool --read-object --type pubkey --label "$label" --output-file "$work/read.der"
    run plain_openssl pkey -pubin -in "$public" -pubout -outform DER -out "$work/service.der"
    run cmp "$work/read.der" "$work/service.der"
}

reads_certificate() {
    tool --read-object --type cert --label "$label" --output-file "$work/read.der"
    run plain_openssl x509 -in "$certificate" -outform DER -out "$work/service.der"
    run cmp "$work/read.der" "$work/service.der"
}

shows_objects() {
    # OpenSC 0.27 prints an id of four bytes also as a number.
    tool --list-objects | plain_ids >"$work/objects"
    cat "$work/objects"
    grep -q '^Private Key Object' "$work/objects"
    grep -q '^Public Key Object' "$work/objects"
    [ "$certificate" = - ] || grep -q '^Certificate Object' "$work/objects"
    [ "$(grep -c "label: *$label\$" "$work/objects")" -ge 2 ]
    grep -qE "ID: *($id|[0-9]+ \(0x$id\))\$" "$work/objects"
    # pkcs11-tool prints this when it can't read an attribute, and continues.
    refuse grep -iE 'error|warning|failed' "$work/objects"
}

objects() {
    check "$label objects" shows_objects
    local reads=reads_public_key
    [ "$kind" = rsa ] || reads_curves || reads=shows_point
    check "$label public key" "$reads"
    [ "$certificate" = - ] || check "$label certificate" reads_certificate
}

shows_tokens() { # -L or -T
    run pkcs11-tool --module "$MODULE" "$1" >"$work/slots"
    cat "$work/slots"
    local text
    while read -r text; do
        read_key "$text"
        grep -q "token label *: $label\$" "$work/slots"
    done <"$keys"
}

# The PIN is not empty: OpenSC 0.23 refuses an empty PIN before it calls the module, and p11tool can't pass one either.
logs_in_by_any_pin() {
    run pkcs11-tool --module "$MODULE" --token-label "$label" --login --pin "${PIN:-any}" --list-objects
    run pkcs11-tool --module "$MODULE" --token-label "$label" --login --pin "${PIN:-any}" --sign --mechanism \
        "$([ "$kind" = rsa ] && echo SHA256-RSA-PKCS || echo ECDSA-SHA256)" --label "$label" \
        --input-file "$work/data" --output-file "$work/signature" --signature-format openssl
    verify sha256 "$work/data" "$work/signature"
}

# With RSA keys it signs a SHA-1 DigestInfo, which the services refuse (Azure accepts it if the slot has the option rsnull):
# only that refusal is accepted.
tests_itself() {
    tool --test >"$work/test" 2>&1 || [ "$kind" = rsa ] || { cat "$work/test" && return 1; }
    cat "$work/test"
    if [ "$kind" = rsa ]; then
        [ "$(grep -c 'ERR' "$work/test")" = 1 ] && grep -q 'RSA-PKCS:   ERR: C_Sign() returned CKR_DATA_INVALID' "$work/test"
    else
        grep -q 'No errors' "$work/test"
    fi
}

survives_fork() { tool --test-fork; }

self_tests() {
    check "$label login by any PIN" logs_in_by_any_pin
    check "$label --test" tests_itself
}

# pkcs11-tool passes a large file in parts. The module must not keep them in memory.

big_file() {
    head -c 100M /dev/urandom >"$work/big"
    local login=()
    [ -z "$PIN" ] || login=(--login --pin "$PIN")
    run /usr/bin/time -v -o "$work/time" pkcs11-tool --module "$MODULE" --token-label "$label" "${login[@]}" --sign \
        --mechanism SHA256-RSA-PKCS --label "$label" --input-file "$work/big" --output-file "$work/signature"
    local peak
    peak=$(awk '/Maximum resident set size/ { print $NF }' "$work/time")
    echo "peak memory: $peak KiB"
    verify sha256 "$work/big" "$work/signature"
    rm "$work/big"
    [ "$peak" -lt $((60 * 1024)) ]
}

page_signs() {
    run_page 'list-token-slots'
    if [ "$kind" = rsa ] || reads_curves; then run_page 'type pubkey'; else run_page 'export-pubkey'; fi
    run plain_openssl pkey -pubin -inform DER -in "$work/page/public.der" -out "$work/public.pem"
    same_key "$work/public.pem"
    run_page "mechanism $([ "$kind" = rsa ] && echo SHA256-RSA-PKCS || echo ECDSA-SHA256)"
    verify_and_spoil verify sha256 "$work/data" "$work/page/file.sig"
}

mkdir "$work/page"
cp "$work/data" "$work/page/file"
for name in aws-rsa2048 aws-p256 azure-rsa2048 azure-p256 $vault_keys $google_keys; do
    key "$name"
    check "$label page" page_signs
done
check "list slots" shows_tokens --list-slots
check "list slots with tokens" shows_tokens --list-token-slots
for text in "$(grep -m1 -P '\tsign\trsa\t' "$keys")" "$(grep -m1 -P '\tsign\tec\t' "$keys")"; do
    read_key "$text"
    self_tests
done
each_key objects
each_key mechanisms
each_key objects bound
each_key mechanisms bound
key aws-rsa2048
check "100 MB in less than 60 MiB" big_file
check "a forked child" survives_fork
