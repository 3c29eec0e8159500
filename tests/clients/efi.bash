# shellcheck shell=bash disable=SC2154 # lib.sh sets them
# For scripts that sign EFI programs, after lib.sh and certify.bash.
#
#   $boot   an EFI program of Debian's (package systemd-boot-efi)
#   verified FILE CERTIFICATE   by sbverify
#   signed FILE OTHER-LABEL     by $TOKEN's certificate, as sbverify and osslsigncode find; refused by the other's, unsigned, and spoilt

need sbverify sbsigntool
need osslsigncode osslsigncode
boot=$(compgen -G '/usr/lib/systemd/boot/efi/systemd-boot*.efi' | head -n 1) || true
need "${boot:-systemd-boot}" systemd-boot-efi

# sbverify says how well it liked the file's layout, on standard error.
verified() { # FILE CERTIFICATE
    plain sbverify --cert "$2" "$1" 2>/dev/null
}

signed() { # FILE OTHER-LABEL
    verified "$1" "$work/$TOKEN.pem"
    plain osslsigncode verify -CAfile "$work/ca.pem" -in "$1"
    refuse verified "$1" "$work/$2.pem"
    refuse verified "$boot" "$work/$TOKEN.pem"
    cp "$1" "$work/spoilt.efi"
    # Another byte in the program's code.
    python3 -c 'import sys; f = open(sys.argv[1], "r+b"); f.seek(4096); byte = f.read(1)[0]; f.seek(4096); f.write(bytes([byte ^ 1]))' \
        "$work/spoilt.efi"
    refuse verified "$work/spoilt.efi" "$work/$TOKEN.pem"
}
