#!/usr/bin/env bash
# installed.sh DEB FOLDER: runs in a fresh Debian. Installs the package, signs with programs that find the module by themselves, and
# removes the package. FOLDER has the configuration and the public keys of its tokens.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
deb=$1 given=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
. "$root/tests/packages/common.bash"
export HOME=/root LC_ALL=C.UTF-8
tokens=(aws-rsa aws-ec azure-ec google-ec)
token() { echo "pkcs11:token=$1;type=private"; }
apt() { DEBIAN_FRONTEND=noninteractive apt-get -o Acquire::Retries=5 -y -qq "$@"; }

# README's two commands. The editor is one that copies the configuration of the test.
readme_commands() {
    local block
    block=$(awk '/^```sh$/ { block = "" } { block = block $0 "\n" } /^```$/ && block ~ /apt install/ { printf "%s", block; exit }' \
        "$root/README.md" | sed '1d;$d')
    [ "$(wc -l <<<"$block")" -eq 2 ]
    sudo() { "$@"; }
    sudoedit() {
        cp "$given/config.json" "$1"
        cp "$given/ca.pem" "$given/service-account.json" "$(dirname "$1")"
        chmod 600 "$(dirname "$1")/service-account.json"
    }
    # The release's folder has the packages of one version.
    mkdir "$work/release"
    cp "$deb" "$work/release/"
    cd "$work/release"
    eval "$block"
}
# Nothing is wrong, and nothing needs a look.
doctor_says_ok() {
    cloud-kms-pkcs11 doctor
    cloud-kms-pkcs11 doctor --json >"$work/doctor.json"
    refuse grep -E '"(problem|warning)"' "$work/doctor.json"
}
doctor_finds_a_missing_key() {
    local config=/etc/cloud-kms-pkcs11/config.json
    sed -i s,alias/aws-rsa,alias/none, $config
    refuse cloud-kms-pkcs11 doctor >"$work/doctor"
    cp "$given/config.json" $config
    cat "$work/doctor"
    grep alias/none "$work/doctor" && grep 'fix:' "$work/doctor"
}

# OpenSSL 3.0, as in Debian 12, has the engine. Later releases have the provider. Both ask p11-kit for the modules.
case $(. /etc/os-release && echo "$VERSION_CODENAME") in
    bookworm)
        openssl_package=libengine-pkcs11-openssl
        sign() { openssl dgst -engine pkcs11 -keyform engine -sha256 -sign "$(token "$1")" -out "$2" "$3"; }
        ;;
    *)
        openssl_package=pkcs11-provider
        sign() { openssl dgst -provider default -provider pkcs11 -sha256 -sign "$(token "$1")" -out "$2" "$3"; }
        ;;
esac

# Everything in this Debian whose name says that it is ours, but not what apt has downloaded.
remains() { find / -xdev \( -path "$root" -o -path /tmp -o -path /proc -o -path /var/lib/apt \) -prune -o -iname '*cloud*kms*' -print; }
files() { find /etc /usr /opt /var/lib /srv -xdev -path /var/lib/dpkg -prune -o -path /var/lib/apt -prune -o ! -type d -print | sort; }

