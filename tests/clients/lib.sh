# shellcheck shell=bash
# Sourced first by every client script. Starts the servers, writes a configuration, and sets the environment of a client.
#
# Variables that the caller may set:
#   MODULE        the module under test (default: the release build)
#   TOOL          the command-line tool (default: the release build, or the debug build if there is none)
#   PIN           the PIN, to try the scripts with another module; this module needs none
#   SERVERS_JSON  the file that describes the servers (default: the file that tests/servers/start.sh writes)
#   AWS_SERVER, AZURE_SERVER, VAULT_SERVER, GOOGLE_SERVER  the servers with the keys (default: ministack, the project's emulator, a real
#                 Vault and the emulator, tests/servers/README.md). There are no keys of Vault if VAULT_SERVER is empty, or if Vault can't
#                 be built on this machine.
#   CI=true       a missing tool is a failure instead of a skip
#   KEEP=1        keeps the temporary folder
#
# The script can then use $work (a temporary folder), $config (the module's configuration), and these functions:
#   need TOOL PACKAGE   ends the script as skipped if the tool is missing
#   client NAME VERSION  prints the version of a client that is under test; the Debian packages of the script's head are printed
#                       automatically
#   check NAME COMMAND  runs a check and counts it; COMMAND may be a function, and fails if any of its commands fails
#   refuse COMMAND      succeeds if the command fails
#   run COMMAND         prints the command, then runs it
#   key LABEL           sets the variables of read_key for that key
#   encrypt PADDING     encrypts $work/text with $public into $work/page/secret.enc; PADDING is pkcs1, or sha1 or sha256 (OAEP)
#   each_key FUNCTION [USAGE]  calls FUNCTION for each key, with the variables of read_key set. USAGE is sign (the default), decrypt,
#                       agree, mac, or bound: Google's RSA keys, which sign with one scheme
#   can SCHEME [HASH]   succeeds if the RSA key does that: pkcs1 or pss (HASH: sha256), or decrypt with pkcs1 or the hash of OAEP
#   later COMMAND       runs COMMAND when the script ends
#   page PATTERN        prints the block of docs/clients/SCRIPT.md that matches PATTERN (an awk regular expression)
#   run_page PATTERN [PAGE]  runs that block as a user would, in $work/page, with MODULE and TOKEN set. The commands exist only on
#                       the page, so the page always shows what was tested. If the array as_user is set, it is a command that
#                       runs the block as another user.
#   $vault_rsa, $vault_ec, $vault_keys  the label of an RSA key of Vault, of a P-256 key, and both; empty if there are none. Not in
#                       quotes, so that nothing is no word.
#   $google_rsa, $google_ec, $google_keys  the same for Google. The RSA key signs with PKCS#1 v1.5 only. The later releases have only
#                       the P-256 key in $google_keys, to save time.
#   snippet PATTERN PROGRAM [OPTION...]  prints the block of `cloud-kms-pkcs11 snippet PROGRAM` for the token $TOKEN that matches
#                       PATTERN. The tool makes it from the same block of the page, with values in the place of the variables.
#   run_snippet PATTERN PROGRAM [OPTION...]  runs that block as run_page does, without MODULE, TOKEN and the like
#   run_block PATTERN PROGRAM [OPTION...]  run_snippet for the tokens in $from_tool (default: aws-p256), run_page for the others
#   ways                prints how OpenSSL reaches the module in this release: "provider engine", or "engine" in Debian 12
#   provider_config     makes $work/page/openssl.cnf, with the commands of the page openssl-provider
#   all_uses            from now on $keys has the keys for operations other than RSA and ECDSA signatures (config.py --uses)
#   files_only FOLDER   from now on HOME is FOLDER, made by home.py, and no environment variable configures the clouds

set -euo pipefail

clients=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$clients/../.." && pwd)
script=$(basename "$0" .sh)
# Builds, downloads and logs of the scripts. Each release has its own folder.
state=$root/target/clients${RELEASE:+/$RELEASE}
. "$clients/scripts.bash"
release=$(this_release)

export MODULE=${MODULE:-$root/target/release/libcloud_kms_pkcs11.so}
TOOL=${TOOL:-$root/target/release/cloud-kms-pkcs11}
[ -x "$TOOL" ] || TOOL=$root/target/debug/cloud-kms-pkcs11
from_tool=${from_tool-aws-p256}
PIN=${PIN:-}
SERVERS_JSON=${SERVERS_JSON:-$root/target/servers/servers.json}
AWS_SERVER=${AWS_SERVER:-ministack}
AZURE_SERVER=${AZURE_SERVER:-emulator}
VAULT_SERVER=${VAULT_SERVER-vault}
GOOGLE_SERVER=${GOOGLE_SERVER:-emulator-google}

