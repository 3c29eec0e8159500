#!/usr/bin/env bash
# apt: pesign libnss3-tools sbsigntool systemd-boot-efi osslsigncode
# NSS: its tools list the keys and certificates of the tokens, and pesign signs an EFI program.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$clients/certify.bash"
. "$clients/efi.bash"

need pesign pesign
need certutil libnss3-tools
need modutil libnss3-tools

# pesign supports only RSA.
from_tool=aws-rsa2048
labels=(aws-rsa2048 aws-rsa4096 azure-rsa2048 $vault_rsa $google_rsa)
curves=(aws-p256 azure-p256 $vault_ec $google_ec)
certify "${labels[@]}" "${curves[@]}"
mkdir "$work/page"
cp "$boot" "$work/page/boot.efi"

database() {
    run_block 'modutil .* -add' pesign
    modutil -dbdir sql:"$work/page/nss" -list kms >"$work/modules"
    grep "token: *aws-rsa2048\|Token Name: *aws-rsa2048" -i "$work/modules"
}

lists() {
    run_page 'certutil -K' | tee "$work/listed"
    key "$TOKEN"
    grep -E "^< 0> +$kind .* $TOKEN\$" "$work/listed"
    grep -E "^$TOKEN:$TOKEN +u,u,u\$" "$work/listed"
    certutil -L -d sql:"$work/page/nss" -n "$TOKEN:$TOKEN" -a >"$work/listed.pem"
    plain_openssl x509 -in "$work/listed.pem" -out "$work/one.pem"
    plain_openssl x509 -in "$work/$TOKEN.pem" -out "$work/two.pem"
    run cmp "$work/one.pem" "$work/two.pem"
}

# NSS signs a certificate request, with keys of every type.
request() {
    key "$TOKEN"
    run certutil -R -d sql:"$work/page/nss" -h "$TOKEN" -k "$id" -s "CN=$TOKEN" -a -o "$work/request.pem"
    # OpenSSL 3.0 exits with 0 even if the verification fails, so the output is checked.
    run plain_openssl req -in "$work/request.pem" -verify -noout 2>&1 | tee "$work/verified"
    grep "verify OK" "$work/verified"
    run plain_openssl req -in "$work/request.pem" -noout -pubkey -out "$work/request.pub"
    same_key "$work/request.pub"
}

sign() {
    rm -f "$work/page/signed.efi"
    run_block 'pesign .* -s' pesign
    run_page 'pesign -S'
    verified "$work/page/signed.efi" "$work/$TOKEN.pem"
    # OpenSSL 3.6 refuses the empty BIT STRING that pesign writes for the flags of SpcPeImageData.
    [ "$release" = sid ] || plain osslsigncode verify -CAfile "$work/ca.pem" -in "$work/page/signed.efi"
    refuse verified "$work/page/signed.efi" "$work/${curves[0]}.pem"
    refuse verified "$boot" "$work/$TOKEN.pem"
}

TOKEN=${labels[0]}
check "database" database
for TOKEN in "${labels[@]}" "${curves[@]}"; do
    check "$TOKEN certutil lists" lists
    check "$TOKEN certutil request" request
done
for TOKEN in "${labels[@]}"; do check "$TOKEN pesign" sign; done
