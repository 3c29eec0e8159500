#!/usr/bin/env bash
# releases: trixie sid
# apt: pkcs11-provider p11-kit p11-kit-modules gcc libc6-dev
# OpenSSL's command line through pkcs11-provider: signatures, certificates, a CA, CMS and S/MIME, decryption, ECDH, TLS.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$clients/server.bash"
. "$clients/certify.bash"
. "$clients/provider.bash"
. "$clients/ca.bash"
. "$clients/login.bash"
. "$clients/user.bash"

need "$(openssl version -m | sed 's/^MODULESDIR: "\(.*\)"$/\1/')/pkcs11.so" pkcs11-provider

use() { # LABEL
    key "$1"
    export TOKEN=$label HASH=$hash
}

# Signatures

signs_file() {
    run_block 'verify public.pem' openssl --set "HASH=$HASH"
    same_key "$work/page/public.pem"
    verify_and_spoil verify "$hash" "$work/page/file" "$work/page/file.sig"
}

signs_digest() {
    rm -f "$work/page/file.sig"
    run_page 'pkeyutl -sign[^\n]* -in file.digest'
    verify_and_spoil verify "$hash" "$work/page/file" "$work/page/file.sig"
}

signs_pss() {
    local pattern
    for pattern in 'saltlen:digest -sign' '-in file.digest -out file.pss'; do
        rm -f "$work/page/file.pss"
        run_page "$pattern"
        verify_and_spoil verify_pss "$hash" "$work/page/file" "$work/page/file.pss"
    done
}

# The provider's default length of the salt is the one that the services support.
signs_pss_by_default() {
    run openssl dgst "-$hash" -sigopt rsa_padding_mode:pss -sign "$uri;type=private" -out "$work/signature" "$work/data"
    verify_and_spoil verify_pss "$hash" "$work/data" "$work/signature"
}

signs_other_hashes() {
    for hash in sha384 sha512; do
        HASH=$hash signs_file
        HASH=$hash signs_pss
    done
}

signs_without_file() {
    rm -f "$work/page/file.sig"
    OPENSSL_CONF=$work/plain.cnf run_page PKCS11_PROVIDER_MODULE
    verify_and_spoil verify "$hash" "$work/page/file" "$work/page/file.sig"
}

# The services name one hash for each curve, but the module signs a digest of any length with ECDSA.
signs_any_hash() {
    for hash in sha256 sha384 sha512; do HASH=$hash signs_file; done
}

verify_raw() { # - DATA SIGNATURE
    run plain_openssl pkeyutl -verify -rawin -pubin -inkey "$public" -in "$2" -sigfile "$3"
}

signs_ed25519() {
    rm -f "$work/page/file.sig"
    run_block 'pkeyutl -sign -rawin' openssl
    verify_and_spoil verify_raw - "$work/page/file" "$work/page/file.sig"
}

cms_ed25519() {
    HASH=sha512 run_page '-out file.p7s'
    verify_cms "$work/ca.pem"
}

signing() {
    export TOKEN=$label HASH=$hash
    if [ "$kind" != rsa ] || can pkcs1; then
        check "$label file signed" signs_file
        check "$label digest signed" signs_digest
    fi
    ! can pss || check "$label RSA-PSS" signs_pss
}

# The objects of the token

lists_keys() {
    run_page 'storeutl -noout' >"$work/listed"
    grep -xE '0: Pkey' "$work/listed"
    grep -xF 'Total found: 1' "$work/listed"
    grep -F "token=$label;" "$work/listed"
    same_key "$work/page/public.pem"
}

lists_all() {
    run_page 'text -keys pkcs11:' >"$work/listed"
    local name
    for name in $(cut -f 1 "$keys"); do grep -q "^URI pkcs11:.*;token=$name;.*;type=private$" "$work/listed"; done
}

lists_certificate() { # CERTIFICATE
    rm -f "$work/page/certificate.pem" "$work/page/certificates.pem"
    run_page 'storeutl -certs'
    run cmp <(plain_openssl x509 -in "$work/page/certificate.pem" -outform DER) <(plain_openssl x509 -in "$1" -outform DER)
    run cmp <(plain_openssl x509 -in "$work/page/certificates.pem" -outform DER) <(plain_openssl x509 -in "$1" -outform DER)
}