has_all_files() {
    local name
    for name in /usr/bin/cloud-kms-pkcs11 /usr/share/p11-kit/modules/cloud-kms-pkcs11.module /etc/cloud-kms-pkcs11/config.example.json \
        /usr/share/man/man1/cloud-kms-pkcs11.1.gz /usr/share/bash-completion/completions/cloud-kms-pkcs11 \
        /usr/share/zsh/vendor-completions/_cloud-kms-pkcs11 /usr/share/fish/vendor_completions.d/cloud-kms-pkcs11.fish \
        /usr/share/doc/cloud-kms-pkcs11/copyright /usr/share/doc/cloud-kms-pkcs11/third-party-notices.txt.gz \
        /usr/lib/"$(uname -m)"-linux-gnu/pkcs11/libcloud_kms_pkcs11.so; do
        [ -s "$name" ] || { echo "there is no $name, or it is empty" && return 1; }
    done
    [ "$(remains | wc -l)" -gt 8 ]
    zgrep -c '^\.TH cloud-kms-pkcs11 1' --ignore-case /usr/share/man/man1/cloud-kms-pkcs11.1.gz
}
lists() {
    cloud-kms-pkcs11 list >"$work/list"
    local label
    for label in "${tokens[@]}"; do
        grep -qF "pkcs11:token=$label;object=$label;type=private" "$work/list"
    done
}
signs_with_openssl() { # LABEL
    sign "$1" "$work/$1.sig" /etc/os-release
    openssl dgst -sha256 -verify "$given/$1.pem" -signature "$work/$1.sig" /etc/os-release
    refuse openssl dgst -sha256 -verify "$given/$1.pem" -signature "$work/$1.sig" /etc/passwd
}
# OpenSSH opens the file that it is given, so it needs a path: that of p11-kit's proxy, which has the tokens of all modules.
proxy=/usr/lib/$(uname -m)-linux-gnu/p11-kit-proxy.so
lists_for_ssh() {
    local label
    ssh-keygen -D "$proxy" >"$work/ssh"
    for label in "${tokens[@]}"; do
        grep -F "$(ssh-keygen -i -m PKCS8 -f "$given/$label.pem")" "$work/ssh"
    done
}
# The key of the token is a certificate authority. ssh-keygen -L refuses a certificate with a wrong signature.
signs_with_ssh() {
    ssh-keygen -i -m PKCS8 -f "$given/aws-ec.pem" >"$work/authority.pub"
    ssh-keygen -q -t ed25519 -N '' -f "$work/user"
    ssh-keygen -q -D "$proxy" -s "$work/authority.pub" -I somebody "$work/user.pub"
    ssh-keygen -L -f "$work/user-cert.pub" >"$work/certificate"
    grep "Signing CA: ECDSA $(ssh-keygen -lf "$work/authority.pub" | cut -d' ' -f2)" "$work/certificate"
}
# GnuTLS finds a key by its label, not by its token alone.
p11tool_signs() { p11tool --batch --test-sign "pkcs11:token=$1;object=$1;type=private"; }
is_gone() {
    refuse dpkg-query -W cloud-kms-pkcs11
    # The administrator's file is nobody else's to remove.
    diff <(remains) <(printf '%s\n' /etc/cloud-kms-pkcs11)
    diff <(ls /etc/cloud-kms-pkcs11) <(printf '%s\n' ca.pem config.json service-account.json)
    rm -r /etc/cloud-kms-pkcs11
    diff "$work/before" <(files)
}

apt update
check "the release has none of it" diff <(remains) /dev/null
# apt installs what the package needs.
check "README's two commands install and configure" readme_commands
check "all files are there" has_all_files
check "the tool's version is the package's" test "$(cloud-kms-pkcs11 --version | sed 's/.* //; s/-rc\./~rc/')" = \
    "$(dpkg-query -W -f '${Version}' cloud-kms-pkcs11)"
check "doctor says ok" doctor_says_ok
check "doctor finds a key that is missing" doctor_finds_a_missing_key
check "cloud-kms-pkcs11 list" lists
check "apt install of programs" apt install openssl $openssl_package openssh-client gnutls-bin
for label in "${tokens[@]}"; do
    check "$label: openssl signs" signs_with_openssl "$label"
    check "$label: p11tool signs" p11tool_signs "$label"
done
check "ssh-keygen -D lists the keys" lists_for_ssh
check "ssh-keygen -D signs" signs_with_ssh
rm -rf ~/.cache/cloud-kms-pkcs11
# Without the package: what is there must be there after the removal as well.
files | grep -vxFf <(dpkg -L cloud-kms-pkcs11) | grep -v ^/etc/cloud-kms-pkcs11/ >"$work/before"
check "apt remove" apt remove cloud-kms-pkcs11
check "apt remove leaves the administrator's files only" is_gone
check "apt install again" apt install "$deb"
check "apt purge" apt purge cloud-kms-pkcs11
check "apt purge leaves nothing" diff <(remains) /dev/null
echo "$passed passed, 0 failed"
