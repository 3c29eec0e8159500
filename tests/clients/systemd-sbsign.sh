#!/usr/bin/env bash
# releases: trixie sid
# apt: systemd-repart pkcs11-provider libengine-pkcs11-openssl systemd-boot-efi sbsigntool osslsigncode
# systemd-sbsign: Secure Boot signatures of an EFI program.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$clients/certify.bash"
. "$clients/efi.bash"

need /usr/lib/systemd/systemd-sbsign systemd-repart

labels=(aws-rsa2048 aws-p256 azure-rsa2048 azure-rsa4096 azure-p256 $vault_ec $google_ec)
certify "${labels[@]}"
mkdir "$work/page"
cp "$boot" "$work/page/boot.efi"

sign() { # WAY PATTERN [RUN]
    rm -f "$work/page/signed.efi"
    cp "$work/$TOKEN.pem" "$work/page/certificate.pem"
    by "$1" "${3:-run_page}" "$2" systemd-sbsign
    run_page '^sbverify'
    signed "$work/page/signed.efi" "$other"
}

other=azure-p256
for TOKEN in "${labels[@]}"; do
    check "$TOKEN EFI program, certificate from a file" sign provider 'provider:pkcs11 .*--certificate certificate.pem'
    check "$TOKEN EFI program, certificate from the token" sign provider 'certificate-source' run_block
    other=$TOKEN
done
for TOKEN in aws-rsa2048 azure-p256; do
    check "$TOKEN EFI program, by the engine" sign engine 'engine:pkcs11'
    other=$TOKEN
done