# A CA

# openssl ocsp waits for its child processes, and another second, after every signal except SIGKILL.
stop_responder() {
    [ -n "$server" ] || return 0
    local children
    children=$(cat "/proc/$server/task/$server/children" 2>/dev/null) || true
    kill -KILL "$server" 2>/dev/null || true
    # shellcheck disable=SC2086 # several
    [ -z "$children" ] || kill $children
    stop_server
}

asks_responder() { OPENSSL_CONF=$work/plain.cnf timeout 60 bash -c "cd '$work/page' && $(page 'ocsp -url')" 2>&1 | tee "$work/answer"; }

# Succeeds if a socket listens on the port at another address than 127.0.0.1. The kernel lists the sockets (proc(5)).
listens_on_other_address() { # PORT
    cat /proc/net/tcp /proc/net/tcp6 | grep -i "[0-9A-F]:$(printf %04X "$1") [0-9A-F]*:0000 0A" | tee "$work/listening"
    grep -v ': 0100007F:\|: 0000000000000000FFFF00000100007F:' "$work/listening"
}

# Called in the subshell of a check, and the server must end with that.
responds() { # STATE of the certificate
    PORT=$(free_port)
    export PORT
    trap stop_responder EXIT
    # openssl ocsp has no option for the address, so libloopback.so restricts it to 127.0.0.1.
    start_page 'ocsp -port' OPENSSL_CONF="$OPENSSL_CONF" LD_PRELOAD="$work/libloopback.so" "${as_user[@]}"
    serves accepts
    refuse listens_on_other_address "$PORT"
    for _ in 1 2 3 4; do
        asks_responder
        grep -x 'Response verify OK' "$work/answer"
        grep -x "listed.pem: $1" "$work/answer"
    done
    # The same check must reject a root with the same name and another key.
    mv "$work/page/root.pem" "$work/page/root.pem.good"
    cp "$work/other-root.pem" "$work/page/root.pem"
    asks_responder || true
    mv "$work/page/root.pem.good" "$work/page/root.pem"
    refuse grep -x 'Response verify OK' "$work/answer"
}

ca() {
    rm -rf "$work/page"/{root,server,listed,index}* "$work/page/issued"
    check "$label root certificate" root_certificate
    check "$label openssl x509 -req" issue_x509
    check "$label openssl ca" issue_ca
    check "$label openssl ocsp, in children" responds good
    check "$label openssl ca -revoke, -gencrl" revoke
}

# CMS and S/MIME

cms() {
    run_page 'out file.p7s'
    verify_cms "$work/ca.pem"
}

cms_pss() {
    run_page 'file-pss.p7s'
    run plain_openssl cms -cmsout -print -inform DER -in "$work/page/file-pss.p7s" -noout >"$work/printed"
    grep 'algorithm: rsassaPss' "$work/printed"
    verify_cms "$work/ca.pem" "$work/page/file-pss.p7s"
}

smime() {
    echo "Dear cloud, sign this." >"$work/page/letter"
    run_page 'smime -sign'
    run plain_openssl smime -verify -text -in "$work/page/letter.eml" -CAfile "$work/ca.pem" -out "$work/content"
    run cmp <(tr -d '\r' <"$work/content") "$work/page/letter"
    sed 's/Dear cloud/Dear crowd/' "$work/page/letter.eml" >"$work/forged.eml"
    refuse plain_openssl smime -verify -text -in "$work/forged.eml" -CAfile "$work/ca.pem" -out "$work/content"
}

# Files that stand for a key; time stamps

key_file() {
    rm -f "$work/page/key.pem"
    run_page 'out key.pem'
    cp "$work/openssl.cnf" "$OPENSSL_CONF"
    head -n 1 "$work/page/key.pem" | grep -xF -- '-----BEGIN PKCS#11 PROVIDER URI-----'
    rm -f "$work/page/file.sig"
    run openssl dgst "-$hash" -sign "$work/page/key.pem" -out "$work/page/file.sig" "$work/page/file"
    verify_and_spoil verify "$hash" "$work/page/file" "$work/page/file.sig"
}

