#!/usr/bin/env bash
# apt: knot knot-dnssecutils ldnsutils bind9-utils
# apt sid: knot-keymgr
# Knot DNS, with GnuTLS: keymgr, kzonesign, and knotd with automatic signing.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$clients/dnssec.bash"
. "$clients/server.bash"

PATH=$PATH:/usr/sbin
need keymgr knot
need knotd knot
need kzonesign knot-dnssecutils
need ldns-verify-zone ldnsutils
need dnssec-verify bind9-utils

# Makes a token with both keys of a zone.
token() { # LABEL...
    python3 - "$config" "$work/zones.json" "$@" <<'END'
import json, sys
path, out, *labels = sys.argv[1:]
config = json.load(open(path))
slots = [slot for slot in config["slots"] if slot["label"] in labels]
own = ("label", "kms_key_id", "key_name", "transit_key", "google_key")
common = {name: value for name, value in slots[0].items() if name not in (*own, "certificate_path")}
keys = [{name: slot[name] for name in own if name in slot} for slot in slots]
config["slots"] = [common | {"label": "zones", "keys": keys}]
json.dump(config, open(out, "w"), indent=2)
END
    export CLOUD_KMS_PKCS11_CONFIG=$work/zones.json TOKEN=zones
}

name_of() ( # LABEL: prints the key's name in the service
    key "$1"
    python3 -c 'import sys; print(bytes.fromhex(sys.argv[1]).decode(), end="")' "$id"
)

imports() {
    run_page 'knot.conf <<END'
    if [ -n "$zsk" ]; then run_page 'zsk=no'; else run_page 'one key'; fi
    run_page 'conf example.com ds' | tee "$work/ds"
    [ -s "$work/ds" ]
}

refuses_unknown_key() { KSK=no-such-key ZSK=no-such-key refuse run_page 'one key'; }

sign_zone() {
    run_page 'kzonesign'
    run_page 'kzonecheck'
    verify_zone "$work/page/signed/example.com.zone" "$ksk" ${zsk:+"$zsk"}
    run dnssec-verify ${single:+-z} -o example.com "$work/page/signed/example.com.zone"
    same_ds
}

# The DS record must be that of the service's key. Another program computes the expected record.
same_ds() {
    printf 'example.com. 3600 IN DNSKEY %s\n' "$ksk" >"$work/dnskey"
    dnssec-dsfromkey -2 -f "$work/dnskey" example.com | tee "$work/other-ds"
    local wanted
    wanted=$(awk '{ print tolower($NF) }' "$work/other-ds")
    grep -i " 2 $wanted" "$work/ds"
}

signed_by_knotd() { run_page 'drill' && is_signed "$work/page/transferred.zone"; }

transferred() {
    run_page 'drill'
    verify_zone "$work/page/transferred.zone" "$ksk" ${zsk:+"$zsk"}
}

zone_keys() { # ALGORITHM NUMBER KSK [ZSK]
    export ALGORITHM=$1 KSK ZSK PORT
    PORT=$(free_port)
    token "${@:3}"
    zsk='' single=''
    if [ $# -eq 4 ]; then
        zsk=$(dnskey "$4" 256 "$2")
        ZSK=$(name_of "$4")
    else
        single=1
    fi
    ksk=$(dnskey "$3" 257 "$2")
    KSK=$(name_of "$3")
    new_zone
    check "$3 keys imported" imports
    check "$3 refuses an unknown key" refuses_unknown_key
    check "$3 zone signed by kzonesign" sign_zone
}

by_knotd() { # LABEL
    start_page 'knotd'
    check "$1 knotd signs by itself" serves signed_by_knotd
    check "$1 zone transferred" transferred
    stop_server
}

zone_keys RSASHA256 8 aws-rsa3072 aws-rsa2048
by_knotd aws-rsa3072
zone_keys RSASHA256 8 azure-rsa3072 azure-rsa2048
zone_keys ECDSAP256SHA256 13 aws-p256
zone_keys ECDSAP256SHA256 13 azure-p256 azure-cert-ec
by_knotd azure-p256
[ -z "$vault_ec" ] || zone_keys ECDSAP256SHA256 13 "$vault_ec"
zone_keys ECDSAP256SHA256 13 "$google_ec"
zone_keys ECDSAP384SHA384 14 aws-p384
zone_keys ECDSAP384SHA384 14 azure-p384
all_uses
zone_keys ED25519 15 aws-ed25519
[ -z "$vault_ec" ] || zone_keys ED25519 15 vault-ed25519
zone_keys ED25519 15 google-ed25519
