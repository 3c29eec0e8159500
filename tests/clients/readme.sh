#!/usr/bin/env bash
# apt: opensc gnutls-bin libengine-pkcs11-openssl openssh-client
# apt trixie sid: pkcs11-provider
# The README's recipes, as they stand there, with its two slots.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

need pkcs11-tool opensc
need p11tool gnutls-bin
need ssh-agent openssh-client

# The two slots of the README's configuration, on our servers' keys.
python3 - "$config" "$work/readme.json" "$keys" <<'PY'
import json, sys
config = json.load(open(sys.argv[1]))
slots = {slot["label"]: slot for slot in config["slots"]}
config["slots"] = [slots["aws-rsa2048"] | {"label": "my-aws-key"}, slots["azure-p256"] | {"label": "my-azure-key"}]
json.dump(config, open(sys.argv[2], "w"))
PY
export CLOUD_KMS_PKCS11_CONFIG=$work/readme.json

run_recipe() { # PATTERN: runs the README's block that contains it
    page "$1" "$root/README.md" >"$work/recipe"
    (cd "$work/recipes" && bash -euxc "$(cat "$work/recipe")")
}

mkdir "$work/recipes"
export MODULE PKCS11_MODULE_PATH=$MODULE
cp "$work/data" "$work/recipes/file"

openssl_recipe() { # WAY
    rm -f "$work/recipes/file.sig" "$work/recipes/me.pem"
    case $1 in
        provider) run_recipe 'PKCS11_PROVIDER_MODULE' ;;
        engine) run_recipe 'openssl dgst.*-engine' ;;
    esac
    key aws-rsa2048
    verify_and_spoil verify sha256 "$work/recipes/file" "$work/recipes/file.sig"
    key azure-p256
    plain_openssl x509 -in "$work/recipes/me.pem" -noout -pubkey -out "$work/certificate.pub"
    same_key "$work/certificate.pub"
    run plain_openssl verify -check_ss_sig -CAfile "$work/recipes/me.pem" "$work/recipes/me.pem"
}
opensc_recipe() {
    rm -f "$work/recipes/file.sig"
    run_recipe 'list-token-slots'
    key aws-rsa2048
    verify_and_spoil verify sha256 "$work/recipes/file" "$work/recipes/file.sig"
}
gnutls_recipe() {
    run_recipe 'p11tool'
    key azure-p256
    same_key "$work/recipes/public.pem"
}
ssh_recipe() {
    eval "$(ssh-agent -P "$(dirname "$(realpath "$MODULE")")/*")" >/dev/null
    trap 'ssh-agent -k >/dev/null' RETURN
    run_recipe 'ssh-add -s' </dev/null
    [ "$(ssh-add -L | wc -l)" -ge 2 ]
}

for way in $(ways); do check "OpenSSL, $way" openssl_recipe "$way"; done
check "OpenSC" opensc_recipe
check "GnuTLS" gnutls_recipe
check "OpenSSH" ssh_recipe