passed=0 failed=0 endings=() as_user=()

# The temporary folder holds keys and secrets, and ssh ignores key files that others may read.
umask 077
work=$(mktemp -d "${TMPDIR:-/tmp}/clients-$script.XXXXXX")

finish() {
    local status=$? i
    for ((i = ${#endings[@]} - 1; i >= 0; i--)); do
        eval "${endings[i]}" || true
    done
    [ -n "${KEEP:-}" ] || rm -rf "$work"
    # A script that stops before its end has failed, even if all its checks so far have passed.
    if [ "$status" -ne 0 ]; then
        echo "FAILED  $script: stopped early with status $status"
        failed=$((failed + 1))
    fi
    echo "$passed passed, $failed failed"
    [ "$failed" -eq 0 ] || exit 1
}
trap finish EXIT
trap 'exit 130' INT TERM

later() { endings+=("$1"); }

skip() {
    if [ "${CI:-}" = true ]; then
        echo "FAILED  $1"
        failed=$((failed + 1))
    else
        echo "skipped $1"
    fi
    exit 0
}

client() { echo "client  $1 $2"; }

# Prints the versions of the script's packages, without those that only build programs or help the test.
installed_clients() {
    local name version
    # A name may be a pattern: linux-kbuild-*.
    while read -r name; do
        version=$(dpkg-query -W -f '${Version}\n' "$name" 2>/dev/null | sort -V | tail -n 1) || continue
        [ -z "$version" ] || client "${name%-\*}" "$version"
    done < <(echo openssl && packages_of "$script" | grep -vxE 'gcc|g\+\+|cmake|make|pkg-config|time|procps|python3-venv|libtss2-.*|.*-dev')
}

need() { command -v "$1" >/dev/null || [ -e "$1" ] || skip "$script: needs $1 (package $2)"; }

run() {
    printf '+ %s\n' "${*@Q}" >&2
    "$@"
}

refuse() {
    if "$@"; then
        echo "this command must fail, but succeeded: ${*@Q}" >&2
        return 1
    fi
}

check() {
    local name=$1 status
    shift
    # The command is not part of a condition: there, bash ignores `set -e` in the whole command.
    set +e
    (
        set -e
        "$@"
    ) >"$work/check.log" 2>&1
    status=$?
    set -e
    if [ "$status" -eq 0 ]; then
        passed=$((passed + 1))
        echo "ok      $name"
    else
        failed=$((failed + 1))
        echo "FAILED  $name"
        sed 's/^/        /' "$work/check.log" | tail -n 40
    fi
}

# wait_for SECONDS COMMAND...: repeats COMMAND until it succeeds. Fails after SECONDS.
wait_for() {
    local until=$((SECONDS + $1))
    shift
    while ! "$@" >/dev/null 2>&1; do
        [ "$SECONDS" -lt "$until" ] || return 1
        sleep 0.05
    done
}

# Succeeds if a process accepts connections on the Unix socket. The file alone does not show that: p11-kit server creates it and
# prints its name before it listens.
listens() { python3 -c 'import socket, sys; socket.socket(socket.AF_UNIX).connect(sys.argv[1])' "$1"; }

page() {
    awk -v pattern="$1" '
        /^```sh( snippet.*)?$/ { inside = 1; block = ""; next }
        /^```$/ { if (inside && block ~ pattern) { printf "%s", block; found = 1; exit } inside = 0 }
        inside { block = block $0 "\n" }
        END { exit !found }' "${2:-$root/docs/clients/$script.md}"
}

run_page() { # PATTERN [PAGE]
    local block page=${2:-$script}
    block=$(page "$1" "$root/docs/clients/$page.md") || { echo "no block matches $1 in docs/clients/$page.md" && return 1; }
    mkdir -p "$work/page"
    (cd "$work/page" && MODULE=$MODULE TOKEN=${TOKEN:-${label:-}} KEY=${KEY:-${TOKEN:-${label:-}}} "${as_user[@]}" bash -euxo pipefail -c "$block")
}

snippet() { # PATTERN PROGRAM [OPTION...]
    [ -x "$TOOL" ] || { echo "there is no tool at $TOOL: build it with scripts/build.sh" >&2 && return 1; }
    run "$TOOL" snippet "${@:2}" --slot "${TOKEN:-${label:-}}" --module "$MODULE" --json >"$work/snippet.json" || return 1
    python3 -c 'import json, re, sys
snippets = json.load(open(sys.argv[2]))["snippets"]
commands = [block["commands"] for snippet in snippets for block in snippet["blocks"]]
found = [text for text in commands if re.search(sys.argv[1], text, re.DOTALL)]
print(found[0] if found else sys.exit(f"no block of the snippet matches {sys.argv[1]}"), end="")' "$1" "$work/snippet.json"
}

run_snippet() { # PATTERN PROGRAM [OPTION...]
    local block variables=(-u MODULE -u TOKEN -u KEY -u SLOT -u HASH -u ALGORITHM -u BITS)
    block=$(snippet "$@") || return 1
    mkdir -p "$work/page"
    (cd "$work/page" && env "${variables[@]}" "${as_user[@]}" bash -euxo pipefail -c "$block")
}

run_block() { # PATTERN PROGRAM [OPTION...]
    if [[ " $from_tool " = *" ${TOKEN:-${label:-}} "* ]]; then run_snippet "$@"; else run_page "$1"; fi
}

ways() { if [ "$release" = bookworm ]; then echo engine; else echo provider engine; fi; }

provider_config() { run_page 'pkcs11-module-path' openssl-provider; }

make_config() { # FOLDER [--hide KIND | --uses]
    mkdir -p "$1"
    python3 "$clients/config.py" "$SERVERS_JSON" "$AWS_SERVER" "$AZURE_SERVER" "$VAULT_SERVER" "$GOOGLE_SERVER" "$@"
}

use_config() {
    config=$1/config.json
    keys=$1/keys
    local name
    # The caller's own cloud settings must not affect the test.
    for name in $(compgen -e | grep -E '^(AWS|AZURE|BAO|CLOUDSDK|GCE|GOOGLE|IDENTITY|IMDS|KMS_PKCS11|MSI|VAULT)_' |
        grep -vxE '(AWS|AZURE|VAULT|GOOGLE)_SERVER'); do
        unset "$name"
    done
    export HOME=$1/home CLOUD_KMS_PKCS11_CONFIG=$config
    export AWS_SHARED_CREDENTIALS_FILE=$HOME/.aws/credentials AWS_CONFIG_FILE=$HOME/.aws/config
}

files_only() { # FOLDER [--only LABEL...]
    python3 "$clients/home.py" "$config" "$@"
    unset CLOUD_KMS_PKCS11_CONFIG AWS_SHARED_CREDENTIALS_FILE AWS_CONFIG_FILE XDG_CONFIG_HOME
    export HOME=$1
}

all_uses() {
    start_servers localstack emulator-kms
    make_config "$work/uses" --uses
    use_config "$work/uses"
}

# Sets label, cloud, usage, kind, bits, curve, public, certificate, schemes and id from a line of $keys; and hash, uri and pin.
# shellcheck disable=SC2034 # the scripts use them
read_key() {
    IFS=$'\t' read -r label cloud usage kind bits curve public certificate schemes id <<<"$1"
    # For an elliptic curve, the clouds sign with this hash only.
    case $curve in
        P-384) hash=sha384 ;;
        P-521) hash=sha512 ;;
        *) hash=sha256 ;;
    esac
    uri="pkcs11:token=$label;object=$label"
    pin=${PIN:+;pin-value=$PIN}
}

