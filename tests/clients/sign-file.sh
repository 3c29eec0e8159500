#!/usr/bin/env bash
# apt bookworm: linux-kbuild-6.1 libengine-pkcs11-openssl
# apt trixie sid: linux-kbuild-* pkcs11-provider
# The kernel's sign-file: signs kernel modules with the key through the provider, or adds a signature that openssl cms has made.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$clients/certify.bash"

SIGN_FILE=$(compgen -G '/usr/lib/linux-kbuild-*/scripts/sign-file' | sort -V | tail -n 1) || true
need "${SIGN_FILE:-sign-file}" linux-kbuild-6.1
export SIGN_FILE HASH
mkdir "$work/page"
# Not a real module: no kernel loads it here.
head -c 20000 /dev/urandom >"$work/page/hello.ko"

# Reads the file as the kernel does, from its end: the trailer, the PKCS#7 message, the module.
verified() { # FILE
    python3 - "$1" "$work/module" "$work/module.p7s" <<'PY'
import struct, sys
signed = open(sys.argv[1], "rb").read()
magic = b"~Module signature appended~\n"
assert signed.endswith(magic), "no trailer"
signed = signed[:-len(magic)]
*head, length = struct.unpack(">5B3xI", signed[-12:])
assert head == [0, 0, 2, 0, 0], head
signed = signed[:-12]
open(sys.argv[2], "wb").write(signed[:-length])
open(sys.argv[3], "wb").write(signed[-length:])
PY
    run cmp "$work/module" "$work/page/hello.ko"
    plain openssl cms -cmsout -print -noout -inform DER -in "$work/module.p7s" | grep -A1 digestAlgorithm: | grep -w "$HASH"
    plain openssl cms -verify -inform DER -in "$work/module.p7s" -content "$work/module" -binary -nointern \
        -certfile "$work/$TOKEN.pem" -CAfile "$work/ca.pem" -purpose any -out "$work/out"
    refuse plain openssl cms -verify -inform DER -in "$work/module.p7s" -content "$work/other" -binary -nointern \
        -certfile "$work/$TOKEN.pem" -CAfile "$work/ca.pem" -purpose any -out "$work/out"
}

sign() { # PATTERN HASH
    HASH=$2
    rm -f "$work"/page/*.p7s "$work/page/signed.ko"
    cp "$work/$TOKEN.pem" "$work/page/certificate.pem"
    run_page "$1"
    verified "$work/page/signed.ko"
}

if [ "$release" = bookworm ]; then
    labels=(aws-rsa2048 aws-rsa4096 aws-p256 azure-rsa2048 azure-p256 $vault_keys $google_keys)
    certify "${labels[@]}"
    for TOKEN in "${labels[@]}"; do
        check "$TOKEN module, by openssl cms and sign-file -s" sign 'engine pkcs11' sha256
    done
else
    labels=(aws-rsa2048 aws-p256 azure-rsa4096 azure-p256 $vault_ec $google_ec)
    certify "${labels[@]}"
    for TOKEN in "${labels[@]}"; do
        check "$TOKEN module" by provider sign '^"[$]SIGN_FILE"' sha256
        check "$TOKEN module, as the kernel's build signs" by provider sign 'extract-cert' sha256
    done
    TOKEN=azure-rsa4096
    check "$TOKEN module, sha512" by provider sign '^"[$]SIGN_FILE"' sha512
    TOKEN=aws-p256
    check "$TOKEN module, by openssl cms and sign-file -s" by provider sign 'md sha256 .binary' sha256
fi
if [ "$release" = sid ]; then
    all_uses
    labels=(aws-mldsa44 aws-mldsa65 aws-mldsa87 google-mldsa65)
    certify "${labels[@]}"
    for TOKEN in "${labels[@]}"; do
        check "$TOKEN module" by provider sign '^"[$]SIGN_FILE"' sha512
    done
fi
