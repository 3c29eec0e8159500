# shellcheck shell=bash
# What every client script sources, first thing.
#
#   MODULE        the module under test (default: the release build)
#   PIN           for trying the scripts with another module; ours needs none
#   SERVERS_JSON  where the servers are (default: what tests/servers/start.sh wrote)
#   AWS_SERVER, AZURE_SERVER  which of them serve the keys (Azure: the project's emulator, see tests/servers/README.md)
#   CI=true       a missing tool is a failure, not a skip
#   KEEP=1        leaves the temporary folder
#
# A script then has: $work (temporary folder), $config, the environment a client needs, and
#   need TOOL PACKAGE   ends the script if the tool is missing
#   client NAME VERSION  says what else is under test: Debian's packages of the script's head are named by themselves
#   check NAME COMMAND  counts; the command may be a function of several steps, any of which may fail
#   refuse COMMAND      succeeds if the command fails
#   run COMMAND         prints the command, then runs it
#   key LABEL           sets the variables of read_key for that key
#   encrypt PADDING     encrypts $work/text under $public, as $work/page/secret.enc; PADDING is pkcs1, sha1 or sha256 (OAEP)
#   each_key FUNCTION [USAGE]  calls it for each key, with the variables of read_key set
#   later COMMAND       runs when the script ends
#   page PATTERN        the block of docs/clients/SCRIPT.md in which PATTERN (an awk regular expression) is found
#   run_page PATTERN [PAGE]  runs that block as the user would, in $work/page, with MODULE and TOKEN set: the page is the
#                       only place where the commands stand, so it can't come to say something else than what ran;
#                       the array as_user, if set, is a command that runs it as another user
#   ways                the ways by which this release's OpenSSL reaches the module: provider, engine; those of Debian 12: engine
#   provider_config     $work/page/openssl.cnf, by the page openssl-provider
#   all_uses            from now on the keys are those that do something else than sign by RSA and ECDSA (config.py --uses)
#   files_only FOLDER   from now on HOME is FOLDER, made by home.py, and no variable says anything of the clouds

set -euo pipefail

clients=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$clients/../.." && pwd)
script=$(basename "$0" .sh)
# What is built or fetched for the scripts, and what they printed: for each release its own.
state=$root/target/clients${RELEASE:+/$RELEASE}
. "$clients/scripts.bash"
release=$(this_release)

export MODULE=${MODULE:-$root/target/release/libcloud_kms_pkcs11.so}
PIN=${PIN:-}
SERVERS_JSON=${SERVERS_JSON:-$root/target/servers/servers.json}
AWS_SERVER=${AWS_SERVER:-ministack}
AZURE_SERVER=${AZURE_SERVER:-emulator}

passed=0 failed=0 endings=() as_user=()

# Private: keys and secrets lie there, and ssh ignores key files that others may read.
umask 077
work=$(mktemp -d "${TMPDIR:-/tmp}/clients-$script.XXXXXX")

