#!/usr/bin/env bash
# apt: opensc opensc-pkcs11 gnutls-bin libengine-pkcs11-openssl openssh-client
# OpenSC's pkcs11-spy.so between p11tool, OpenSSL's engine, pkcs11-tool or ssh-keygen and the module: no recorded call
# may fail, except those that spy.py names.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

need "$(echo /usr/lib/*/pkcs11/pkcs11-spy.so)" opensc-pkcs11
need p11tool gnutls-bin
need pkcs11-tool opensc
need ssh-keygen openssh-client

recorded() {
    rm -f "$work/page/spy.log"
    run_page 'test-sign'
    run_page 'awk'
    grep -a C_Sign "$work/page/spy.log"
    # The log has the calls of each program on the page: two runs of p11tool, openssl, pkcs11-tool, ssh-keygen.
    awk '/OpenSC PKCS#11 spy/ { n++ } /^[0-9]+: C_FindObjects$/ { seen[n] = 1 } END { for (i in seen) c++; print c " programs"; exit c < 5 }' \
        "$work/page/spy.log"
    verify_and_spoil verify sha256 "$work/data" "$work/page/file.sig"
}

no_failures() { run python3 "$clients/spy.py" "$work/page/spy.log"; }

# spy.py must detect a failed call: this is the real log with one call changed.
finds_failure() {
    sed '0,/^Returned:  0 CKR_OK/s//Returned:  5 CKR_GENERAL_ERROR/' "$work/page/spy.log" >"$work/spoilt.log"
    refuse python3 "$clients/spy.py" "$work/spoilt.log"
}

by_pkcs11_tool() {
    rm -f "$work/signature" "$work/tool.log"
    PKCS11SPY=$MODULE PKCS11SPY_OUTPUT=$work/tool.log run pkcs11-tool --module "$(echo /usr/lib/*/pkcs11/pkcs11-spy.so)" \
        --token-label "$label" --label "$label" --sign --signature-format openssl \
        --mechanism "$([ "$kind" = rsa ] && echo SHA256-RSA-PKCS || echo ECDSA-SHA256)" \
        --input-file "$work/data" --output-file "$work/signature"
    run python3 "$clients/spy.py" "$work/tool.log"
    verify_and_spoil verify sha256 "$work/data" "$work/signature"
}

mkdir "$work/page"
cp "$work/data" "$work/page/file"
for name in aws-rsa2048 aws-p256 aws-p384 azure-rsa2048 azure-p256 azure-cert-rsa azure-cert-ec $vault_keys $google_ec; do
    key "$name"
    check "$label signature" recorded
    check "$label no call fails" no_failures
    check "$label a failing call is found" finds_failure
    check "$label pkcs11-tool" by_pkcs11_tool
done
