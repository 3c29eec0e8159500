#!/usr/bin/env bash
# apt: u-boot-tools device-tree-compiler libengine-pkcs11-openssl
# mkimage: signs FIT images for U-Boot's verified boot.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

need mkimage u-boot-tools
need dtc device-tree-compiler

pattern='-k "pkcs11:'
[ "$release" != bookworm ] || pattern='-k "token='
mkdir "$work/page" "$work/parts"
head -c 20000 /dev/urandom >"$work/page/vmlinuz"

parts() { # IMAGE
    run python3 "$clients/fit.py" "$1" "$work/page/u-boot.dtb" /configurations/conf/signature "$work/parts"
}

# Changes the image's description, which is signed, or the kernel, whose hash is signed.
spoil_image() { # OLD NEW
    python3 - "$work/page/image.itb" "$work/spoilt.itb" "$1" "$2" "$work/page/vmlinuz" <<'PY'
import sys
image, spoilt, old, new, kernel = sys.argv[1:]
data = open(image, "rb").read()
if old == "kernel":
    old = open(kernel, "rb").read()
    new = old[:-1] + bytes([old[-1] ^ 1])
else:
    old, new = old.encode() + b"\0", new.encode() + b"\0"
assert old in data
open(spoilt, "wb").write(data.replace(old, new, 1))
PY
}

sign() { # ALGO PADDING
    export ALGO=$1 PADDING=$2
    local digest=${1%,*} verify=verify
    [ "$2" = pkcs-1.5 ] || verify=verify_pss
    key "$TOKEN"
    rm -f "$work"/page/image.* "$work"/parts/*
    printf '/dts-v1/;\n/ { };\n' | dtc -q -O dtb -o "$work/page/u-boot.dtb"
    run_page 'image.its <<'
    run_page "$pattern"
    parts "$work/page/image.itb"
    verify_and_spoil "$verify" "$digest" "$work/parts/content" "$work/parts/signature"
    plain_openssl rsa -pubin -in "$public" -noout -modulus | run cmp - "$work/parts/modulus"
    spoil_image Linux Linus
    parts "$work/spoilt.itb"
    refuse "$verify" "$digest" "$work/parts/content" "$work/parts/signature"
    spoil_image kernel ""
    refuse parts "$work/spoilt.itb"
}

for TOKEN in aws-rsa2048 azure-rsa2048 $vault_rsa $google_rsa; do
    key "$TOKEN"
    check "$TOKEN FIT image" sign sha256,rsa2048 pkcs-1.5
    # mkimage 2023.01 expects the longest salt that the key allows. Only Vault makes such a signature.
    [ "$release" = bookworm ] || ! can pss || check "$TOKEN FIT image, PSS" sign sha256,rsa2048 pss
done
for TOKEN in aws-rsa4096 azure-rsa4096; do
    check "$TOKEN FIT image, sha512" sign sha512,rsa4096 pkcs-1.5
done
