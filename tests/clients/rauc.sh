#!/usr/bin/env bash
# apt: rauc squashfs-tools libengine-pkcs11-openssl
# RAUC: signs update bundles.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$clients/certify.bash"

need rauc rauc
need mksquashfs squashfs-tools

labels=(aws-rsa2048 aws-p256 azure-rsa4096 azure-p256 $vault_keys $google_keys)
certify "${labels[@]}"
mkdir -p "$work/page/content"
cp "$work/ca.pem" "$work/page"
head -c 10000 /dev/urandom >"$work/page/content/rootfs.img"

# OpenSSL verifies the signature: the output of rauc about the signer has no fixed form.
signature_by_openssl() { # FILE FORMAT
    python3 - "$1" "$work/bundle.p7s" "$work/bundle.content" <<'PY'
import sys
bundle = open(sys.argv[1], "rb").read()
size = int.from_bytes(bundle[-8:], "big")
open(sys.argv[2], "wb").write(bundle[-8 - size:-8])
open(sys.argv[3], "wb").write(bundle[:-8 - size])
PY
    local content=()
    [ "$2" != plain ] || content=(-content "$work/bundle.content")
    plain openssl cms -verify -inform DER -in "$work/bundle.p7s" -binary "${content[@]}" -CAfile "$work/ca.pem" \
        -signer "$work/signer.pem" -out "$work/out"
    cmp <(plain_openssl x509 -in "$work/signer.pem") <(plain_openssl x509 -in "$work/$TOKEN.pem")
}

bundle() { # FORMAT PATTERN RUN
    printf '[update]\ncompatible=test\nversion=1\n\n[bundle]\nformat=%s\n\n[image.rootfs]\nfilename=rootfs.img\n' "$1" \
        >"$work/page/content/manifest.raucm"
    rm -f "$work"/page/*.raucb
    cp "$work/$TOKEN.pem" "$work/page/certificate.pem"
    "$3" "$2" rauc
    CLOUD_KMS_PKCS11_CONFIG=/nonexistent run_page 'rauc info'
    signature_by_openssl "$work/page/update.raucb" "$1"
    # Changes a byte of the content, or of the signature in formats whose content is verified only at the installation.
    python3 - "$work/page/update.raucb" "$work/other.raucb" "$1" <<'PY'
import sys
bundle = bytearray(open(sys.argv[1], "rb").read())
bundle[100 if sys.argv[3] == "plain" else -9] ^= 1
open(sys.argv[2], "wb").write(bundle)
PY
    plain rauc info --keyring "$work/ca.pem" "$work/page/update.raucb"
    refuse plain rauc info --keyring "$work/ca.pem" "$work/other.raucb"
}

for TOKEN in "${labels[@]}"; do
    check "$TOKEN bundle, plain, certificate from a file" bundle plain 'cert certificate.pem' run_page
    check "$TOKEN bundle, verity, certificate from the token" bundle verity 'type=cert' run_block
done