key() { read_key "$(grep -P "^$1\t" "$keys")"; } # LABEL

can() { [[ ,$schemes, == *",$1,"* || ,$schemes, == *",$1:${2:-sha256},"* ]]; } # SCHEME [HASH]

each_key() {
    local wanted=${2:-sign} text
    while read -r text <&3; do
        read_key "$text"
        [ "$usage" != "$wanted" ] || "$1"
    done 3<"$keys"
}

# Encryption, by OpenSSL without the module.

encrypt() { # pkcs1 | sha1 | sha256
    local options=(-pkeyopt rsa_padding_mode:pkcs1)
    [ "$1" = pkcs1 ] || options=(-pkeyopt rsa_padding_mode:oaep -pkeyopt "rsa_oaep_md:$1" -pkeyopt "rsa_mgf1_md:$1")
    run plain_openssl pkeyutl -encrypt -pubin -inkey "$public" "${options[@]}" -in "$work/text" -out "$work/page/secret.enc"
}

# The names that s_client prints for the signature in a TLS handshake: its type, or since OpenSSL 3.5 its scheme.
# shellcheck disable=SC2034 # the scripts use them
PKCS1='RSA|rsa_pkcs1_sha(256|384|512)' PSS='RSA-PSS|rsa_pss_rsae_sha(256|384|512)'
# shellcheck disable=SC2034
ECDSA='ECDSA|ecdsa_secp(256r1_sha256|384r1_sha384|521r1_sha512)'

# Verification, always by OpenSSL without an engine or provider, and with the service's public key.

plain_openssl() { OPENSSL_CONF=$work/plain.cnf command openssl "$@"; }

