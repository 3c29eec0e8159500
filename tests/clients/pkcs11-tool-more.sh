#!/usr/bin/env bash
# apt: opensc
# OpenSC's pkcs11-tool: decryption, ECDH, HMAC, Ed25519, verification, random bytes, SHA-1 with RSNULL.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

need pkcs11-tool opensc
all_uses
mkdir "$work/page"
head -c 2000 "$work/data" >"$work/page/file"

# Decryption. OpenSSL makes the ciphertexts.

decrypts() { # pkcs1 | sha1 | sha256
    local pattern='mechanism RSA-PKCS-OAEP --hash-algorithm SHA256'
    case $1 in pkcs1) pattern='decrypt --mechanism RSA-PKCS ' ;; sha1) pattern='hash-algorithm SHA-1' ;; esac
    encrypt "$1"
    rm -f "$work/page/secret"
    TOKEN=$label run_page "$pattern"
    cmp "$work/text" "$work/page/secret"
    # A changed ciphertext, and one for another key.
    cp "$(spoil "$work/page/secret.enc")" "$work/page/secret.enc"
    rm "$work/page/secret"
    TOKEN=$label refuse run_page "$pattern"
    refuse cmp "$work/text" "$work/page/secret"
}

no_pkcs1() {
    encrypt pkcs1
    TOKEN=$label refuse run_page 'decrypt --mechanism RSA-PKCS ' 2>&1 | tee "$work/said"
    grep -q 'CKR_MECHANISM_INVALID.*does not decrypt with CKM_RSA_PKCS' "$work/said"
}

no_sha1() {
    encrypt sha1
    TOKEN=$label refuse run_page 'hash-algorithm SHA-1' 2>&1 | tee "$work/said"
    grep -q 'CKR_MECHANISM_PARAM_INVALID' "$work/said"
}

# The key of a SCEP server: it signs certificates, and decrypts the requests of clients.
signs_and_decrypts() {
    decrypts sha256
    decrypts pkcs1
    TOKEN=$label run_page 'mechanism SHA256-RSA-PKCS '
    verify_and_spoil verify sha256 "$work/page/file" "$work/page/file.sig"
}

signs_only() {
    encrypt sha256
    TOKEN=$label refuse run_page 'mechanism RSA-PKCS-OAEP --hash-algorithm SHA256' 2>&1 | tee "$work/said"
    grep -q 'CKR_KEY_FUNCTION_NOT_PERMITTED.*its KeyUsage is SIGN_VERIFY; a key of AWS KMS can sign or decrypt, but not both' "$work/said"
}

decrypts_only() {
    TOKEN=$label refuse run_page 'mechanism SHA256-RSA-PKCS ' 2>&1 | tee "$work/said"
    grep -q "CKR_KEY_FUNCTION_NOT_PERMITTED.*$1" "$work/said"
}

# The key of the other side, and the shared secret that OpenSSL derives.
agrees() {
    cp "$public" "$work/page/token.pem"
    TOKEN=$label CURVE=$curve run_page 'derive --mechanism ECDH1-DERIVE'
    run plain_openssl pkeyutl -derive -inkey "$work/page/own.pem" -peerkey "$public" -out "$work/shared"
    cmp "$work/shared" "$work/page/shared"
    # Another key gives another secret.
    run plain_openssl genpkey -algorithm EC -pkeyopt "ec_paramgen_curve:$curve" -out "$work/page/own.pem"
    run plain_openssl pkeyutl -derive -inkey "$work/page/own.pem" -peerkey "$public" -out "$work/shared"
    refuse cmp "$work/shared" "$work/page/shared"
}

refuses_another_curve() {
    run plain_openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-521 -out "$work/other.pem"
    run plain_openssl pkey -in "$work/other.pem" -pubout -outform DER -out "$work/other.der"
    refuse run pkcs11-tool --module "$MODULE" --token-label "$label" --label "$label" --derive --mechanism ECDH1-DERIVE \
        --input-file "$work/other.der" --output-file "$work/none" 2>&1 | tee "$work/said"
    grep -q 'CKR_MECHANISM_PARAM_INVALID.*the public key of the other party' "$work/said"
}

authenticates() {
    TOKEN=$label BITS=$bits run_page 'sign --mechanism "SHA'
    [ "$(wc -c <"$work/page/file.mac")" -eq $((bits / 8)) ]
    run verify_mac "$work/page/file" "$work/page/file.mac"
    refuse verify_mac "$work/other" "$work/page/file.mac"
    refuse verify_mac "$work/page/file" "$(spoil "$work/page/file.mac")"
    refuse verifies_here "SHA$bits-HMAC" "$(spoil "$work/page/file.mac")"
}

signs_ed25519() {
    TOKEN=$label run_page 'mechanism EDDSA'
    local verify=(plain_openssl pkeyutl -verify -pubin -inkey "$public" -rawin -sigfile "$work/page/file.sig")
    run "${verify[@]}" -in "$work/page/file"
    refuse "${verify[@]}" -in "$work/other"
    plain_openssl pkey -pubin -in "$public" -outform DER -out "$work/one.der"
    plain_openssl pkey -pubin -in "$work/page/public.pem" -outform DER -out "$work/two.der"
    cmp "$work/one.der" "$work/two.der"
    # The data are longer than the service accepts.
    local limit
    case $cloud in aws) limit=4096 ;; google) limit=65536 ;; *) limit=524288 ;; esac
    head -c $((limit + 1)) /dev/urandom >"$work/long"
    refuse run pkcs11-tool --module "$MODULE" --token-label "$label" --label "$label" --sign --mechanism EDDSA \
        --input-file "$work/long" --output-file "$work/none" 2>&1 | tee "$work/said"
    grep -q "CKR_DATA_LEN_RANGE.*$limit" "$work/said"
}

