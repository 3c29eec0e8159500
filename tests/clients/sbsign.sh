#!/usr/bin/env bash
# apt: sbsigntool systemd-boot-efi osslsigncode
# apt bookworm trixie: libengine-pkcs11-openssl
# apt sid: pkcs11-provider
# sbsign: Secure Boot signatures of an EFI program.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$clients/certify.bash"
. "$clients/efi.bash"

need sbsign sbsigntool

# sbsign 0.9.5 no longer supports engines.
way=engine pattern=PKCS11_MODULE_PATH
[ "$release" != sid ] || way=provider pattern='^sbsign'

labels=(aws-rsa2048 aws-rsa4096 aws-p256 azure-rsa2048 azure-p256 $vault_keys $google_keys)
certify "${labels[@]}"
mkdir "$work/page"
cp "$boot" "$work/page/boot.efi"

sign() {
    rm -f "$work/page/signed.efi"
    cp "$work/$TOKEN.pem" "$work/page/certificate.pem"
    by "$way" run_page "$pattern"
    run_page 'sbverify'
    signed "$work/page/signed.efi" "$other"
}

other=azure-p256
for TOKEN in "${labels[@]}"; do
    check "$TOKEN EFI program" sign
    other=$TOKEN
done