verify() { # HASH DATA SIGNATURE [SIGOPT...]
    local hash=$1 data=$2 signature=$3 option options=()
    shift 3
    for option in "$@"; do options+=(-sigopt "$option"); done
    run plain_openssl dgst "-$hash" -verify "$public" -signature "$signature" "${options[@]}" "$data"
}

verify_pss() { verify "$@" rsa_padding_mode:pss rsa_pss_saltlen:digest; }

verify_digest() { # DIGEST SIGNATURE: for elliptic curves, with a digest of any length
    run plain_openssl pkeyutl -verify -pubin -inkey "$public" -in "$1" -sigfile "$2"
}

# Only the service has the HMAC key, so the service verifies the MAC, through another client.
verify_mac() { # FILE MAC
    local server=$AWS_SERVER
    case $cloud in vault) server=$VAULT_SERVER ;; google) server=$GOOGLE_SERVER ;; esac
    run "$root/target/servers/tools/bin/python" "$clients/verify_mac.py" "$SERVERS_JSON" "$server" \
        "$(python3 -c 'import sys; print(bytes.fromhex(sys.argv[1]).decode())' "$id")" "$bits" "$1" "$2"
}

# OpenSC 0.27 prints colons between the bytes of an id, and a long id in several lines. Prints them as older versions do.
plain_ids() {
    python3 -c 'import re, sys
lines = re.sub(r"(?<=[0-9a-f]{2})\n +(?=[0-9a-f]{2}[:\n])", ":", sys.stdin.read())
print(re.sub(r"(?m)^( *ID: .*)$", lambda line: line[0].replace(":", "").replace("ID", "ID:", 1), lines), end="")'
}

spoil() { # FILE: makes FILE.spoilt, a copy with one bit of the last byte changed, and prints its name
    python3 - "$1" "$1.spoilt" <<'EOF'
import sys
data = open(sys.argv[1], "rb").read()
open(sys.argv[2], "wb").write(data[:-1] + bytes([data[-1] ^ 1]))
EOF
    echo "$1.spoilt"
}

# Verifies a signature. The same verifier must then reject other data and a changed signature: a verifier that accepts
# everything proves nothing.
verify_and_spoil() { # VERIFIER HASH DATA SIGNATURE
    "$@"
    refuse "$1" "$2" "$work/other" "$4"
    refuse "$1" "$2" "$3" "$(spoil "$4")"
}

hash_file() { # HASH FILE DIGEST
    plain_openssl dgst "-$1" -binary -out "$3" "$2"
}

# Fails unless the public key in the file is the service's.
same_key() { # PEM-FILE
    run plain_openssl pkey -pubin -in "$1" -pubout -outform DER -out "$work/one.der"
    run plain_openssl pkey -pubin -in "$public" -pubout -outform DER -out "$work/two.der"
    run cmp "$work/one.der" "$work/two.der"
}

# Starts the servers that do not run yet, and the named ones. They keep running for the next script. Servers of another
# SERVERS_JSON are not started here.
start_servers() { # [NAME...]
    [ "$SERVERS_JSON" != "$root/target/servers/servers.json" ] || bash "$root/tests/servers/start.sh" --missing \
        "$AWS_SERVER" "$AZURE_SERVER" ${VAULT_SERVER:+"$VAULT_SERVER"} "$GOOGLE_SERVER" "$@"
}

need python3 python3
need openssl openssl
[ -e "$MODULE" ] || { echo "there is no module at $MODULE: build it with scripts/build.sh, or set MODULE"; exit 1; }
echo "release $release"
installed_clients
if [ "$SERVERS_JSON" = "$root/target/servers/servers.json" ] && [ ! -x "$root/target/servers/bin/vault-server" ]; then
    echo "skipped keys of Vault: its server is not installed on this machine"
    VAULT_SERVER=
fi
start_servers
make_config "$work/all"
use_config "$work/all"
vault_rsa=$(grep -o '^vault-rsa2048\b' "$keys") || true
vault_ec=$(grep -o '^vault-p256\b' "$keys") || true
# shellcheck disable=SC2034 # the scripts use it
vault_keys="$vault_rsa $vault_ec"
# shellcheck disable=SC2034
google_rsa=google-rsa2048 google_ec=google-p256 google_keys=google-p256
[ "$release" != bookworm ] || google_keys="google-rsa2048 google-p256"
cat >"$work/plain.cnf" <<'EOF'
[req]
distinguished_name = subject
[subject]
EOF
head -c 1000 /dev/urandom >"$work/data"
printf 'a secret of 22 letters' >"$work/text"
head -c 1000 /dev/urandom >"$work/other"