# Verification by the token must give the same results as verification by OpenSSL.

verifies_here() { # MECHANISM SIGNATURE [OPTION...]
    local mechanism=$1 signature=$2
    shift 2
    run pkcs11-tool --module "$MODULE" --token-label "$label" --label "$label" --verify --mechanism "$mechanism" \
        --input-file "$work/page/file" --signature-file "$signature" "$@" | tee "$work/said"
    grep -qx 'Signature is valid' "$work/said"
}

verifies() { # MECHANISM
    run pkcs11-tool --module "$MODULE" --token-label "$label" --label "$label" --sign --mechanism "$1" \
        --input-file "$work/page/file" --output-file "$work/page/file.sig" --signature-format rs
    case $1 in
        *PSS) verify_pss sha256 "$work/page/file" "$work/page/file.sig" ;;
        SHA*) verify sha256 "$work/page/file" "$work/page/file.sig" ;;
    esac
    TOKEN=$label MECHANISM=$1 run_page 'MECHANISM' | tee "$work/said"
    grep -qx 'Signature is valid' "$work/said"
    refuse verifies_here "$1" "$(spoil "$work/page/file.sig")"
    cp "$work/page/file" "$work/kept"
    cp "$work/other" "$work/page/file"
    refuse verifies_here "$1" "$work/page/file.sig"
    cp "$work/kept" "$work/page/file"
}

random_bytes() { # LABEL LENGTH
    TOKEN=$1 LENGTH=$2 run_page 'generate-random'
    mv "$work/page/random" "$work/random"
    TOKEN=$1 LENGTH=$2 run_page 'generate-random'
    [ "$(wc -c <"$work/random")" -eq "$2" ]
    refuse cmp "$work/random" "$work/page/random"
    # Constant bytes would be compressed to less than this.
    [ "$(gzip -c "$work/random" | wc -c)" -gt $(($2 * 9 / 10)) ]
}

service_random() {
    CLOUD_KMS_PKCS11_LOG=debug random_bytes aws-random "$1" 2>&1 | tee "$work/said"
    grep -q 'GenerateRandom.*: ok' "$work/said"
}

sha1_by_rsnull() {
    (cd "$work/page" && run plain_openssl dgst -sha1 -binary -out digest file && digest_info digest info)
    TOKEN=azure-rsnull run_page 'input-file info'
    verify_and_spoil verify sha1 "$work/page/file" "$work/page/file.sig"
}

digest_info() { { printf '\x30\x21\x30\x09\x06\x05\x2b\x0e\x03\x02\x1a\x05\x00\x04\x14' && cat "$1"; } >"$2"; }

no_sha1_without() {
    (cd "$work/page" && run plain_openssl dgst -sha1 -binary -out digest file && digest_info digest info)
    TOKEN=azure-rsa2048 refuse run_page 'input-file info'
}

decrypting() {
    if can decrypt sha1; then check "$label OAEP with SHA-1" decrypts sha1; else check "$label no OAEP with SHA-1" no_sha1; fi
    check "$label OAEP with SHA-256" decrypts sha256
    if can decrypt pkcs1; then check "$label PKCS#1 v1.5" decrypts pkcs1; else check "$label no PKCS#1 v1.5" no_pkcs1; fi
}
agreeing() {
    check "$label ECDH" agrees
    check "$label another curve" refuses_another_curve
}
authenticating() { check "$label HMAC" authenticates; }

each_key decrypting decrypt
each_key agreeing agree
each_key authenticating mac
key azure-rsa2048
check "$label signs and decrypts" signs_and_decrypts
key aws-rsa2048
check "$label signs, and says why it does not decrypt" signs_only
key aws-decrypt
check "$label decrypts, and says why it does not sign" decrypts_only 'its KeyUsage is ENCRYPT_DECRYPT'
key azure-decrypt
check "$label decrypts, and says why it does not sign" decrypts_only 'its key_ops are'
for name in aws ${vault_rsa:+vault} google; do
    key "$name-ed25519"
    check "$label Ed25519" signs_ed25519
    check "$label verifies EDDSA" verifies EDDSA
done
[ -z "$vault_rsa" ] || { key "$vault_rsa" && decrypting; }
for name in aws azure ${vault_rsa:+vault} google; do
    key "$name-rsa2048"
    check "$label verifies RSA" verifies SHA256-RSA-PKCS
    ! can pss || check "$label verifies PSS" verifies SHA256-RSA-PKCS-PSS
    key "$name-p256"
    check "$label verifies ECDSA" verifies ECDSA-SHA256
done
check "aws-random 40 bytes of the service" service_random 40
check "aws-random 3000 bytes of the service, in several requests" service_random 3000
check "azure-rsa2048 random bytes of the system" random_bytes azure-rsa2048 100
key azure-rsa2048
check "azure-rsnull SHA-1" sha1_by_rsnull
check "azure-rsa2048 no SHA-1 without RSNULL" no_sha1_without
