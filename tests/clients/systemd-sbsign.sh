#!/usr/bin/env bash
# releases: trixie sid
# apt: systemd-repart pkcs11-provider libengine-pkcs11-openssl systemd-boot-efi sbsigntool osslsigncode
# Secure Boot signatures of an EFI program by systemd's own tool.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$clients/certify.bash"

need /usr/lib/systemd/systemd-sbsign systemd-repart
need sbverify sbsigntool
need osslsigncode osslsigncode
boot=$(compgen -G '/usr/lib/systemd/boot/efi/systemd-boot*.efi' | head -n 1) || true
need "${boot:-systemd-boot}" systemd-boot-efi

labels=(aws-rsa2048 aws-p256 azure-rsa2048 azure-rsa4096 azure-p256)
certify "${labels[@]}"
mkdir "$work/page"
cp "$boot" "$work/page/boot.efi"

verified() { # FILE CERTIFICATE
    plain sbverify --cert "$2" "$1" 2>/dev/null
}

sign() { # WAY PATTERN
    rm -f "$work/page/signed.efi"
    cp "$work/$TOKEN.pem" "$work/page/certificate.pem"
    by "$1" run_page "$2"
    run_page '^sbverify'
    verified "$work/page/signed.efi" "$work/$TOKEN.pem"
    plain osslsigncode verify -CAfile "$work/ca.pem" -in "$work/page/signed.efi"
    refuse verified "$work/page/signed.efi" "$work/$other.pem"
    refuse verified "$boot" "$work/$TOKEN.pem"
    spoil_code "$work/page/signed.efi"
    refuse verified "$work/page/signed.efi" "$work/$TOKEN.pem"
}

other=azure-p256
for TOKEN in "${labels[@]}"; do
    check "$TOKEN EFI program, certificate from a file" sign provider 'provider:pkcs11 .*--certificate certificate.pem'
    check "$TOKEN EFI program, certificate from the token" sign provider 'certificate-source'
    other=$TOKEN
done
for TOKEN in aws-rsa2048 azure-p256; do
    check "$TOKEN EFI program, by the engine" sign engine 'engine:pkcs11'
    other=$TOKEN
done
