#!/usr/bin/env bash
# apt: python3-venv python3-dev swig g++
# Python: python-pkcs11 and PyKCS11.
user_home=$HOME
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

export SOURCE=$clients/python PYTHONDONTWRITEBYTECODE=1
folder=$root/target/clients/python

# Once for each state of requirements.txt.
install() {
    if ! cmp -s "$SOURCE/requirements.txt" "$folder/installed"; then
        echo "python: installing python-pkcs11 and PyKCS11"
        rm -rf "$folder"
        mkdir -p "$folder" "$work/page"
        (HOME=$user_home work=$work/install && mkdir -p "$work" && run_page 'pip install' && mv "$work/page/venv" "$folder/venv") \
            >"$work/install.log" 2>&1 || { cat "$work/install.log" && return 1; }
        cp "$SOURCE/requirements.txt" "$folder/installed"
    fi
    mkdir -p "$work/page"
    ln -s "$folder/venv" "$work/page/venv"
}

sign_all() { # PATTERN
    rm -rf "$work/page/signatures"
    run_page "$1" >"$work/said"
    cat "$work/said"
    grep -qx "object PRIVATE_KEY $label $id" "$work/said"
    grep -qx "object PUBLIC_KEY $label $id" "$work/said"
    [ "$certificate" = - ] || grep -qx "object CERTIFICATE $label $id" "$work/said"
    grep -qx "logged in with '' 1 private key" "$work/said"
    grep -qx "logged in with '1234' 1 private key" "$work/said"
    local file size count=0
    for file in "$work"/page/signatures/*.sig; do
        size=$(basename "$file" .sig | sed -nE 's/.*SHA([0-9]+).*/\1/p')
        case $file in
            *PSS.sig) verify_and_spoil verify_pss "sha${size:-256}" "$work/data" "$file" ;;
            *) verify_and_spoil verify "sha${size:-256}" "$work/data" "$file" ;;
        esac
        count=$((count + 1))
    done
    [ "$count" -eq "$([ "$kind" = rsa ] && echo 8 || echo 6)" ]
}

install
cp "$work/data" "$work/page/data"

with_key() {
    check "$label python-pkcs11" sign_all 'with_python_pkcs11.py'
    check "$label PyKCS11" sign_all 'with_pykcs11.py'
}

each_key with_key
