# shellcheck shell=bash disable=SC2154 # the script that sources it sets $work and $root
# Sourced by the tests of packages and releases, with $work (a temporary folder) and $root set.
#
#   check NAME COMMAND...   runs a check and counts it; the first failure ends the script
#   refuse COMMAND...       succeeds if the command fails
#   start_emulator FOLDER   starts an emulator with keys of three clouds. Its CA and the public keys (LABEL.pem) are in the folder.
#   stop_emulator           ends it
#   write_config FILE       writes a configuration with a slot for each of these keys
target=${CARGO_TARGET_DIR:-$root/target}
passed=0
export AWS_ACCESS_KEY_ID=emulator-access-key AWS_SECRET_ACCESS_KEY=emulator-secret-key # These are not secret.
export AZURE_TENANT_ID=00000000-0000-0000-0000-000000000001 AZURE_CLIENT_ID=emulator-client AZURE_CLIENT_SECRET=emulator-client-secret

check() {
    local name=$1
    shift
    # A function's commands must not be part of a condition: there, bash ignores `set -e`.
    set +e
    (set -e && "$@") >"$work/check.log" 2>&1
    local status=$?
    set -e
    [ $status -eq 0 ] || { echo "FAILED  $name" && tail -n 100 "$work/check.log" && exit 1; }
    passed=$((passed + 1))
    echo "ok      $name"
}

refuse() {
    if "$@"; then
        echo "this command must fail, but succeeded: ${*@Q}" >&2
        return 1
    fi
}

start_emulator() { # FOLDER
    emulator=$1
    mkdir -p "$emulator"
    # The same command as in scripts/test.sh and demo.sh, so that nothing is built twice.
    cargo build --quiet --locked --workspace --bins --manifest-path "$root/Cargo.toml"
    "$target/debug/cloud-kms-emulator" --ca-file "$emulator/ca.pem" --ready-file "$emulator/ready.json" \
        --google-credentials-file "$emulator/service-account.json" --aws-key alias/aws-rsa=RSA_2048 --aws-key alias/aws-ec=ECC_NIST_P256 \
        --vault-key azure-ec=P-256 --google-key google-ec=EC_SIGN_P256_SHA256 >"$emulator/log" 2>&1 </dev/null &
    emulator_process=$!
    until [ -s "$emulator/ready.json" ]; do
        kill -0 $emulator_process 2>/dev/null || { cat "$emulator/log" && return 1; }
        sleep 0.1
    done
    local path
    for path in aws/keys/alias/aws-rsa aws/keys/alias/aws-ec vaults/default/keys/azure-ec google/keys/google-ec; do
        curl --silent --show-error --fail "$(ready control_url)/$path/public.pem" >"$emulator/${path##*/}.pem"
    done
}
stop_emulator() {
    [ -z "${emulator_process:-}" ] || { kill "$emulator_process" && wait "$emulator_process"; } 2>/dev/null || true
}
# Prints a member of what the emulator has written when it was ready: control_url, google.key_ring.
ready() { python3 -c 'import functools, json, sys; print(functools.reduce(dict.get, sys.argv[2].split("."), json.load(open(sys.argv[1]))))' \
    "$emulator/ready.json" "$1"; }

write_config() { # FILE: the files that it names are beside it
    local place
    place=127.0.0.1:$(ready port)
    [ "$emulator" -ef "$(dirname "$1")" ] || cp "$emulator/ca.pem" "$emulator/service-account.json" "$(dirname "$1")"
    cat >"$1" <<JSON
{
  "aws_region": "eu-central-1",
  "aws_endpoint_url": "http://$place",
  "vault_url": "https://$place",
  "azure_authority_host": "https://$place",
  "verify_challenge_resource": false,
  "google_endpoint_url": "http://$place",
  "google_credentials_file": "service-account.json",
  "ca_bundle": "ca.pem",
  "slots": [
    { "label": "aws-rsa", "kms_key_id": "alias/aws-rsa" },
    { "label": "aws-ec", "kms_key_id": "alias/aws-ec" },
    { "label": "azure-ec", "key_name": "azure-ec" },
    { "label": "google-ec", "google_key": "$(ready google.key_ring)/cryptoKeys/google-ec/cryptoKeyVersions/1" }
  ]
}
JSON
}