time_stamp() {
    printf 'basicConstraints = critical, CA:FALSE\nextendedKeyUsage = critical, timeStamping\n' >"$work/tsa.ext"
    plain_openssl req -new -key "$work/ca.key" -subj "/CN=$label" 2>/dev/null |
        plain_openssl x509 -req -CA "$work/ca.pem" -CAkey "$work/ca.key" -force_pubkey "$public" -days 2 -extfile "$work/tsa.ext" \
            -out "$work/page/tsa.pem" 2>/dev/null
    rm -f "$work"/page/file.ts?
    run_page 'ts -reply'
    local verifies=(plain_openssl ts -verify -CAfile "$work/ca.pem")
    run "${verifies[@]}" -queryfile "$work/page/file.tsq" -in "$work/page/file.tsr"
    run "${verifies[@]}" -data "$work/page/file" -in "$work/page/file.tsr"
    refuse "${verifies[@]}" -data "$work/other" -in "$work/page/file.tsr"
    # The signature is the last field of the structure, so `spoil` changes it.
    refuse "${verifies[@]}" -data "$work/page/file" -in "$(spoil "$work/page/file.tsr")"
}

serves_tls() {
    PORT=$(free_port)
    export PORT
    trap stop_server EXIT
    start_page 's_server.*type=cert'
    serves accepts
    handshakes "$PORT" 10 --certificate "$work/$label.pem" --threads 1
}

# Logins

set_login() {
    login_config
    CREDENTIAL=$(pin)
    export CREDENTIAL CLOUD_KMS_PKCS11_CONFIG=$work/login.json
}

logs_in() { # PATTERN
    rm -f "$work/page/file.sig"
    run_page "$1"
    verify_and_spoil verify "$hash" "$work/page/file" "$work/page/file.sig"
}

needs_login() {
    refuse timeout 20 openssl dgst "-$hash" -sign "$uri;type=private" -out "$work/signature" "$work/data" </dev/null
    refuse openssl dgst "-$hash" -sign "$uri;type=private;pin-value=not-the-one" -out "$work/signature" "$work/data" 2>&1 | tee "$work/said"
    grep CKR_PIN_INCORRECT "$work/said"
}

logins() {
    local CLOUD_KMS_PKCS11_CONFIG CREDENTIAL
    set_login
    check "$label login: refused without the PIN" needs_login
    check "$label login: PIN from a file in the URL" logs_in 'pin-source'
    check "$label login: PIN from a file in the configuration" logs_in 'module-token-pin'
    check "$label login: openssl ocsp, in children" responds revoked
    check "$label login: TLS server" serves_tls
    rm "$work/page/pin"
    cp "$work/openssl.cnf" "$OPENSSL_CONF"
}

# TLS

certificate_of_client() {
    plain_openssl x509 -in "$work/$label.pem" -noout -text | sed -n '/Serial Number:/{n;p}' >"$work/serial"
    grep -x 'Client certificate' "$work/answer"
    grep -F -f "$work/serial" "$work/answer"
}

presents() { # OPTION...
    page_client "$OPENSSL_CONF" 's_client.*type=cert' "$@"
    # The server's reply describes the client's certificate.
    certificate_of_client
}

presents_nothing() {
    printf 'GET / HTTP/1.0\r\n\r\n' >"$work/get"
    plain_openssl s_client -connect "127.0.0.1:$PORT" -quiet -CAfile "$work/page/ca.pem" <"$work/get" >"$work/answer" 2>&1 || true
    refuse grep 'HTTP/1.0 200' "$work/answer"
}

stranger() {
    refuse plain_openssl s_client -connect "127.0.0.1:$PORT" -CAfile "$work/other-root.pem" -no-CApath -verify_return_error </dev/null
}

# Clients no longer offer RSA key exchange by default, so the cipher is set.
exchanges_key() {
    page_client "$work/plain.cnf" 's_client.*verify_hostname' -tls1_2 -cipher AES256-SHA
    grep -E 'Cipher is AES256-SHA$' "$work/answer"
}

