#!/usr/bin/env bash
# apt: gnutls-bin
# GnuTLS's p11tool, through p11-kit.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$clients/emulator.bash"

need p11tool gnutls-bin

# --batch: p11tool must not ask for a PIN. Standard output and error are separate, because other programs read the output of the
# tool, and the module must not write to it.
tool() {
    local login=()
    [ -z "$PIN" ] || login=(--login --set-pin "$PIN")
    run p11tool --provider "$MODULE" --batch "${login[@]}" "$@" >"$work/out" 2>"$work/err" || {
        cat "$work/out" "$work/err"
        return 1
    }
    cat "$work/err" >&2
}

lists_tokens() {
    tool --list-tokens
    cat "$work/out"
    local text
    while read -r text; do
        read_key "$text"
        grep -q "Label: $label\$" "$work/out"
    done <"$keys"
    # The output may have only the lines of p11tool: "Token 0:" and the indented lines after it.
    refuse grep -vP '^(Token \d+:|\t.*|)$' "$work/out"
}

lists_token_urls() {
    tool --list-token-urls
    refuse grep -v '^pkcs11:' "$work/out"
    [ "$(wc -l <"$work/out")" -ge "$(wc -l <"$keys")" ]
}

lists_objects() {
    tool --list-all "pkcs11:token=$label"
    cat "$work/out"
    grep -q 'type=private' "$work/out"
    grep -q 'type=public' "$work/out"
    [ "$certificate" = - ] || grep -q 'type=cert' "$work/out"
    refuse grep -vP '^(Object \d+:|\t.*|)$' "$work/out"
}

lists_private_keys() {
    tool --list-privkeys --only-urls "pkcs11:token=$label"
    cat "$work/out"
    [ "$(grep -c '^pkcs11:.*type=private' "$work/out")" -eq 1 ]
}

lists_mechanisms() {
    tool --list-mechanisms "pkcs11:token=$label"
    grep -q "CKM_$([ "$kind" = rsa ] && echo RSA_PKCS || echo ECDSA)" "$work/out"
}

exports_public_key() {
    tool --export "$uri;type=public"
    same_key "$work/out"
}

# Exports the public key from the object of the private key, as a program does that has only this URL.
exports_from_private() {
    tool --export-pubkey "$uri;type=private"
    same_key "$work/out"
}

exports_certificate() {
    tool --export "$uri;type=cert"
    run plain_openssl x509 -in "$work/out" -outform DER -out "$work/one.der"
    run plain_openssl x509 -in "$certificate" -outform DER -out "$work/two.der"
    run cmp "$work/one.der" "$work/two.der"
}

# p11tool signs with the private key and verifies with the token's public key.
signs() {
    tool --test-sign "$uri;type=private"
    cat "$work/out"
}

# shellcheck disable=SC2001 # & is beyond what ${//} can do
signs_by_id() {
    tool --test-sign "pkcs11:token=$label;id=$(sed 's/../%&/g' <<<"$id");type=private"
}

signs_pss() {
    tool --test-sign --sign-params RSA-PSS --hash SHA256 "$uri;type=private"
}

objects() {
    check "$label objects" lists_objects
    check "$label private key" lists_private_keys
    check "$label mechanisms" lists_mechanisms
    # GnuTLS 3.7 does not support secp256k1, neither for the export of a key nor for signatures.
    [ "$curve" != P-256K ] || return 0
    check "$label public key" exports_public_key
    check "$label public key of the private key" exports_from_private
    [ "$certificate" = - ] || check "$label certificate" exports_certificate
}

signing() {
    objects
    [ "$curve" != P-256K ] || return 0
    if [ "$kind" != rsa ] || can pkcs1; then
        check "$label signature" signs
        check "$label signature, found by id" signs_by_id
    fi
    ! can pss || check "$label PSS signature" signs_pss
}

