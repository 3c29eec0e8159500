#!/usr/bin/env bash
# apt: linux-kbuild-6.1 libengine-pkcs11-openssl gcc libc6-dev libssl-dev
# Kernel modules: openssl cms with the kernel's sign-file, and the calls that sign-file itself made of the engine.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$clients/certify.bash"

need gcc gcc
need /usr/include/openssl/cms.h libssl-dev
sign_file=$(compgen -G '/usr/lib/linux-kbuild-6.*/scripts/sign-file' | head -n 1) || true
need "${sign_file:-sign-file}" linux-kbuild-6.1
gcc -Wall -Wextra -Werror "$clients/sign-file.c" -lcrypto -o "$work/sign-file"

labels=(aws-rsa2048 aws-rsa4096 aws-p256 azure-rsa2048 azure-p256)
certify "${labels[@]}"
mkdir "$work/page"
# Only the bytes count; no kernel loads it here.
head -c 20000 /dev/urandom >"$work/page/hello.ko"

# As the kernel reads it: the trailer, before it the message, before that the module.
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
    plain openssl cms -verify -inform DER -in "$work/module.p7s" -content "$work/module" -binary -nointern \
        -certfile "$work/$TOKEN.pem" -CAfile "$work/ca.pem" -purpose any -out "$work/out"
    refuse plain openssl cms -verify -inform DER -in "$work/module.p7s" -content "$work/other" -binary -nointern \
        -certfile "$work/$TOKEN.pem" -CAfile "$work/ca.pem" -purpose any -out "$work/out"
}

by_page() {
    rm -f "$work"/page/*.p7s "$work/page/signed.ko"
    cp "$work/$TOKEN.pem" "$work/page/certificate.pem"
    export SIGN_FILE=$sign_file
    run_page 'openssl cms'
    verified "$work/page/signed.ko"
}

by_engine() { # HASH
    PKCS11_MODULE_PATH=$MODULE run "$work/sign-file" "$1" "pkcs11:token=$TOKEN;type=private" "$work/$TOKEN.pem" \
        "$work/page/hello.ko" "$work/signed.ko"
    verified "$work/signed.ko"
}

for TOKEN in "${labels[@]}"; do
    check "$TOKEN openssl cms and sign-file -s" by_page
    check "$TOKEN sign-file's calls, sha256" by_engine sha256
    case $TOKEN in *rsa*) check "$TOKEN sign-file's calls, sha512" by_engine sha512 ;; esac
done
