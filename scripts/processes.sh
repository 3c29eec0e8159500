#!/usr/bin/env bash
# Counts the requests and connections of many programs that sign once each, and measures their time: with the module, with
# its cache of public keys, eight at once, and through p11-kit server. Needs p11-kit, p11-kit-modules, osslsigncode and
# libengine-pkcs11-openssl. Each line is one way.
#   scripts/bench.sh with aws|azure|vault|google scripts/processes.sh [RUNS [TOOL...]]
set -euo pipefail
runs=${1:-500}
tools=("${@:2}")
[ ${#tools[@]} -gt 0 ] || tools=(osslsigncode openssl)
module=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)/target/release/libcloud_kms_pkcs11.so
port=$(grep -o '127.0.0.1:[0-9]*' "$CLOUD_KMS_PKCS11_CONFIG" | head -n 1)
work=$(mktemp -d)
server=
cleanup() {
    [ -z "$server" ] || { kill "$server" && wait "$server"; } || true
    rm -rf "$work" || true
}
trap cleanup EXIT

control() { curl --silent --fail --noproxy '*' "http://$port/_bench/$1"; }

sign_openssl() { # MODULE NUMBER
    PKCS11_MODULE_PATH=$1 openssl dgst -sha256 -engine pkcs11 -keyform engine -sign 'pkcs11:token=bench;type=private' \
        -out "$work/openssl.$2" "$work/program.exe"
}

sign_osslsigncode() { # MODULE NUMBER
    osslsigncode sign -pkcs11module "$1" -certs "$work/certificate.pem" -key 'pkcs11:token=bench;type=private' -h sha256 \
        -in "$work/program.exe" -out "$work/osslsigncode.$2"
}

sign_once() { # TOOL MODULE NUMBER
    rm -f "$work/$1.$3"
    "sign_$1" "$2" "$3" >"$work/log.$3" 2>&1 || { cat "$work/log.$3" && return 1; }
    [ -s "$work/$1.$3" ]
}

measure() { # WAY MODULE TOOL AT-ONCE DELAY-MS
    sign_once "$3" "$2" 0
    control "delay_us/$(($5 * 1000))" >/dev/null
    control counts/ >/dev/null
    local start end
    start=$(date +%s%N)
    seq "$runs" | xargs -P "$4" -I{} bash -euc 'sign_once "$@"' _ "$3" "$2" {}
    end=$(date +%s%N)
    printf '%s, %s, %s ms: %s runs, %s ms each; %s\n' "$1" "$3" "$5" "$runs" \
        "$(awk "BEGIN { printf \"%.1f\", ($end - $start) / 1e6 / $runs }")" "$(control counts/)"
    control delay_us/0 >/dev/null
}
export work
export -f sign_once sign_openssl sign_osslsigncode

python3 - "$work/program.exe" <<'PY'
import struct, sys

dos = b"MZ" + bytes(58) + struct.pack("<I", 64)
coff = struct.pack("<HHIIIHH", 0x8664, 1, 0, 0, 0, 0xF0, 0x22)
optional = struct.pack("<HBBIIIII", 0x20B, 1, 0, 512, 0, 0, 0x1000, 0x1000)
optional += struct.pack("<QIIHHHHHHIIIIHHQQQQII", 0x140000000, 0x1000, 0x200, 6, 0, 0, 0, 6, 0, 0, 0x2000, 0x200, 0, 10, 0,
                        0x100000, 0x1000, 0x100000, 0x1000, 0, 16) + bytes(128)
section = b".text\0\0\0" + struct.pack("<IIIIIIHHI", 1, 0x1000, 512, 512, 0, 0, 0, 0, 0x60000020)
head = (dos + b"PE\0\0" + coff + optional + section).ljust(512, b"\0")
open(sys.argv[1], "wb").write(head + b"\xc3".ljust(512, b"\xcc"))
PY
PKCS11_MODULE_PATH=$module openssl req -new -x509 -engine pkcs11 -keyform engine -key 'pkcs11:token=bench;type=private' \
    -sha256 -subj /CN=bench -days 2 -addext extendedKeyUsage=codeSigning -out "$work/certificate.pem" 2>/dev/null

client=$(echo /usr/lib/*/pkcs11/p11-kit-client.so)
p11-kit server --foreground --provider "$module" --name "$work/socket" pkcs11:token=bench >/dev/null &
server=$!
for _ in $(seq 100); do [ ! -S "$work/socket" ] || break; sleep 0.1; done
export P11_KIT_SERVER_ADDRESS=unix:path=$work/socket

for delay in 0 20; do
    for tool in "${tools[@]}"; do
        measure plain "$module" "$tool" 1 "$delay"
        measure "p11-kit server" "$client" "$tool" 1 "$delay"
        measure "eight at once" "$module" "$tool" 8 "$delay"
    done
done

# A name that cannot come to mean another key permits the cache. The server has read the configuration without it.
sed "s|\"kms_key_id\":\"ec\"|\"kms_key_id\":\"1234abcd-12ab-34cd-56ef-1234567890ab\"|
    s|\"key_name\":\"ec\"|\"key_name\":\"ec\",\"key_version\":\"0123456789abcdef0123456789abcdef\"|
    s|\"cache\":false|\"cache\":true,\"cache_folder\":\"$work/cache\"|" "$CLOUD_KMS_PKCS11_CONFIG" >"$work/config.json"
export CLOUD_KMS_PKCS11_CONFIG=$work/config.json
for delay in 0 20; do
    for tool in "${tools[@]}"; do
        measure cache "$module" "$tool" 1 "$delay"
        measure "cache, eight at once" "$module" "$tool" 8 "$delay"
    done
done
