#!/usr/bin/env bash
# apt: ivy osslsigncode wixl
# apt bookworm: openjdk-17-jdk-headless
# apt trixie sid: openjdk-21-jdk-headless openjdk-25-jdk-headless
# jsign (Java): Authenticode signatures of a program, an installer and a script.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$clients/certify.bash"
. "$clients/java.bash"
. "$clients/windows.bash"

need osslsigncode osslsigncode
# osslsigncode verifies scripts since version 2.9.
scripts_too() { dpkg --compare-versions "$(dpkg-query -W -f '${Version}' osslsigncode)" ge 2.9~; }
need wixl wixl
need /usr/share/java/ivy.jar ivy
version=$(page 'ivy.jar' | grep -oP 'jsign jsign \K[0-9.]+')
sum=2abf2ade9ea322acc2d60c24794eadc465ff9380938fca4c932d09e0b25f1c28
folder=$state/jsign-$version
mkdir "$work/page"

# The CAs that this machine trusts. Java has its own list, and in a chroot it lacks the CAs that the machine has added.
trusted() {
    plain_openssl pkcs12 -export -nokeys -in /etc/ssl/certs/ca-certificates.crt -jdktrust anyExtendedKeyUsage -passout pass:changeit \
        -out "$work/trusted.p12"
    echo "-Djavax.net.ssl.trustStore=$work/trusted.p12 -Djavax.net.ssl.trustStorePassword=changeit"
}

fetch() {
    local options=
    [ "$release" = bookworm ] || options=$(trusted)
    rm -rf "$folder"
    mkdir -p "$folder"
    (cd "$folder" && page 'ivy.jar' >"$work/fetch" && JAVA_TOOL_OPTIONS="-Duser.home=$work $options" timeout 300 bash -euxo pipefail "$work/fetch")
    echo "$sum  $folder/jsign.jar" | sha256sum --check
}

mapfile -t all < <(jdks)
newest=${all[-1]}
use_jdk "$newest"
if [ ! -e "$folder/jsign.jar" ]; then
    echo "jsign: downloading jsign.jar"
    fetch >"$work/fetch.log" 2>&1 || { rm -rf "$folder" && cat "$work/fetch.log" && exit 1; }
fi
client jsign "$version"
ln -s "$folder/jsign.jar" "$work/page/jsign.jar"

labels=(aws-rsa2048 aws-p256 azure-rsa2048 azure-p384 $vault_ec $google_ec)
certify "${labels[@]}"
cp "$work/ca.pem" "$work/page"
hello_exe "$work/page/hello.exe"
hello_msi "$work/page/hello.msi" page/hello.exe
printf 'Write-Host "hello"\r\n' >"$work/page/hello.ps1"

verified() { # FILE HASH
    plain osslsigncode verify -CAfile "$work/ca.pem" -in "$1" >"$work/verified" 2>&1 || { cat "$work/verified" && return 1; }
    grep -i "message digest.* $2" "$work/verified"
    grep -E "Subject: ?/?CN ?= ?$TOKEN" "$work/verified"
}

other_byte() { # FILE OFFSET
    python3 -c 'import sys; f = open(sys.argv[1], "r+b"); f.seek(int(sys.argv[2])); b = f.read(1); f.seek(-1, 1); f.write(bytes([b[0] ^ 1]))' "$1" "$2"
}

sign() { # PATTERN FILE HASH
    rm -f "$work"/page/signed.*
    run_page "$1"
    verified "$work/page/$2" "$3"
}

sign_exe() {
    sign 'signed.exe.*java' signed.exe "$1"
    run_page 'osslsigncode verify'
    other_byte "$work/page/signed.exe" 513
    refuse verified "$work/page/signed.exe" "$1"
}

sign_ps1() {
    sign 'signed.ps1' signed.ps1 sha256
    sed -i 's/hello/jello/' "$work/page/signed.ps1"
    refuse verified "$work/page/signed.ps1" sha256
}

for jdk in "${all[@]}"; do
    use_jdk "$jdk"
    for TOKEN in "${labels[@]}"; do
        key "$TOKEN"
        SLOT=$(slot "$TOKEN")
        export SLOT
        run_page 'library ='
        check "$TOKEN exe signed, Java $jdk" sign_exe sha256
        # Every JDK signs the program. Only the newest signs the other files, because jsign is the same program under each.
        [ "$jdk" = "$newest" ] || continue
        check "$TOKEN msi signed, Java $jdk" sign 'signed.msi' signed.msi sha384
        ! scripts_too || check "$TOKEN ps1 signed, Java $jdk" sign_ps1
    done
done
