#!/usr/bin/env bash
# apt: libengine-pkcs11-openssl
# A CA, CMS and S/MIME with OpenSSL's command line, through libp11's engine.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$(dirname "${BASH_SOURCE[0]}")/tls.bash"
. "$clients/ca.bash"

verify_cms() { # SIGNATURE
    run plain_openssl cms -verify -binary -inform DER -in "$1" -content "$work/page/file" -CAfile "$work/page/ca.pem" -out "$work/content"
    run cmp "$work/content" "$work/page/file"
    refuse plain_openssl cms -verify -binary -inform DER -in "$1" -content "$work/other" -CAfile "$work/page/ca.pem" -out "$work/content"
    # The signature is the last field of the structure, so `spoil` changes it.
    refuse plain_openssl cms -verify -binary -inform DER -in "$(spoil "$1")" -content "$work/page/file" -CAfile "$work/page/ca.pem" \
        -out "$work/content"
}

cms() {
    run_page 'cms -sign.*file.p7s'
    verify_cms "$work/page/file.p7s"
}

cms_pss() {
    run_page 'file-pss.p7s'
    run plain_openssl cms -cmsout -print -inform DER -in "$work/page/file-pss.p7s" -noout >"$work/printed"
    grep 'algorithm: rsassaPss' "$work/printed"
    verify_cms "$work/page/file-pss.p7s"
}

smime() {
    run_page 'smime -sign'
    run plain_openssl smime -verify -text -in "$work/page/letter.eml" -CAfile "$work/page/ca.pem" -out "$work/content"
    run cmp <(tr -d '\r' <"$work/content") "$work/page/letter"
    sed 's/Dear cloud/Dear crowd/' "$work/page/letter.eml" >"$work/forged.eml"
    refuse plain_openssl smime -verify -text -in "$work/forged.eml" -CAfile "$work/page/ca.pem" -out "$work/content"
}

# Later releases use the provider (openssl-provider.sh), so here they test fewer keys.
engine_keys=(aws-rsa2048 aws-p256 azure-rsa3072 azure-p256 $vault_keys $google_keys)
[ "$release" != bookworm ] || engine_keys+=(azure-cert-rsa azure-cert-ec)
for key in "${engine_keys[@]}"; do
    use_key "$key"
    rm -rf "$work/page"/{root,server,listed,signer,index,file,letter}* "$work/page/issued"
    certificate_of_key
    cp "$work/data" "$work/page/file"
    echo "Dear cloud, sign this." >"$work/page/letter"
    check "$key root certificate" root_certificate
    check "$key a server's key and request" run_page 'req -new -newkey'
    check "$key openssl x509 -req" issue_x509
    check "$key openssl ca" issue_ca
    check "$key openssl ca -revoke, -gencrl" revoke
    check "$key openssl cms" cms
    ! can pss || check "$key openssl cms, PSS" cms_pss
    check "$key openssl smime" smime
done