tls_server() {
    start_page 's_server.*type=cert'
    check "$label TLS server starts, certificate from the token" serves accepts
    if [ "$kind" = rsa ]; then
        check "$label TLS 1.2 server, PKCS#1" handshake "$PKCS1" -tls1_2 -sigalgs RSA+SHA256
        check "$label TLS 1.2 server, PSS" handshake "$PSS" -tls1_2 -sigalgs RSA-PSS+SHA384
        check "$label TLS 1.3 server" handshake "$PSS" -tls1_3
        [ "$cloud" != azure ] || check "$label TLS 1.2 server, RSA key exchange" exchanges_key
    else
        check "$label TLS 1.2 server" handshake "$ECDSA" -tls1_2
        check "$label TLS 1.3 server" handshake "$ECDSA" -tls1_3
    fi
    check "$label a client that trusts another CA" stranger
    check "$label 20 connections" handshakes "$PORT" 20 --certificate "$work/$label.pem" --threads 1
    stop_server
}

tls_client() {
    start_page 's_server.*-Verify'
    check "$label plain TLS server starts" serves accepts
    check "$label TLS 1.2 client" presents -tls1_2
    check "$label TLS 1.3 client" presents -tls1_3
    check "$label TLS client without a certificate" presents_nothing
    stop_server
}

# The provider's options

with_options() { # LINE...
    printf '%s\n' "$@" | cat "$work/openssl.cnf" - >"$OPENSSL_CONF"
    local line
    # The page must name the option.
    for line in "$@"; do grep -F "$line" "$root/docs/clients/$script.md" >/dev/null; done
}

works_with() { # LINE...
    with_options "$@"
    signs_file
    self_signed
    serves_tls
}

works_in_children_with() { # LINE...
    with_options "$@"
    responds revoked
}

option() { # LINE...
    check "$label option $1" works_with "$@"
    [ "$label" != aws-p256 ] || check "$label option $1, in children" works_in_children_with "$@"
    cp "$work/openssl.cnf" "$OPENSSL_CONF"
}

propquery() {
    run openssl pkeyutl -sign -rawin -digest "$hash" -propquery '?provider=pkcs11' -inkey "$uri;type=private" -in "$work/data" \
        -out "$work/signature"
    verify_and_spoil verify "$hash" "$work/data" "$work/signature"
    run openssl req -x509 -new "-$hash" -propquery '?provider=pkcs11' -key "$uri;type=private" -subj "/CN=$label" -out "$work/certificate.pem"
    run plain_openssl verify -check_ss_sig -CAfile "$work/certificate.pem" "$work/certificate.pem"
}

# Decryption and ECDH

decrypts() { # pkcs1 | sha1 | sha256
    local pattern=rsa_oaep_md:$1
    [ "$1" != pkcs1 ] || pattern='pkeyutl -decrypt [^\n]* -in secret.enc'
    encrypt "$1"
    rm -f "$work/page/secret"
    run_page "$pattern"
    cmp "$work/text" "$work/page/secret"
    cp "$(spoil "$work/page/secret.enc")" "$work/page/secret.enc"
    rm -f "$work/page/secret"
    # Instead of an error, the service, or with PKCS#1 v1.5 the provider, may return other bytes.
    run_page "$pattern" || true
    refuse cmp "$work/text" "$work/page/secret"
}

refuses() { # pkcs1 | sha1 | sha256, WORDS of the log
    local pattern=rsa_oaep_md:$1
    [ "$1" != pkcs1 ] || pattern='pkeyutl -decrypt [^\n]* -in secret.enc'
    encrypt "$1"
    refuse run_page "$pattern" 2>&1 | tee "$work/said"
    grep -q "$2" "$work/said"
}

# The messages of S/MIME and SCEP: the content key is encrypted for a certificate.
opens() { # cms | smime, OPTION...
    local command=$1 file=message.p7 text=message form=(-outform DER)
    shift
    [ "$command" = cms ] || file=letter.enc text=letter form=()
    cp "$work/$label.pem" "$work/page/me.pem"
    rm -f "$work/page/$text"
    run plain_openssl "$command" -encrypt -aes256 -binary -in "$work/data" "${form[@]}" -out "$work/page/$file" \
        ${1:+-recip} "$work/page/me.pem" "$@"
    run_page "$command -decrypt"
    cmp "$work/data" "$work/page/$text"
    # Encrypted for another key.
    run plain_openssl "$command" -encrypt -aes256 -binary -in "$work/data" "${form[@]}" -out "$work/page/$file" "$work/ca-rsa.pem"
    rm -f "$work/page/$text"
    refuse run_page "$command -decrypt"
    refuse cmp "$work/data" "$work/page/$text"
}