finish() {
    local status=$? i
    for ((i = ${#endings[@]} - 1; i >= 0; i--)); do
        eval "${endings[i]}" || true
    done
    [ -n "${KEEP:-}" ] || rm -rf "$work"
    # A script that broke off half-way has failed, whatever it had counted.
    if [ "$status" -ne 0 ]; then
        echo "FAILED  $script: broke off with status $status"
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

# Tools of the build and what only helps the test are no clients.
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
        echo "should have been refused: ${*@Q}" >&2
        return 1
    fi
}

check() {
    local name=$1 status
    shift
    # Not in a condition: there, bash would ignore `set -e` in the whole command.
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

# Polls: wait_for SECONDS COMMAND...
wait_for() {
    local until=$((SECONDS + $1))
    shift
    while ! "$@" >/dev/null 2>&1; do
        [ "$SECONDS" -lt "$until" ] || return 1
        sleep 0.05
    done
}

# Whether somebody answers on a unix socket: p11-kit server makes the file, says that it serves, and listens after that.
listens() { python3 -c 'import socket, sys; socket.socket(socket.AF_UNIX).connect(sys.argv[1])' "$1"; }

page() {
    awk -v pattern="$1" '
        /^```sh$/ { inside = 1; block = ""; next }
        /^```$/ { if (inside && block ~ pattern) { printf "%s", block; found = 1; exit } inside = 0 }
        inside { block = block $0 "\n" }
        END { exit !found }' "${2:-$root/docs/clients/$script.md}"
}

run_page() { # PATTERN [PAGE]
    local block page=${2:-$script}
    block=$(page "$1" "$root/docs/clients/$page.md") || { echo "no block with $1 in docs/clients/$page.md" && return 1; }
    mkdir -p "$work/page"
    (cd "$work/page" && MODULE=$MODULE TOKEN=${TOKEN:-${label:-}} "${as_user[@]}" bash -euxo pipefail -c "$block")
}

ways() { if [ "$release" = bookworm ]; then echo engine; else echo provider engine; fi; }

provider_config() { run_page 'pkcs11-module-path' openssl-provider; }

make_config() { # FOLDER [--hide KIND | --uses]
    mkdir -p "$1"
    python3 "$clients/config.py" "$SERVERS_JSON" "$AWS_SERVER" "$AZURE_SERVER" "$@"
}

use_config() {
    config=$1/config.json
    keys=$1/keys
    local name
    # The caller's own cloud must not come in.
    for name in $(compgen -e | grep -E '^(AWS|AZURE|IDENTITY|IMDS|MSI)_' | grep -vxE 'AWS_SERVER|AZURE_SERVER'); do
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

# label cloud usage kind bits curve public certificate id, from one line of $keys
# shellcheck disable=SC2034 # the scripts use them
read_key() {
    IFS=$'\t' read -r label cloud usage kind bits curve public certificate id <<<"$1"
    # The hash that belongs to the key: the only one the clouds sign with for an elliptic curve.
    case $curve in
        P-384) hash=sha384 ;;
        P-521) hash=sha512 ;;
        *) hash=sha256 ;;
    esac
    uri="pkcs11:token=$label;object=$label"
    pin=${PIN:+;pin-value=$PIN}
}

key() { read_key "$(grep -P "^$1\t" "$keys")"; } # LABEL

each_key() {
    local wanted=${2:-sign} text
    while read -r text <&3; do
        read_key "$text"
        [ "$usage" != "$wanted" ] || "$1"
    done 3<"$keys"
}

# Encryption by OpenSSL: $work/text becomes $work/page/secret.enc.

encrypt() { # pkcs1 | sha1 | sha256
    local options=(-pkeyopt rsa_padding_mode:pkcs1)
    [ "$1" = pkcs1 ] || options=(-pkeyopt rsa_padding_mode:oaep -pkeyopt "rsa_oaep_md:$1" -pkeyopt "rsa_mgf1_md:$1")
    run plain_openssl pkeyutl -encrypt -pubin -inkey "$public" "${options[@]}" -in "$work/text" -out "$work/page/secret.enc"
}

# What s_client says of a signature in TLS: its kind; from OpenSSL 3.5 on its scheme.
# shellcheck disable=SC2034 # the scripts use them
PKCS1='RSA|rsa_pkcs1_sha(256|384|512)' PSS='RSA-PSS|rsa_pss_rsae_sha(256|384|512)'
# shellcheck disable=SC2034
ECDSA='ECDSA|ecdsa_secp(256r1_sha256|384r1_sha384|521r1_sha512)'

# Verification, always by OpenSSL without any engine and with the service's public key.

plain_openssl() { OPENSSL_CONF=$work/plain.cnf command openssl "$@"; }

verify() { # HASH DATA SIGNATURE [SIGOPT...]
    local hash=$1 data=$2 signature=$3 option options=()
    shift 3
    for option in "$@"; do options+=(-sigopt "$option"); done
    run plain_openssl dgst "-$hash" -verify "$public" -signature "$signature" "${options[@]}" "$data"
}

verify_pss() { verify "$@" rsa_padding_mode:pss rsa_pss_saltlen:digest; }

verify_digest() { # DIGEST SIGNATURE (elliptic curves: a digest of any length)
    run plain_openssl pkeyutl -verify -pubin -inkey "$public" -in "$1" -sigfile "$2"
}

# Nobody but the service knows an HMAC key: it says itself, to AWS's SDK, whether that is the file's MAC.
verify_mac() { # FILE MAC
    run "$root/target/servers/tools/bin/python" "$clients/verify_mac.py" "$SERVERS_JSON" "$AWS_SERVER" \
        "$(python3 -c 'import sys; print(bytes.fromhex(sys.argv[1]).decode())' "$id")" "$bits" "$1" "$2"
}

# The same, and the check itself is checked: other data and a spoilt signature must fail.
spoil() { # FILE: another last byte
    python3 - "$1" "$1.spoilt" <<'EOF'
import sys
data = open(sys.argv[1], "rb").read()
open(sys.argv[2], "wb").write(data[:-1] + bytes([data[-1] ^ 1]))
EOF
    echo "$1.spoilt"
}

verify_and_spoil() { # VERIFIER HASH DATA SIGNATURE
    "$@"
    refuse "$1" "$2" "$work/other" "$4"
    refuse "$1" "$2" "$3" "$(spoil "$4")"
}

hash_file() { # HASH FILE DIGEST
    plain_openssl dgst "-$1" -binary -out "$3" "$2"
}

# The certificate or request's key must be the service's, byte for byte.
same_key() { # PEM-FILE
    run plain_openssl pkey -pubin -in "$1" -pubout -outform DER -out "$work/one.der"
    run plain_openssl pkey -pubin -in "$public" -pubout -outform DER -out "$work/two.der"
    run cmp "$work/one.der" "$work/two.der"
}

# Those that don't run yet; they stay up for the next script. Another file names servers that are not ours.
start_servers() { # [NAME...]: these besides
    [ "$SERVERS_JSON" != "$root/target/servers/servers.json" ] ||
        bash "$root/tests/servers/start.sh" --missing "$AWS_SERVER" "$AZURE_SERVER" "$@"
}

need python3 python3
need openssl openssl
[ -e "$MODULE" ] || { echo "no module at $MODULE: cargo build --release"; exit 1; }
echo "release $release"
installed_clients
start_servers
make_config "$work/all"
use_config "$work/all"
cat >"$work/plain.cnf" <<'EOF'
[req]
distinguished_name = subject
[subject]
EOF
head -c 1000 /dev/urandom >"$work/data"
printf 'a secret of 22 letters' >"$work/text"
head -c 1000 /dev/urandom >"$work/other"
