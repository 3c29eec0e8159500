#!/usr/bin/env bash
# apt: python3-venv poppler-utils
# pyHanko: signs PDF documents. Poppler and OpenSSL verify the signatures.
user_home=$HOME
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$clients/certify.bash"
. "$clients/venv.bash"

need pdfsig poppler-utils
venv pyhanko
packages pyHanko python-pkcs11

labels=(aws-rsa2048 aws-p256 azure-rsa2048 azure-p384 $vault_keys $google_keys)
certify "${labels[@]}"
cp "$work/ca.pem" "$work/page"

# Makes a PDF document with one word on one page.
python3 - "$work/page/document.pdf" <<'PY'
import sys
words = b"BT /F1 24 Tf 72 700 Td (hello) Tj ET"
objects = [b"<</Type/Catalog/Pages 2 0 R>>", b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
           b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>>>>>",
           b"<</Length %d>>stream\n%s\nendstream" % (len(words), words), b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>"]
made, places = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", []
for number, text in enumerate(objects, 1):
    places.append(len(made))
    made += b"%d 0 obj\n%s\nendobj\n" % (number, text)
start = len(made)
made += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1) + b"".join(b"%010d 00000 n \n" % place for place in places)
made += b"trailer\n<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, start)
open(sys.argv[1], "wb").write(made)
PY

# Extracts the data that the file's last signature covers, and its CMS structure, to $work/covered and $work/cms.
take_out() { # FILE
    python3 - "$1" "$work" <<'PY'
import re, sys
data = open(sys.argv[1], "rb").read()
one, length, two, rest = map(int, re.findall(rb"/ByteRange\s*\[\s*(\d+)\s+(\d+)\s+(\d+)\s+(\d+)", data)[-1])
assert one == 0 and two + rest == len(data), "not all of the file is covered"
der = bytes.fromhex(data[length:two].strip(b"<>").decode())
size = 4 + int.from_bytes(der[2:4], "big")
assert der[:2] == b"\x30\x82"
open(sys.argv[2] + "/covered", "wb").write(data[:length] + data[two:])
open(sys.argv[2] + "/cms", "wb").write(der[:size])
PY
}

cms_verified() { # CMS COVERED
    plain openssl cms -verify -binary -inform DER -in "$1" -content "$2" -purpose any -CAfile "$work/ca.pem" \
        -signer "$work/signer.pem" -out /dev/null
}

# The signature is the last field of the structure, so `spoil` changes it.
verified() { # FILE
    take_out "$1"
    cms_verified "$work/cms" "$work/covered"
    same_key <(plain_openssl x509 -in "$work/signer.pem" -noout -pubkey)
    refuse cms_verified "$(spoil "$work/cms")" "$work/covered"
    refuse cms_verified "$work/cms" "$work/other"
}

# Newer versions of pdfsig exit with an error if a signature is not valid; older versions exit with 0.
poppler() { # FILE WORDS COUNT
    [ "$1" -ef "$work/page/signed.pdf" ] || cp "$1" "$work/page/signed.pdf"
    CLOUD_KMS_PKCS11_CONFIG=/nonexistent run_page pdfsig >"$work/said" || [ "$2" != 'Signature is Valid' ]
    cat "$work/said"
    [ "$(grep -c "Signature Validation: $2" "$work/said")" = "$3" ]
}

signs() { # PATTERN
    rm -f "$work/page/signed.pdf"
    run_page "$1"
    verified "$work/page/signed.pdf"
    poppler "$work/page/signed.pdf" 'Signature is Valid' 1
    # Changes the word in the document.
    cp "$work/page/signed.pdf" "$work/kept.pdf"
    sed 's/(hello)/(jello)/' "$work/kept.pdf" >"$work/changed.pdf"
    poppler "$work/changed.pdf" 'Digest Mismatch' 1
}

# pyHanko requests the longest salt that the key allows. Only Vault makes such a signature.
prefer_pss() { sed -i "s/user-pin: ''/&\n    prefer-pss: true/" "$work/page/pyhanko.yml"; }

signs_pss() {
    prefer_pss
    signs 'setup cloud document'
    run plain_openssl cms -cmsout -print -noout -inform DER -in "$work/cms" | grep 'algorithm: rsassaPss'
}

no_pss() {
    prefer_pss
    refuse run_page 'setup cloud document' >"$work/said" 2>&1
    cat "$work/said"
    grep 'sLen is 222' "$work/said"
}

signs_twice() {
    cp "$work/kept.pdf" "$work/page/signed.pdf"
    run_page 'twice.pdf'
    verified "$work/page/twice.pdf"
    cp "$work/page/twice.pdf" "$work/page/signed.pdf"
    poppler "$work/page/signed.pdf" 'Signature is Valid' 2
}

validates() {
    cp "$work/kept.pdf" "$work/page/signed.pdf"
    CLOUD_KMS_PKCS11_CONFIG=/nonexistent run_page 'sign validate' | tee "$work/said"
    grep "The signature is judged VALID" "$work/said"
    grep "CN=$TOKEN\|Common Name: $TOKEN" "$work/said"
    cp "$work/changed.pdf" "$work/page/signed.pdf"
    CLOUD_KMS_PKCS11_CONFIG=/nonexistent refuse run_page 'sign validate'
}

for TOKEN in "${labels[@]}"; do
    key "$TOKEN"
    run_page 'pyhanko.yml'
    cp "$work/$TOKEN.pem" "$work/page/certificate.pem"
    check "$TOKEN PDF signed, certificate from the token" signs 'setup cloud document'
    check "$TOKEN PDF verified by pyHanko" validates
    check "$TOKEN PDF signed, certificate from a file" signs 'setup file'
    check "$TOKEN PDF signed (PAdES)" signs 'use-pades'
    check "$TOKEN PDF signed a second time" signs_twice
    case $kind-$cloud in
        rsa-google) ;;
        rsa-vault) check "$TOKEN PDF signed with PSS" signs_pss ;;
        rsa-*) check "$TOKEN no PDF signed with PSS" no_pss ;;
    esac
done
