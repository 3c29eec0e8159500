# shellcheck shell=bash disable=SC2154 # lib.sh sets them
# Sourced after lib.sh and certify.bash by scripts that sign EFI programs.
#
#   $boot   an EFI program (package systemd-boot-efi)
#   verified FILE CERTIFICATE   verifies with sbverify
#   signed FILE OTHER-LABEL     verifies with sbverify and osslsigncode that the key of $TOKEN has signed FILE. The same check must reject
#                               the certificate of OTHER-LABEL, the unsigned program, and a changed program.

need sbverify sbsigntool
need osslsigncode osslsigncode
boot=$(compgen -G '/usr/lib/systemd/boot/efi/systemd-boot*.efi' | head -n 1) || true
need "${boot:-systemd-boot}" systemd-boot-efi

# sbverify prints warnings about the layout of the file to standard error.
verified() { # FILE CERTIFICATE
    plain sbverify --cert "$2" "$1" 2>/dev/null
}

signed() { # FILE OTHER-LABEL
    verified "$1" "$work/$TOKEN.pem"
    plain osslsigncode verify -CAfile "$work/ca.pem" -in "$1"
    refuse verified "$1" "$work/$2.pem"
    refuse verified "$boot" "$work/$TOKEN.pem"
    cp "$1" "$work/spoilt.efi"
    # Changes a byte of the program's code.
    python3 -c 'import sys; f = open(sys.argv[1], "r+b"); f.seek(4096); byte = f.read(1)[0]; f.seek(4096); f.write(bytes([byte ^ 1]))' \
        "$work/spoilt.efi"
    refuse verified "$work/spoilt.efi" "$work/$TOKEN.pem"
}
