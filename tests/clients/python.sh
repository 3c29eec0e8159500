#!/usr/bin/env bash
# apt: python3-venv python3-dev swig g++
# Python: signatures with python-pkcs11 and PyKCS11.
user_home=$HOME
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

. "$clients/venv.bash"

# Only the first signature of a token is also verified with other data and a changed byte, because that is slow.
plainly() { "$@"; }

sign_all() { # PATTERN
    rm -rf "$work/page/signatures"
    run_page "$1" >"$work/said"
    cat "$work/said"
    grep -qx "object PRIVATE_KEY $label $id" "$work/said"
    grep -qx "object PUBLIC_KEY $label $id" "$work/said"
    [ "$certificate" = - ] || grep -qx "object CERTIFICATE $label $id" "$work/said"
    grep -qx "signed after a login with ''" "$work/said"
    grep -qx "signed after a login with '1234'" "$work/said"
    local file size count=0 verifying=verify_and_spoil
    for file in "$work"/page/signatures/*.sig; do
        size=$(basename "$file" .sig | sed -nE 's/.*SHA([0-9]+).*/\1/p')
        case $file in
            *PSS.sig) "$verifying" verify_pss "sha${size:-256}" "$work/data" "$file" ;;
            *) "$verifying" verify "sha${size:-256}" "$work/data" "$file" ;;
        esac
        count=$((count + 1)) verifying=plainly
    done
    # One signature for each mechanism, and one after the login.
    [ "$count" -eq "$([ "$kind" = rsa ] && echo 9 || echo 7)" ]
}

venv python
packages python-pkcs11 PyKCS11
cp "$work/data" "$work/page/data"

with_key() {
    check "$label python-pkcs11" sign_all 'with_python_pkcs11.py'
    check "$label PyKCS11" sign_all 'with_pykcs11.py'
}

each_key with_key
