#!/usr/bin/env bash
# The module's own command-line tool: lists, public keys, signatures, decryption, requests, certificates and diagnosis. OpenSSL
# verifies what it makes, without the module.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

need "$TOOL" "none; scripts/build.sh"
# Pages call the tool by its name.
mkdir -p "$work/bin" "$work/page"
ln -s "$(readlink -f "$TOOL")" "$work/bin/cloud-kms-pkcs11"
PATH=$work/bin:$PATH
export CLOUD_KMS_PKCS11_MODULE=$MODULE
client cloud-kms-pkcs11 "$(cloud-kms-pkcs11 --version | sed 's/.* //')"

lists() {
    run_page 'pkcs11 list' | tee "$work/list"
    grep -xF "    $uri;type=private" "$work/list"
    grep -F "$uri;type=private" <(run cloud-kms-pkcs11 uri "$label")
    same_key "$work/page/public.pem"
}

refuse_unknown_token() {
    refuse run cloud-kms-pkcs11 list --slot "$label-none"
    refuse run cloud-kms-pkcs11 uri "$label-none"
}

scheme() { if [ "$kind" = rsa ] && ! can pkcs1; then echo verify_pss; else echo verify; fi; }

# The tool verifies in the same way as OpenSSL: it also rejects other data and an altered signature.
tool_verify() { run cloud-kms-pkcs11 verify "$2" --signature "$3" --slot "$label"; }

signs() {
    rm -f "$work/page/file.sig"
    run_page 'pkcs11 sign'
    verify_and_spoil "$(scheme)" "$hash" "$work/data" "$work/page/file.sig"
    verify_and_spoil tool_verify - "$work/data" "$work/page/file.sig"
}

signs_pss() {
    run cloud-kms-pkcs11 sign "$work/data" --slot "$label" --pss --hash sha384 --out "$work/page/file.pss" --force
    verify_and_spoil verify_pss sha384 "$work/data" "$work/page/file.pss"
}

# The digest of a file gives the same signature as the file itself.
signs_digest() {
    hash_file "$hash" "$work/data" "$work/digest"
    run cloud-kms-pkcs11 sign "$work/digest" --prehashed --slot "$label" --out "$work/page/file.sig" --force
    verify_and_spoil "$(scheme)" "$hash" "$work/data" "$work/page/file.sig"
}

decrypts() { # PADDING
    encrypt "$1"
    rm -f "$work/page/secret"
    case $1 in
        pkcs1) run cloud-kms-pkcs11 decrypt "$work/page/secret.enc" --pkcs1 --slot "$label" --out "$work/page/secret" ;;
        sha1) run cloud-kms-pkcs11 decrypt "$work/page/secret.enc" --hash sha1 --slot "$label" --out "$work/page/secret" ;;
        *) run_page 'pkcs11 decrypt' ;;
    esac
    run cmp "$work/page/secret" "$work/text"
}

public_of() { # x509 | req, PEM-FILE
    run plain_openssl "$1" -in "$2" -noout -pubkey -out "$work/certificate.pub"
    same_key "$work/certificate.pub"
}

requests() {
    run_page 'pkcs11 csr'
    public_of req "$work/page/web.csr"
    # OpenSSL 3.0 exits with 0 even if the signature is wrong, so the output is checked.
    run plain_openssl req -in "$work/page/web.csr" -verify -noout 2>&1 | grep 'self-signature verify OK'
    run plain_openssl req -in "$work/page/web.csr" -noout -text | grep 'DNS:web.example'
    plain_openssl req -in "$work/page/web.csr" -outform DER -out "$work/web.der"
    refuse grep 'verify OK' <(plain_openssl req -inform DER -in "$(spoil "$work/web.der")" -verify -noout 2>&1)
}