decrypting() {
    export TOKEN=$label HASH=$hash
    if can decrypt sha1; then
        check "$label OAEP with SHA-1" decrypts sha1
    else
        check "$label no OAEP with SHA-1" refuses sha1 'C_Decrypt.*: CKR_MECHANISM_PARAM_INVALID'
    fi
    check "$label OAEP with SHA-256" decrypts sha256
    check "$label CMS by OAEP" opens cms -keyopt rsa_padding_mode:oaep -keyopt rsa_oaep_md:sha256
    if can decrypt pkcs1; then
        check "$label PKCS#1 v1.5" decrypts pkcs1
        check "$label CMS by PKCS#1 v1.5" opens cms
        check "$label S/MIME by PKCS#1 v1.5" opens smime
    else
        check "$label no PKCS#1 v1.5" refuses pkcs1 'C_DecryptInit: CKR_MECHANISM_INVALID.*does not decrypt with CKM_RSA_PKCS'
    fi
}

agrees() {
    run plain_openssl genpkey -algorithm EC -pkeyopt "ec_paramgen_curve:$curve" -out "$work/own.pem"
    run plain_openssl pkey -in "$work/own.pem" -pubout -out "$work/page/peer.pem"
    run_page 'pkeyutl -derive'
    run plain_openssl pkeyutl -derive -inkey "$work/own.pem" -peerkey "$public" -out "$work/shared"
    cmp "$work/shared" "$work/page/shared"
    run plain_openssl genpkey -algorithm EC -pkeyopt "ec_paramgen_curve:$curve" -out "$work/other.pem"
    run plain_openssl pkeyutl -derive -inkey "$work/other.pem" -peerkey "$public" -out "$work/shared"
    refuse cmp "$work/shared" "$work/page/shared"
}

agreeing() {
    export TOKEN=$label HASH=$hash
    check "$label ECDH" agrees
    check "$label CMS by ECDH" opens cms
}

