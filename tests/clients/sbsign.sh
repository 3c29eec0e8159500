#!/usr/bin/env bash
# apt: sbsigntool libengine-pkcs11-openssl systemd-boot-efi osslsigncode
# Secure Boot signatures of an EFI program.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$clients/certify.bash"

need sbsign sbsigntool
need osslsigncode osslsigncode
boot=$(compgen -G '/usr/lib/systemd/boot/efi/systemd-boot*.efi' | head -n 1) || true
need "${boot:-systemd-boot}" systemd-boot-efi

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
    run_page 'sbsign --engine'
    run_page 'sbverify'
    verified "$work/page/signed.efi" "$work/$TOKEN.pem"
    plain osslsigncode verify -CAfile "$work/ca.pem" -in "$work/page/signed.efi"
    refuse verified "$work/page/signed.efi" "$work/$other.pem"
    refuse verified "$boot" "$work/$TOKEN.pem"
    # Another byte in the program's code.
    python3 -c 'import sys; f = open(sys.argv[1], "r+b"); f.seek(4096); byte = f.read(1)[0]; f.seek(4096); f.write(bytes([byte ^ 1]))' \
        "$work/page/signed.efi"
    refuse verified "$work/page/signed.efi" "$work/$TOKEN.pem"
}

other=azure-p256
for TOKEN in "${labels[@]}"; do
    check "$TOKEN" sign
    other=$TOKEN
done
