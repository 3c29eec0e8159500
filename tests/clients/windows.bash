# shellcheck shell=bash disable=SC2154 # lib.sh sets $work
# Sourced after lib.sh by the scripts that sign files for Windows.
#
#   hello_exe FILE   makes a minimal program, which only returns
#   hello_msi FILE EXE  makes an MSI package that contains EXE (needs wixl)

hello_exe() {
    python3 - "$1" <<'PY'
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
}

hello_msi() {
    cat >"$work/hello.wxs" <<END
<Wix xmlns="http://schemas.microsoft.com/wix/2006/wi">
  <Product Id="*" UpgradeCode="12345678-1234-1234-1234-123456789012" Name="Hello" Version="1.0" Manufacturer="me" Language="1033">
    <Package InstallerVersion="200" Compressed="yes"/>
    <Media Id="1" Cabinet="hello.cab" EmbedCab="yes"/>
    <Directory Id="TARGETDIR" Name="SourceDir">
      <Component Id="Hello" Guid="12345678-1234-1234-1234-123456789013">
        <File Id="hello" Source="$2"/>
      </Component>
    </Directory>
    <Feature Id="All" Level="1"><ComponentRef Id="Hello"/></Feature>
  </Product>
</Wix>
END
    (cd "$work" && wixl -o "$1" hello.wxs 2>/dev/null)
}
