# shellcheck shell=bash disable=SC2154 # packages.sh sets them
# Sourced by tests/packages.sh: what the deb contains, what it needs, and what lintian says.
#   test_deb DEB

test_deb() {
    local deb=$1
    check "deb: it exists" test -e "$deb"
    check "deb: lintian has no complaint" lintian_is_silent "$deb"
    check "deb: it runs nothing at installation" diff <(dpkg-deb --ctrl-tarfile "$deb" | tar -t | sort) <(printf '%s\n' ./control ./md5sums)
    check "deb: it needs the C library and nothing else" needs_only_libc "$deb"
    check "deb: the version of the C library is what dpkg-shlibdeps finds" libc_is_right "$deb"
    check "deb: files belong to root, and only programs are executable" has_right_modes "$deb"
    check "deb: no path of the machine that made it" has_no_paths "$deb"
}

lintian_is_silent() {
    local said
    # As root, lintian warns about itself.
    said=$(lintian --allow-root --fail-on none "$1")
    echo "$said"
    [ -z "$said" ]
}

field() { dpkg-deb -f "$1" "$2"; }

needs_only_libc() {
    field "$1" Depends
    field "$1" Depends | grep -xE 'libc6 \(>= 2\.[0-9]+\), libgcc-s1 \(>= [0-9.]+\)'
    # Debian 12 has 2.36.
    dpkg --compare-versions "$(field "$1" Depends | sed 's/.*libc6 (>= \([^)]*\).*/\1/')" le 2.36
    refuse grep -i openssl <(field "$1" Depends && field "$1" Recommends)
}

libc_is_right() {
    local theirs
    rm -rf "$work/shlibs"
    mkdir -p "$work/shlibs/debian"
    dpkg-deb -x "$1" "$work/shlibs/root"
    printf 'Source: x\n\nPackage: x\nArchitecture: any\n' >"$work/shlibs/debian/control"
    theirs=$(cd "$work/shlibs" && dpkg-shlibdeps -O root/usr/bin/cloud-kms-pkcs11 root/usr/lib/*/pkcs11/*.so | sed -n 's/^shlibs:Depends=//p')
    echo "$theirs"
    [ "$(sed 's/.*\(libc6 ([^)]*)\).*/\1/' <<<"$theirs")" = "$(field "$1" Depends | sed 's/.*\(libc6 ([^)]*)\).*/\1/')" ]
}

has_right_modes() {
    dpkg-deb -c "$1" >"$work/contents"
    cat "$work/contents"
    refuse grep -vE '^(drwxr-xr-x|-rw-r--r--|lrwxrwxrwx|-rwxr-xr-x) root/root ' "$work/contents"
    refuse grep -vE '/usr/bin/cloud-kms-pkcs11$|/pkcs11/libcloud_kms_pkcs11\.so$' <(grep ^-rwx "$work/contents")
}

has_no_paths() {
    rm -rf "$work/tree"
    dpkg-deb -x "$1" "$work/tree"
    bash scripts/reproducible.sh paths "$work"/tree/usr/bin/* "$work"/tree/usr/lib/*/pkcs11/*.so
}
