#!/usr/bin/env bash
# apt: osslsigncode libengine-pkcs11-openssl wixl
# Authenticode signatures of a PE file and an MSI package.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$clients/certify.bash"

need osslsigncode osslsigncode
need wixl wixl

labels=(aws-rsa2048 aws-rsa4096 aws-p256 azure-rsa2048 azure-p256 azure-p384)
certify "${labels[@]}"
mkdir "$work/page"
cp "$work/ca.pem" "$work/page"

# The smallest program: it returns.
python3 - "$work/page/hello.exe" <<'PY'
import struct, sys
dos = b"MZ" + bytes(58) + struct.pack("<I", 64)
coff = struct.pack("<HHIIIHH", 0x8664, 1, 0, 0, 0, 0xF0, 0x22)
optional = struct.pack("<HBBIIIII", 0x20B, 1, 0, 512, 0, 0, 0x1000, 0x1000)
optional += struct.pack("<QIIHHHHHHIIIIHHQQQQII", 0x140000000, 0x1000, 0x200, 6, 0, 0, 0, 6, 0, 0, 0x2000, 0x200, 0, 10, 0,
                        0x100000, 0x1000, 0x100000, 0x1000, 0, 16)
optional += bytes(128)
section = b".text\0\0\0" + struct.pack("<IIIIIIHHI", 1, 0x1000, 512, 512, 0, 0, 0, 0, 0x60000020)
head = (dos + b"PE\0\0" + coff + optional + section).ljust(512, b"\0")
open(sys.argv[1], "wb").write(head + b"\xc3".ljust(512, b"\xcc"))
PY
cat >"$work/hello.wxs" <<'END'
<Wix xmlns="http://schemas.microsoft.com/wix/2006/wi">
  <Product Id="*" UpgradeCode="12345678-1234-1234-1234-123456789012" Name="Hello" Version="1.0" Manufacturer="me" Language="1033">
    <Package InstallerVersion="200" Compressed="yes"/>
    <Media Id="1" Cabinet="hello.cab" EmbedCab="yes"/>
    <Directory Id="TARGETDIR" Name="SourceDir">
      <Component Id="Hello" Guid="12345678-1234-1234-1234-123456789013">
        <File Id="hello" Source="page/hello.exe"/>
      </Component>
    </Directory>
    <Feature Id="All" Level="1"><ComponentRef Id="Hello"/></Feature>
  </Product>
</Wix>
END
(cd "$work" && wixl -o page/hello.msi hello.wxs 2>/dev/null)

verified() { # FILE HASH
    plain osslsigncode verify -CAfile "$work/ca.pem" -in "$1" >"$work/verified" 2>&1 || { cat "$work/verified" && return 1; }
    grep -i "message digest.* $2" "$work/verified"
    grep "Subject: /CN=$TOKEN" "$work/verified"
}

one_byte() { # FILE OFFSET: another byte there
    python3 -c 'import sys; f = open(sys.argv[1], "r+b"); f.seek(int(sys.argv[2])); f.write(b"\x90")' "$1" "$2"
}

sign() { # PATTERN FILE HASH
    rm -f "$work"/page/signed.*
    cp "$work/$TOKEN.pem" "$work/page/certificate.pem"
    run_page "$1"
    verified "$work/page/$2" "$3"
}

sign_exe() {
    sign pkcs11cert signed.exe sha256
    run_page 'osslsigncode verify'
    one_byte "$work/page/signed.exe" 513
    refuse verified "$work/page/signed.exe" sha256
}

for TOKEN in "${labels[@]}"; do
    case $TOKEN in
        *-p384) check "$TOKEN exe, sha384, certificate from a file" sign 'sha384' signed.exe sha384 ;;
        *)
            check "$TOKEN exe, certificate from the token" sign_exe
            check "$TOKEN msi" sign 'hello.msi' signed.msi sha256
            ;;
    esac
done
