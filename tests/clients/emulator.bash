# shellcheck shell=bash disable=SC2154 # lib.sh sets them
# Sourced after lib.sh by scripts that create keys: an emulator of KMS, Key Vault and Cloud KMS that only this script uses.
#
#   own_emulator FOLDER [OPTION...]   starts an emulator with the keys that the options name, or without keys. It ends with the
#                                     script. Its ca.pem and ready.json, and the credentials of Google, are in FOLDER.
#   own_config FOLDER CONFIG          prints the configuration CONFIG with the emulator's addresses and without slots
#   own_credentials                   sets the environment variables with the emulator's credentials
#   own_public FOLDER PATH            prints a public key; PATH is aws/keys/ALIAS, vaults/default/keys/NAME, or google/keys/ and the
#                                     name of the key

own_emulator() {
    local folder=$1
    mkdir -p "$folder"
    "${CARGO_TARGET_DIR:-$root/target}/debug/cloud-kms-emulator" --ca-file "$folder/ca.pem" --ready-file "$folder/ready.json" \
        --google-credentials-file "$folder/service-account.json" "${@:2}" >"$folder/emulator.log" 2>&1 &
    later "kill $!; wait $!"
    wait_for 30 test -e "$folder/ready.json" || { cat "$folder/emulator.log" && return 1; }
}

own_config() {
    python3 - "$1" "$2" <<'EOF'
import json, pathlib, sys
folder, config = map(pathlib.Path, sys.argv[1:])
place = f"127.0.0.1:{json.loads((folder / 'ready.json').read_text())['port']}"
print(json.dumps(json.loads(config.read_text()) | {
    "aws_region": "eu-central-1", "aws_endpoint_url": f"http://{place}", "vault_url": f"https://{place}",
    "azure_authority_host": f"https://{place}", "ca_bundle": str(folder / "ca.pem"), "slots": [],
    "google_endpoint_url": f"http://{place}", "google_credentials_file": str(folder / "service-account.json")}))
EOF
}

own_public() {
    local control
    control=$(python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["control_url"])' "$1/ready.json")
    python3 -c 'import sys, urllib.request as web; print(web.urlopen(sys.argv[1]).read().decode(), end="")' "$control/$2/public.pem"
}

# These credentials are fixed in the emulator, and are not secret.
own_credentials() {
    unset AWS_SHARED_CREDENTIALS_FILE AWS_CONFIG_FILE
    export AWS_ACCESS_KEY_ID=emulator-access-key AWS_SECRET_ACCESS_KEY=emulator-secret-key
}