page_lists_and_signs() {
    run_block 'list-tokens' gnutls
    same_key "$work/page/public.pem"
    run_block 'test-sign' gnutls >"$work/out" 2>&1 || { cat "$work/out" && return 1; }
    cat "$work/out"
    grep -q '^Verifying against public key in the token... ok' "$work/out"
}

for name in aws-rsa2048 aws-p256 azure-rsa2048 azure-p256 $vault_keys $google_keys; do
    key "$name"
    check "$label page" page_lists_and_signs
done
check "tokens" lists_tokens
check "token URLs" lists_token_urls
each_key signing
each_key signing bound

# Slots that list all keys of an emulator that only this script uses, because the checks change labels.
discover_all() {
    local ring=projects/my-project/locations/europe-west3/keyRings/my-ring
    own_emulator "$work/own" --aws-key alias/p256=ECC_NIST_P256 --vault-key p256=P-256 --google-key-ring $ring \
        --google-key p256=EC_SIGN_P256_SHA256
    own_config "$work/own" "$config" >"$work/own.json"
    own_public "$work/own" aws/keys/alias/p256 >"$work/aws.pem"
    own_public "$work/own" vaults/default/keys/p256 >"$work/azure.pem"
    own_public "$work/own" google/keys/$ring/cryptoKeys/p256 >"$work/google.pem"
    python3 - "$work/own.json" "$work/discover.json" "$ring" <<'EOF'
import json, pathlib, sys
config = json.loads(pathlib.Path(sys.argv[1]).read_text())
config["slots"] = [{"label": f"{cloud}-all", "cloud": cloud, "discover": True, "allow": ["labels"]} for cloud in ("aws", "azure", "google")]
config["google_key_ring"] = sys.argv[3]
pathlib.Path(sys.argv[2]).write_text(json.dumps(config))
EOF
}

gets_label() {
    run_page 'set-label' >"$work/out" 2>&1 || { cat "$work/out" && return 1; }
    cat "$work/out"
    grep -q '^Verifying against public key in the token... ok' "$work/out"
}

exports_labelled() {
    tool --export "pkcs11:token=$cloud-all;object=$LABEL;type=public"
    same_key "$work/out"
}

gets_label_back() {
    tool --login --set-pin none --set-label "$NAME" "pkcs11:token=$cloud-all;object=$LABEL;type=private"
    tool --export "pkcs11:token=$cloud-all;object=$NAME;type=public"
    same_key "$work/out"
}

# A label that is not a valid name of an alias.
keeps_label() {
    refuse tool --login --set-pin none --set-label 'not an alias' "pkcs11:token=aws-all;object=$LABEL;type=private"
    tool --export "pkcs11:token=aws-all;object=$LABEL;type=public"
}

discover_all
own_credentials
for cloud in aws azure google; do
    public=$work/$cloud.pem
    export NAME=p256 LABEL=p256-renamed CLOUD_KMS_PKCS11_CONFIG=$work/discover.json
    TOKEN=$cloud-all check "$cloud-all label" gets_label
    check "$cloud-all key by its new label" exports_labelled
    [ "$cloud" != aws ] || check "$cloud-all label that can't be" keeps_label
    check "$cloud-all label as before" gets_label_back
done

# GnuTLS needs SHA-512 for EdDSA, and the default of p11tool is SHA-256.
signs_ed25519() {
    run_page 'hash SHA512' >"$work/out" 2>&1 || { cat "$work/out" && return 1; }
    cat "$work/out"
    grep -q '^Verifying against public key in the token... ok' "$work/out"
}
lists_secret_key() {
    tool --list-all "pkcs11:token=$label"
    cat "$work/out"
    grep -q 'type=secret-key' "$work/out"
}
authenticating() { check "$label objects" lists_secret_key; }

all_uses
each_key objects decrypt
each_key objects agree
each_key authenticating mac
for name in aws-ed25519 ${vault_ec:+vault-ed25519} google-ed25519; do
    key "$name"
    check "$label objects" lists_objects
    check "$label public key" exports_public_key
    check "$label public key of the private key" exports_from_private
    check "$label signature" signs_ed25519
done