# A token with keys of all types, some of which pkcs11-provider 1.0 does not support.
beside_others() {
    python3 - "$config" "$work/mixed.json" <<'END'
import json, sys
config = json.load(open(sys.argv[1]))
slots = {slot["label"]: slot for slot in config["slots"]}
names = ("aws-mldsa65", "aws-ed25519", "aws-hmac", "aws-decrypt", "aws-p256", "aws-rsa2048")
mixed = dict(slots["aws-mldsa65"], label="mixed", keys=[{"kms_key_id": slots[name]["kms_key_id"], "label": name} for name in names])
del mixed["kms_key_id"]
config["slots"].append(mixed)
json.dump(config, open(sys.argv[2], "w"))
END
    export CLOUD_KMS_PKCS11_CONFIG=$work/mixed.json
    # The mixed token uses the server that has ML-DSA keys, so the public key is that server's.
    public=$(dirname "$public")/emulator-kms-${label#aws-}.pem
    run openssl dgst -sha256 -sign "pkcs11:token=mixed;object=$label;type=private" -out "$work/signature" "$work/data"
    verify_and_spoil verify sha256 "$work/data" "$work/signature"
}

# With the module registered in p11-kit.

signs_registered() {
    run_page '^sed -i'
    refuse grep pkcs11-module-path "$work/page/openssl.cnf"
    run_page 'verify public.pem'
    same_key "$work/page/public.pem"
    verify_and_spoil verify "$hash" "$work/page/file" "$work/page/file.sig"
}

registered() {
    become_user aws-rsa2048 aws-p256 azure-rsa2048 azure-p256 $vault_keys $google_ec
    run_page 'cloud-kms-pkcs11.module' p11-kit 2>/dev/null
    for label in $vault_keys $google_ec aws-rsa2048 azure-rsa2048 azure-p256 aws-p256; do
        use "$label"
        check "$label registered in p11-kit, no path: file signed" signs_registered
    done
    rm -rf "$work/page"/{root,server,listed,index}* "$work/page/issued"
    check "$label registered in p11-kit: root certificate" root_certificate
    check "$label registered in p11-kit: openssl ca" issue_ca
    check "$label registered in p11-kit: openssl ocsp, in children" responds good
}

# The logins further down need the CA of the last key.
certified=($vault_keys $google_ec aws-rsa2048 aws-p256 azure-rsa2048 azure-p256)
TOKEN=aws-rsa2048 HASH=sha256
export TOKEN HASH
cp "$work/data" "$work/page/file"
gcc -Wall -Wextra -Werror -shared -fPIC "$root/tests/c/loopback.c" -ldl -o "$work/libloopback.so"
chmod 755 "$work/libloopback.so"
provider_config >/dev/null 2>&1
cp "$OPENSSL_CONF" "$work/openssl.cnf"
key_usage=digitalSignature,keyEncipherment certify "${certified[@]}"
cp "$work/ca.pem" "$work/page/ca.pem"
plain_openssl req -x509 -newkey rsa:2048 -noenc -subj "/CN=someone else" -keyout "$work/ca-rsa.key" -out "$work/ca-rsa.pem" 2>/dev/null
plain_openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -keyout "$work/page/local-key.pem" -subj "/CN=localhost" 2>/dev/null |
    plain_openssl x509 -req -CA "$work/ca.pem" -CAkey "$work/ca.key" -days 2 -extfile "$work/leaf.cnf" -out "$work/page/local.pem" 2>/dev/null

each_key signing
each_key signing bound
for name in aws-rsa2048 azure-p256 $vault_ec $google_ec; do
    use "$name"
    check "$label no configuration file: file signed" signs_without_file
    check "$label -propquery ?provider=pkcs11" propquery
done
use aws-rsa2048
check "$label RSA-PSS, the provider's own length of salt" signs_pss_by_default
check "$label SHA-384 and SHA-512" signs_other_hashes
for name in aws-p256 azure-p384 $vault_ec $google_ec; do
    use "$name"
    check "$label any hash" signs_any_hash
done
use azure-cert-rsa
check "$label certificate from the token" lists_certificate "$certificate"
for name in "${certified[@]}"; do
    use "$name"
    check "$label keys listed" lists_keys
    check "$label certificate from the token" lists_certificate "$work/$label.pem"
    check "$label self-signed certificate" self_signed
    check "$label certificate request" requested
    ca
    check "$label openssl cms" cms
    [ "$kind" != rsa ] || check "$label openssl cms, PSS" cms_pss
    check "$label openssl smime" smime
    check "$label a file in the key's place" key_file
    check "$label time stamp" time_stamp
    PORT=$(free_port)
    export PORT
    tls_server
    tls_client
done

check "aws-rsa2048 all tokens' keys listed" lists_all
use azure-p256
logins
for name in aws-p256 azure-rsa2048; do
    use "$name"
    if [ "$name" = aws-p256 ]; then
        # The OCSP responder needs the CA of this key.
        ca
        logins
    fi
    option 'pkcs11-module-cache-sessions = 0' 'pkcs11-module-cache-keys = false'
    option 'pkcs11-module-quirks = no-deinit no-operation-state no-session-callbacks no-allowed-mechanisms'
    option 'pkcs11-module-load-behavior = early'
    option 'pkcs11-module-login-behavior = never' 'pkcs11-module-cache-pins = cache'
    option 'pkcs11-module-login-behavior = always' 'pkcs11-module-token-pin = none'
done

all_uses
from_tool+=' aws-ed25519'
edwards=(aws-ed25519 ${vault_rsa:+vault-ed25519} google-ed25519)
certify "${edwards[@]}" aws-decrypt aws-agree aws-agree384 azure-decrypt azure-rsa2048 google-decrypt $vault_rsa
for name in "${edwards[@]}"; do
    use "$name"
    check "$label Ed25519: file signed" signs_ed25519
    check "$label Ed25519: self-signed certificate" self_signed
    check "$label Ed25519: certificate request" requested
    check "$label Ed25519: openssl cms" cms_ed25519
done
each_key decrypting decrypt
each_key agreeing agree
[ -z "$vault_rsa" ] || { key "$vault_rsa" && decrypting; }
use azure-rsa2048
check "$label decrypts, and signs elsewhere" decrypts pkcs1
use aws-rsa2048
check "$label signs, and says why it does not decrypt" refuses sha256 'a key of AWS KMS can sign or decrypt, but not both'
check "$label in a token with keys of all kinds" beside_others
use aws-p256
check "$label in a token with keys of all kinds" beside_others

make_config "$work/registered"
use_config "$work/registered"
registered
