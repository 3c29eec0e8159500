#!/usr/bin/env bash
# apt: opensc libengine-pkcs11-openssl
# apt bookworm: openjdk-17-jdk-headless
# apt trixie sid: openjdk-21-jdk-headless openjdk-25-jdk-headless pkcs11-provider
# The configurations and commands of the guides of Google's module libkmsp11, unchanged. They name no endpoint: the module reaches an
# emulator under Google's own names, through a proxy.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$clients/emulator.bash"
. "$clients/java.bash"

need pkcs11-tool opensc
need "$(openssl version -e | sed 's/^ENGINESDIR: "\(.*\)"$/\1/')/pkcs11.so" libengine-pkcs11-openssl

mkdir "$work/page"
cp "$work/data" "$work/page/bar.txt"
ring=projects/my-project/locations/us/keyRings/my-key-ring
second=projects/my-project/locations/us/keyRings/second-ring
own_emulator "$work/own" --google-key-ring $ring --google-key foo=EC_SIGN_P256_SHA256 --google-key foo-pss=RSA_SIGN_PSS_2048_SHA256 \
    --google-key test-key-ec=EC_SIGN_P256_SHA256 --google-key-ring $second --google-key bar=EC_SIGN_P384_SHA384
for name in foo foo-pss test-key-ec; do own_public "$work/own" google/keys/$ring/cryptoKeys/$name >"$work/own/$name.pem"; done
own_public "$work/own" google/keys/$second/cryptoKeys/bar >"$work/own/bar.pem"
export HTTPS_PROXY SSL_CERT_FILE=$work/own/ca.pem GOOGLE_APPLICATION_CREDENTIALS=$work/own/service-account.json
HTTPS_PROXY=$(python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["http_url"])' "$work/own/ready.json")
# No file and no variable of this module.
unset CLOUD_KMS_PKCS11_CONFIG
export KMS_PKCS11_CONFIG=$work/page/pkcs11-config.yaml

tool() { run pkcs11-tool --module "$MODULE" "$@"; }
hex() { printf %s "$1" | od -An -v -tx1 | tr -d ' \n'; }
of_key() { public=$work/own/$1.pem; } # NAME

lists() {
    run_page '-L' >"$work/listed"
    cat "$work/listed"
    [ "$(grep -c 'token label' "$work/listed")" = 2 ]
    grep -E 'token label *: my key ring$' "$work/listed"
    local name
    plain_ids <"$work/listed" >"$work/objects"
    for name in foo foo-pss test-key-ec; do
        [ "$(grep -c "label: *$name\$" "$work/objects")" = 2 ]
        [ "$(grep -c "ID: *$(hex "$ring/cryptoKeys/$name/cryptoKeyVersions/1")\$" "$work/objects")" = 2 ]
    done
    refuse grep -i 'Certificate Object' "$work/objects"
}

by_pkcs11_tool() {
    rm -f "$work/page/signature.sig"
    run_page 'sign --mechanism ECDSA'
    python3 - "$work/page/signature.sig" "$work/signature.der" <<'PY'
import sys
raw = open(sys.argv[1], "rb").read()
numbers = [int.from_bytes(part, "big") for part in (raw[:32], raw[32:])]
body = b"".join(b"\x02" + bytes([n.bit_length() // 8 + 1]) + n.to_bytes(n.bit_length() // 8 + 1, "big") for n in numbers)
open(sys.argv[2], "wb").write(b"\x30" + bytes([len(body)]) + body)
PY
    printf 'hello world' >"$work/hello"
    # pkcs11-tool does not look at the label, and signs with the first key of the token.
    of_key foo
    verify_and_spoil verify sha256 "$work/hello" "$work/signature.der"
}

second_ring() {
    of_key bar
    tool --slot 1 --sign --mechanism ECDSA-SHA384 --label bar --input-file "$work/data" --output-file "$work/signature" --signature-format openssl
    verify_and_spoil verify sha384 "$work/data" "$work/signature"
}

by_engine() {
    rm -f "$work"/page/bar.sig "$work"/page/my-request.*
    run_page 'my-request.csr'
    of_key foo
    verify_and_spoil verify sha256 "$work/data" "$work/page/bar.sig"
    run plain_openssl req -in "$work/page/my-request.csr" -verify -noout 2>&1 | grep 'verify OK'
    same_key <(plain_openssl req -in "$work/page/my-request.csr" -noout -pubkey)
    run plain_openssl verify -check_ss_sig -CAfile "$work/page/my-request.crt" "$work/page/my-request.crt"
    same_key <(plain_openssl x509 -in "$work/page/my-request.crt" -noout -pubkey)
}

by_engine_pss() {
    rm -f "$work/page/bar.pss"
    run_page 'bar.pss'
    of_key foo-pss
    verify_and_spoil verify_pss sha256 "$work/data" "$work/page/bar.pss"
}

by_uri() { # PATTERN
    rm -f "$work/page/bar.sig"
    run_page "$1"
    of_key foo
    verify_and_spoil verify sha256 "$work/data" "$work/page/bar.sig"
}

by_provider() {
    provider_config
    OPENSSL_CONF=$work/page/openssl.cnf by_uri '-out bar.sig'
}

by_java() { # JDK
    use_jdk "$1"
    (cd "$work/page" && rm -f ./*.jar && jar --create --file hello.jar bar.txt)
    run_page 'generate_certs'
    run_page 'jarsigner' | tee "$work/listed"
    local name
    for name in foo foo-pss test-key-ec; do grep "^$name, PrivateKeyEntry" "$work/listed"; done
    jar_is_signed "$work/page/signed.jar"
    # The certificate is not signed by its key. It has the service's public key, with which the JDK has verified the jar.
    of_key foo
    same_key <(keytool -printcert -rfc -jarfile "$work/page/signed.jar" | plain_openssl x509 -noout -pubkey)
    python3 - "$work/page/signed.jar" "$work/spoilt.jar" <<'PY'
import sys, zipfile
with zipfile.ZipFile(sys.argv[1]) as signed, zipfile.ZipFile(sys.argv[2], "w") as spoilt:
    for name in signed.namelist():
        spoilt.writestr(name, signed.read(name) + (b"." if name == "bar.txt" else b""))
PY
    refuse jar_is_signed "$work/spoilt.jar"
}
jar_is_signed() { jarsigner -verify "$1" >"$work/verified" && cat "$work/verified" && grep -x 'jar verified.' "$work/verified"; }

run_page 'second-ring'
check "google-kmsp11 tokens and objects by their names" lists
check "google-kmsp11 digest signed by pkcs11-tool" by_pkcs11_tool
check "google-kmsp11 key of the second ring" second_ring
check "google-kmsp11 OpenSSL's engine" by_engine
check "google-kmsp11 OpenSSL's engine, RSA-PSS" by_engine_pss
check "google-kmsp11 URI with the token and the version" by_uri 'VERSION='
[ "$(ways)" = engine ] || check "google-kmsp11 OpenSSL's provider" by_provider
for jdk in $(jdks); do check "google-kmsp11 Java $jdk" by_java "$jdk"; done
