#!/usr/bin/env bash
# apt: osslsigncode libengine-pkcs11-openssl wixl
# apt sid: pkcs11-provider
# osslsigncode: Authenticode signatures of a PE file and an MSI package.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$clients/certify.bash"
. "$clients/windows.bash"

need osslsigncode osslsigncode
need wixl wixl

labels=(aws-rsa2048 aws-rsa4096 aws-p256 azure-rsa2048 azure-p256 azure-p384 $vault_keys $google_keys google-pkcs2048)
certify "${labels[@]}"
mkdir "$work/page"
cp "$work/ca.pem" "$work/page"

hello_exe "$work/page/hello.exe"
hello_msi page/hello.msi page/hello.exe

verified() { # FILE HASH
    plain osslsigncode verify -CAfile "$work/ca.pem" -in "$1" >"$work/verified" 2>&1 || { cat "$work/verified" && return 1; }
    grep -i "message digest.* $2" "$work/verified"
    grep -E "Subject: /?CN=$TOKEN" "$work/verified"
}

one_byte() { # FILE OFFSET: changes the byte at OFFSET
    python3 -c 'import sys; f = open(sys.argv[1], "r+b"); f.seek(int(sys.argv[2])); f.write(b"\x90")' "$1" "$2"
}

sign() { # WAY COMMAND-LINE FILE HASH
    rm -f "$work"/page/signed.*
    cp "$work/$TOKEN.pem" "$work/page/certificate.pem"
    HASH=$4 by "$1" "${runs:-run_page}" "$2" osslsigncode --through "$1"
    verified "$work/page/$3" "$4"
}

sign_exe() { # WAY COMMAND-LINE
    # The tool's block for a token with a certificate.
    runs=run_block sign "$@" signed.exe sha256
    run_page 'osslsigncode verify'
    one_byte "$work/page/signed.exe" 513
    refuse verified "$work/page/signed.exe" sha256
}

many_exe() {
    local i
    rm -rf "$work"/page/signed "$work"/page/signed.*
    cp "$work/$TOKEN.pem" "$work/page/certificate.pem"
    for i in 1 2 3 4 5 6 7 8 9; do cp "$work/page/hello.exe" "$work/page/hello $i.exe"; done
    HASH=sha256 by engine run_page 'xargs'
    for i in 1 2 3 4 5 6 7 8 9; do verified "$work/page/signed/hello $i.exe" sha256; done
    one_byte "$work/page/signed/hello 9.exe" 513
    refuse verified "$work/page/signed/hello 9.exe" sha256
    rm -rf "$work"/page/signed "$work"/page/hello\ *.exe
}

# Only sid's osslsigncode supports providers. There the package of libp11's engine contains libp11's provider.
if [ "$release" = sid ]; then
    for TOKEN in "${labels[@]}"; do
        case $TOKEN in
            *-p384) check "$TOKEN exe, sha384, certificate from a file" sign provider 'sign -certs.*hello.exe' signed.exe sha384 ;;
            *)
                check "$TOKEN exe, certificate from the token" sign_exe provider '-provider pkcs11'
                check "$TOKEN msi" sign provider 'sign -certs.*hello.msi' signed.msi sha256
                ;;
        esac
    done
    labels=(aws-p256 azure-rsa2048 azure-p384)
    by_libp11=", by libp11"
fi
for TOKEN in "${labels[@]}"; do
    case $TOKEN in
        *-p384)
            check "$TOKEN exe, sha384, certificate from a file${by_libp11:-}" \
                sign engine '-pkcs11module "[$]MODULE" -certs.*hello.exe' signed.exe sha384
            ;;
        *)
            check "$TOKEN exe, certificate from the token${by_libp11:-}" sign_exe engine 'sign -pkcs11module [^\n]* -pkcs11cert'
            check "$TOKEN msi${by_libp11:-}" sign engine '-pkcs11module "[$]MODULE" -certs.*hello.msi' signed.msi sha256
            ;;
    esac
done
for TOKEN in aws-p256 azure-rsa2048; do
    check "$TOKEN nine exe, eight at once" many_exe
done
