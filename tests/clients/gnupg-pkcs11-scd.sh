#!/usr/bin/env bash
# apt: gnupg-pkcs11-scd gpg gpg-agent gpgconf
# GnuPG: uses an RSA key in the cloud as an OpenPGP key.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$clients/certify.bash"

for tool in gpg gpg-agent gpgconf gpg-connect-agent gnupg-pkcs11-scd; do need $tool $tool; done

labels=(aws-rsa2048 aws-rsa4096 azure-rsa2048 $vault_rsa $google_rsa)
certify "${labels[@]}"
cp "$config" "$work/all.json"

only() { # LABEL: the module's only slot
    python3 -c '
import json, sys
config = json.load(open(sys.argv[1]))
config["slots"] = [slot for slot in config["slots"] if slot["label"] == sys.argv[3]]
json.dump(config, open(sys.argv[2], "w"))' "$work/all.json" "$config" "$1"
}

signs() {
    run_page 'scdaemon-program'
    run_page 'card-status'
    run_page 'gen-key'
    rm -f "$work"/page/file*
    cp "$work/data" "$work/page/file"
    run_page 'detach-sign'

    # Another user, without the module.
    local other=$work/other-$TOKEN
    mkdir "$other"
    plain gpg --homedir "$other" --batch --import "$work/page/public.asc"
    plain gpg --homedir "$other" --batch --verify "$work/page/file.sig" "$work/page/file"
    refuse plain gpg --homedir "$other" --batch --verify "$work/page/file.sig" "$work/other"

    # The OpenPGP key must be the service's key.
    key "$TOKEN"
    plain_openssl rsa -pubin -in "$public" -noout -modulus | sed 's/.*=//' >"$work/one"
    gpg --batch --homedir "$other" --list-packets --verbose "$work/page/public.asc" | sed -n 's/^\tpkey\[0\]: //p' | head -n 1 >"$work/two"
    run cmp "$work/one" "$work/two"
}

for TOKEN in "${labels[@]}"; do
    only "$TOKEN"
    export GNUPGHOME=$work/$TOKEN
    later "gpgconf --homedir '$work/$TOKEN' --kill all; gpgconf --homedir '$work/other-$TOKEN' --kill all"
    check "$TOKEN" signs
done
