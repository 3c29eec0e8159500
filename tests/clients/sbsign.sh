#!/usr/bin/env bash
# apt: sbsigntool systemd-boot-efi osslsigncode
# apt bookworm trixie: libengine-pkcs11-openssl
# apt sid: pkcs11-provider
# Secure Boot signatures of an EFI program.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$clients/certify.bash"

need sbsign sbsigntool
need osslsigncode osslsigncode
boot=$(compgen -G '/usr/lib/systemd/boot/efi/systemd-boot*.efi' | head -n 1) || true
need "${boot:-systemd-boot}" systemd-boot-efi

# 0.9.5 has no engines any more.
way=engine pattern=PKCS11_MODULE_PATH
[ "$release" != sid ] || way=provider pattern='^sbsign'

labels=(aws-rsa2048 aws-rsa4096 aws-p256 azure-rsa2048 azure-p256)
certify "${labels[@]}"
mkdir "$work/page"
cp "$boot" "$work/page/boot.efi"

# sbverify says how well it liked the file's layout, on standard error.
verified() { # FILE CERTIFICATE
    plain sbverify --cert "$2" "$1" 2>/dev/null
}

sign() {
    rm -f "$work/page/signed.efi"
    cp "$work/$TOKEN.pem" "$work/page/certificate.pem"
    by "$way" run_page "$pattern"
    run_page 'sbverify'
    verified "$work/page/signed.efi" "$work/$TOKEN.pem"
    plain osslsigncode verify -CAfile "$work/ca.pem" -in "$work/page/signed.efi"
    refuse verified "$work/page/signed.efi" "$work/$other.pem"
    refuse verified "$boot" "$work/$TOKEN.pem"
    spoil_code "$work/page/signed.efi"
    refuse verified "$work/page/signed.efi" "$work/$TOKEN.pem"
}

other=azure-p256
for TOKEN in "${labels[@]}"; do
    check "$TOKEN EFI program" sign
    other=$TOKEN
done
