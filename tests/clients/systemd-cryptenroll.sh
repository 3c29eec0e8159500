#!/usr/bin/env bash
# apt: cryptsetup-bin libp11-kit0
# apt bookworm: systemd
# apt trixie sid: systemd-cryptsetup
# systemd-cryptenroll: a key in the cloud unlocks a LUKS2 volume.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$clients/certify.bash"
. "$clients/user.bash"

PATH=$PATH:/usr/sbin:/sbin
need cryptsetup cryptsetup-bin
need systemd-cryptenroll systemd-cryptsetup
plugin=$(compgen -G '/usr/lib/*/cryptsetup/libcryptsetup-token-systemd-pkcs11.so') || true
need "${plugin:-libcryptsetup-token-systemd-pkcs11.so}" systemd-cryptsetup

# systemd 252 supports RSA with PKCS#1 v1.5, which KMS does not decrypt; 257 also ECDH; 262 also OAEP.
labels=(azure-decrypt)
[ "$release" = bookworm ] || labels+=(aws-agree aws-agree384)
[ "$release" != sid ] || labels+=(aws-decrypt)
all_uses
# systemd 252 needs a certificate. Newer versions use the public key if there is none.
key_usage=keyEncipherment certify azure-decrypt

become_user "${labels[@]}"
# cryptsetup locks all memory of the process, including the module's.
locked=(--inh-caps=+ipc_lock --ambient-caps=+ipc_lock)
[ ${#as_user[@]} -eq 0 ] || ! "${as_user[@]}" "${locked[@]}" true 2>/dev/null || as_user+=("${locked[@]}")
run_page 'cloud-kms-pkcs11.module' p11-kit 2>/dev/null

from_tool=azure-decrypt
export DISK=disk.img PASSWORD="the passphrase"

format() {
    rm -f "$work/page/$DISK"
    truncate -s 20M "$work/page/$DISK"
    printf '%s' "$PASSWORD" | cryptsetup luksFormat --type luks2 --pbkdf pbkdf2 --pbkdf-force-iterations 1000 --batch-mode \
        --key-file - "$work/page/$DISK"
    [ ${#as_user[@]} -eq 0 ] || chown 65534:65534 "$work/page/$DISK"
}

enroll() {
    format
    run_block 'systemd-cryptenroll --pkcs11' systemd --set "DISK=$DISK"
    cryptsetup token export --token-id 0 "$work/page/$DISK" >"$work/token.json"
    grep '"type":"systemd-pkcs11"' "$work/token.json"
}

without_module() { HOME=$work/page run_page 'token-only'; }

# Changes a byte of the ciphertext, or of the point for ECDH.
spoil_token() {
    python3 - "$work/token.json" "$work/spoilt.json" <<'PY'
import base64, json, sys
token = json.load(open(sys.argv[1]))
wrapped = bytearray(base64.b64decode(token["pkcs11-key"]))
wrapped[-1] ^= 1
token["pkcs11-key"] = base64.b64encode(wrapped).decode()
json.dump(token, open(sys.argv[2], "w"))
PY
    cryptsetup token remove --token-id 0 "$work/page/$DISK"
    cryptsetup token import --token-id 0 --json-file "$work/spoilt.json" "$work/page/$DISK"
}

unlocked() {
    run_page 'token-only'
    refuse without_module
    spoil_token
    refuse run_page 'token-only'
}

for TOKEN in "${labels[@]}"; do
    check "$TOKEN LUKS2 volume, enrolled" enroll
    check "$TOKEN LUKS2 volume, unlocked" unlocked
done
