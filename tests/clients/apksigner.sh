#!/usr/bin/env bash
# apt: apksigner
# apt bookworm: openjdk-17-jdk-headless
# apt trixie sid: openjdk-21-jdk-headless openjdk-25-jdk-headless
# apksigner: signs an Android package. OpenSSL verifies the signatures of schemes 1, 2 and 3.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$clients/certify.bash"
. "$clients/java.bash"

need apksigner apksigner

labels=(aws-rsa2048 aws-p256 azure-rsa2048 azure-p256 $vault_ec $google_ec)
certify "${labels[@]}"
mkdir "$work/page"

# Makes a package. Its manifest, in Android's binary XML, names the minimum version of Android.
python3 - "$work/page/hello.apk" <<'PY'
import struct, sys, zipfile

words = ["minSdkVersion", "android", "http://schemas.android.com/apk/res/android", "manifest", "uses-sdk", "package", "org.example.hello"]
NONE = 0xFFFFFFFF

def chunk(kind, head, body):
    return struct.pack("<HHI", kind, 8 + len(head), 8 + len(head) + len(body)) + head + body

def element(name, *attributes):
    body = struct.pack("<IIHHHHHH", NONE, name, 20, 20, len(attributes), 0, 0, 0)
    for space, key, raw, kind, value in attributes:
        body += struct.pack("<IIIHBBI", space, key, raw, 8, 0, kind, value)
    return chunk(0x102, struct.pack("<II", 1, NONE), body)

def ends(name):
    return chunk(0x103, struct.pack("<II", 1, NONE), struct.pack("<II", NONE, name))

texts, places = b"", []
for word in words:
    places.append(len(texts))
    texts += struct.pack("<H", len(word)) + word.encode("utf-16-le") + b"\0\0"
texts += bytes(-len(texts) % 4)
pool = chunk(1, struct.pack("<IIIII", len(words), 0, 0, 28 + 4 * len(words), 0), struct.pack(f"<{len(words)}I", *places) + texts)
manifest = pool + chunk(0x180, b"", struct.pack("<I", 0x0101020C))
manifest += chunk(0x100, struct.pack("<II", 1, NONE), struct.pack("<II", 1, 2))
manifest += element(3, (NONE, 5, 6, 3, 6)) + element(4, (2, 0, NONE, 0x10, 21)) + ends(4) + ends(3)
manifest += chunk(0x101, struct.pack("<II", 1, NONE), struct.pack("<II", 1, 2))
with zipfile.ZipFile(sys.argv[1], "w", zipfile.ZIP_DEFLATED) as package:
    package.writestr("AndroidManifest.xml", chunk(3, b"", manifest))
    package.writestr("assets/hello.txt", "hello\n" * 100)
PY

# Extracts the signed data and the signatures of schemes 2 and 3: $work/v2.data, v2.sig, v3.data, v3.sig. Prints the hash of each.
take_out() { # FILE
    python3 - "$1" "$work" <<'PY'
import struct, sys

def parts(data):
    while data:
        size = struct.unpack_from("<I", data)[0]
        yield data[4:4 + size]
        data = data[4 + size:]

def first(data):
    size = struct.unpack_from("<I", data)[0]
    return data[4:4 + size], data[4 + size:]

data, work = open(sys.argv[1], "rb").read(), sys.argv[2]
end = data.rindex(b"PK\5\6")
directory = struct.unpack_from("<I", data, end + 16)[0]
assert data[directory - 16:directory] == b"APK Sig Block 42"
size = struct.unpack_from("<Q", data, directory - 24)[0]
block, blocks = data[directory - size:directory - 24], {}
while block:
    size, kind = struct.unpack_from("<QI", block)
    blocks[kind] = block[12:8 + size]
    block = block[8 + size:]
for name, kind in (("v2", 0x7109871A), ("v3", 0xF05368C0)):
    [signer] = parts(first(blocks[kind])[0])
    signed, rest = first(signer)
    signatures = first(rest if name == "v2" else rest[8:])[0]
    [one] = parts(signatures)
    print(name, {0x0103: "sha256", 0x0104: "sha512", 0x0201: "sha256", 0x0202: "sha512"}[struct.unpack_from("<I", one)[0]])
    open(f"{work}/{name}.data", "wb").write(signed)
    open(f"{work}/{name}.sig", "wb").write(first(one[4:])[0])
PY
}

verified() { # FILE
    [ "$1" -ef "$work/page/signed.apk" ] || cp "$1" "$work/page/signed.apk"
    CLOUD_KMS_PKCS11_CONFIG=/nonexistent run_page 'apksigner verify' | tee "$work/said"
}

block_verified() { # BLOCK FILE
    plain openssl cms -verify -inform DER -in "$1" -content "$2" -binary -purpose any -CAfile "$work/ca.pem" -out "$work/content"
}

signs() {
    key "$TOKEN"
    rm -f "$work/page/signed.apk"
    run_page 'ks-key-alias'
    verified "$work/page/signed.apk"
    local name hash block
    for name in 'JAR signing' 'APK Signature Scheme v2' 'APK Signature Scheme v3'; do
        grep -E "^Verified using v[123] scheme \($name\): true" "$work/said"
    done
    plain_openssl x509 -in "$work/$TOKEN.pem" -outform DER | sha256sum | cut -d' ' -f1 >"$work/fingerprint"
    grep -i "certificate SHA-256 digest: $(cat "$work/fingerprint")" "$work/said"

    # Verifies each scheme's signature with the service's key.
    take_out "$work/page/signed.apk" >"$work/hashes"
    while read -r name hash; do
        verify_and_spoil verify "$hash" "$work/$name.data" "$work/$name.sig"
    done <"$work/hashes"
    rm -rf "$work/opened"
    python3 -m zipfile -e "$work/page/signed.apk" "$work/opened"
    block=$(compgen -G "$work/opened/META-INF/*.RSA" || compgen -G "$work/opened/META-INF/*.EC")
    block_verified "$block" "${block%.*}.SF"
    refuse block_verified "$(spoil "$block")" "${block%.*}.SF"

    # Changes a file of the package.
    python3 - "$work/page/signed.apk" "$work/changed.apk" <<'PY'
import sys
data = bytearray(open(sys.argv[1], "rb").read())
data[data.index(b"assets/hello.txt") + 20] ^= 1
open(sys.argv[2], "wb").write(data)
PY
    refuse verified "$work/changed.apk"
}

for jdk in $(jdks); do
    use_jdk "$jdk"
    for TOKEN in "${labels[@]}"; do
        SLOT=$(slot "$TOKEN")
        export SLOT
        run_page 'library =' 2>/dev/null
        check "$TOKEN APK signed, Java $jdk" signs
    done
done
