# shellcheck shell=bash disable=SC2154 # packages.sh sets them
# Sourced by tests/packages.sh: what the rpm contains, what it needs, what rpmlint says, and that it installs and removes its files.
#   test_rpm RPM DEB

test_rpm() {
    local rpm=$1 deb=$2
    check "rpm: it exists" test -e "$rpm"
    check "rpm: its digests are right" rpm --checksig --nosignature "$rpm"
    check "rpm: rpmlint has no complaint" rpmlint_is_silent "$rpm"
    check "rpm: it runs nothing at installation" diff <(rpm -qp --scripts --triggers "$rpm") /dev/null
    check "rpm: it needs the C library and nothing else" rpm_needs_only_libc "$rpm"
    check "rpm: it contains the deb's files" has_the_same_files "$rpm" "$deb"
    check "rpm: it installs, and a removal leaves nothing" installs_and_removes "$rpm"
}

rpmlint_is_silent() {
    rpmlint --config tests/packages/rpmlint.toml "$1" >"$work/rpmlint" || true
    cat "$work/rpmlint"
    grep -E '1 packages and 0 specfiles checked; 0 errors, 0 warnings' "$work/rpmlint"
}

rpm_needs_only_libc() {
    rpm -qp --requires "$1" | sed 's/^\([^(]*\)(.*/\1/' | sort -u >"$work/requires"
    cat "$work/requires"
    refuse grep -vE '^(lib(c|m|dl|rt|pthread)\.so\.[0-9]|libgcc_s\.so\.1|ld-linux-x86-64\.so\.2|rtld|rpmlib)$' "$work/requires"
    # Programs load the module by its path. No package may be resolved by its file name.
    rpm -qp --provides "$1" >"$work/provides"
    cat "$work/provides"
    refuse grep libcloud "$work/provides"
}

has_the_same_files() {
    rm -rf "$work/rpm-tree" "$work/deb-tree"
    mkdir "$work/rpm-tree"
    rpm2cpio "$1" | (cd "$work/rpm-tree" && cpio --quiet -idm)
    dpkg-deb -x "$2" "$work/deb-tree"
    (cd "$work/rpm-tree" && test -L etc/cloud-kms-pkcs11/config.example.json && test -e usr/lib64/pkcs11/libcloud_kms_pkcs11.so &&
        test -e usr/share/licenses/cloud-kms-pkcs11/LICENSE-MIT && test -e usr/share/zsh/site-functions/_cloud-kms-pkcs11)
    # The same files under the distributions' own paths.
    same_names() {
        (cd "$1" && find . ! -type d | sed -E 's,^\./,,; s,usr/lib(64|/[a-z0-9_-]+-linux-gnu)/,usr/lib/,; s,zsh/[a-z-]+/,zsh/,' |
            grep -vE '/(changelog\.gz|copyright|third-party-notices\.txt\.gz|LICENSE-[A-Z]+)$' | sort)
    }
    diff <(same_names "$work/rpm-tree") <(same_names "$work/deb-tree")
    cmp "$work"/rpm-tree/usr/lib64/pkcs11/*.so "$work"/deb-tree/usr/lib/*/pkcs11/*.so
    cmp "$work"/rpm-tree/usr/bin/cloud-kms-pkcs11 "$work"/deb-tree/usr/bin/cloud-kms-pkcs11
}

# Into an empty folder, with a database of its own. Debian's rpm knows no installed C library.
installs_and_removes() {
    local place=$work/rpm-root
    rm -rf "$place"
    mkdir -p "$place"
    rpm --root "$place" --initdb
    rpm --root "$place" --nodeps -i "$1"
    [ -x "$place/usr/bin/cloud-kms-pkcs11" ]
    rpm --root "$place" --verify --nodeps cloud-kms-pkcs11
    rpm --root "$place" -e cloud-kms-pkcs11
    find "$place" \( -ipath '*cloud*kms*' \) >"$work/left"
    cat "$work/left"
    [ ! -s "$work/left" ]
}