certifies() {
    run_page 'pkcs11 self-sign'
    public_of x509 "$work/page/root.pem"
    public_of x509 "$work/page/web.pem"
    # Without -check_ss_sig, OpenSSL does not verify the signature of a self-signed certificate.
    run plain_openssl verify -x509_strict -check_ss_sig -CAfile "$work/page/root.pem" "$work/page/root.pem"
    run plain_openssl verify -x509_strict -CAfile "$work/page/root.pem" "$work/page/web.pem"
    refuse plain_openssl verify -CAfile "$work/stranger.pem" "$work/page/web.pem"
    plain_openssl x509 -in "$work/page/web.pem" -outform DER -out "$work/web.der"
    plain_openssl x509 -inform DER -in "$(spoil "$work/web.der")" -out "$work/spoilt.pem"
    refuse plain_openssl verify -CAfile "$work/page/root.pem" "$work/spoilt.pem"
}

# Prints each line of doctor about the slot as `outcome name: text; fix`. Succeeds if one of them has each of the words.
diagnosis() { # CONFIG STATUS WORD...
    local status=0
    CLOUD_KMS_PKCS11_CONFIG=$1 run cloud-kms-pkcs11 doctor --slot "$label" --sign --json >"$work/doctor.json" || status=$?
    python3 - "$work/doctor.json" "${@:3}" <<'PY'
import json, sys
[slot] = json.load(open(sys.argv[1]))["slots"]
lines = ["{outcome} {name}: {text}; {fix}".format(**check) for check in slot["checks"]]
print(*lines, sep="\n")
sys.exit(not any(all(word in line for word in sys.argv[2:]) for line in lines))
PY
    [ "$status" -eq "$2" ]
}

# The module under test is not registered in p11-kit, which is a warning. The slot has none.
finds_nothing() {
    run_page 'pkcs11 doctor' | tee "$work/doctor"
    grep -E '^no problem, ' "$work/doctor"
    grep -E '^  ok +version ' "$work/doctor"
    diagnosis "$config" 0 'ok signature:' >"$work/diagnosis"
    cat "$work/diagnosis"
    refuse grep -v '^ok ' "$work/diagnosis"
}

# Copies the configuration with another value of an option of the token.
other_config() { # OPTION VALUE
    python3 - "$config" "$label" "$@" >"$work/other.json" <<'PY'
import json, sys
_, path, label, option, value = sys.argv
config = json.load(open(path))
[slot] = [slot for slot in config["slots"] if slot["label"] == label]
slot[option] = value.replace("KEY", slot.get(option, ""))
json.dump(config, sys.stdout)
PY
}

finds_missing_key() {
    case $cloud in
        aws) other_config kms_key_id alias/none ;;
        azure) other_config key_name none ;;
        google) other_config google_key KEY0 ;;
        vault) other_config transit_key none ;;
    esac
    diagnosis "$work/other.json" 1 'problem key:' 'not found'
}

finds_wrong_token() {
    echo wrong >"$work/token"
    other_config vault_token_file "$work/token"
    diagnosis "$work/other.json" 1 'problem credentials:' 'no valid credentials' 'replace it'
}

finds_missing_authority() {
    other_config ca_bundle "$work/stranger.pem"
    diagnosis "$work/other.json" 1 'problem tls:' 'which is not a trusted authority' '"ca_bundle"'
}

# An authority with the same name and another key.
plain_openssl req -x509 -newkey rsa:2048 -nodes -keyout "$work/stranger.key" -subj "/CN=My root" -days 2 -out "$work/stranger.pem" 2>/dev/null
cp "$work/data" "$work/page/file"

signing() {
    check "$label sign, verify" signs
    check "$label sign --prehashed" signs_digest
    [ "$kind" != rsa ] || ! can pss sha384 || check "$label sign --pss" signs_pss
}

each_key signing
each_key signing bound
for name in aws-rsa2048 aws-p256 azure-rsa2048 azure-p256 $vault_keys $google_keys; do
    key "$name"
    check "$label list, uri, pubkey" lists
    check "$label refuses an unknown token" refuse_unknown_token
    check "$label csr" requests
    check "$label self-sign, ca sign" certifies
    check "$label doctor" finds_nothing
    check "$label doctor finds a missing key" finds_missing_key
    [ "$cloud" != vault ] || check "$label doctor finds a wrong token" finds_wrong_token
    [ "$cloud" != vault ] || check "$label doctor finds a missing authority" finds_missing_authority
    for padding in pkcs1 sha1 sha256; do
        [ "$kind" != rsa ] || ! can decrypt "$padding" || check "$label decrypt $padding" decrypts "$padding"
    done
done
