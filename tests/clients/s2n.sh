#!/usr/bin/env bash
# apt: gcc libc6-dev
# s2n-tls: examples/s2n-tls, a TLS server and a client that offload private-key operations to the module. The peer is OpenSSL.
user_home=$HOME
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

need cargo "Rust 1.94.1 or newer"

export SOURCE=$root/examples/s2n-tls
export CARGO_HOME=${CARGO_HOME:-$user_home/.cargo} RUSTUP_HOME=${RUSTUP_HOME:-$user_home/.rustup}

# Keeps the build folder for the next run.
mkdir -p "$work/page" "$state/s2n"
ln -s "$state/s2n" "$work/page/target"

echo "s2n: building the example (some minutes the first time)"
run_page 'cargo build' >"$work/install.log" 2>&1 || { cat "$work/install.log" && exit 1; }
client s2n-tls "$(sed -n '/^name = "s2n-tls"$/{n;s/version = "\(.*\)"/\1/p}' "$SOURCE/Cargo.lock")"

# Keys and certificates of the peer.
own() { # NAME ALGORITHM...
    local name=$1
    shift
    plain_openssl req -x509 -newkey "$@" -nodes -keyout "$work/page/$name.key" -out "$work/page/$name.pem" \
        -subj "/CN=$name" -addext "subjectAltName=DNS:localhost" -days 2 2>/dev/null
}
own rsa rsa:2048
own ec ec -pkeyopt ec_paramgen_curve:P-256
own stranger ec -pkeyopt ec_paramgen_curve:P-256
cat "$work/page/rsa.pem" "$work/page/ec.pem" >"$work/page/clients.pem"

stop_server() {
    [ -e "$work/page/server.pid" ] || return 0
    kill "$(cat "$work/page/server.pid")" 2>/dev/null || true
    rm -f "$work/page/server.pid"
}
later stop_server

start_server() {
    stop_server
    rm -f "$work/page/server.log"
    run_page 's2n-offload server'
    wait_for 30 grep '^listening on' "$work/page/server.log" || { cat "$work/page/server.log" && return 1; }
}

address() { sed -n 's/^listening on //p' "$work/page/server.log"; }

# OpenSSL verifies with the public key of the certificate, which must be the service's.
trusted() {
    run plain_openssl x509 -in "$certificate" -noout -pubkey -out "$work/certificate.pub"
    same_key "$work/certificate.pub"
}

# The server prints its last line only after it has verified the client.
handshake() { # CLIENT OPTIONS OPENSSL-SAYS SERVER-SAYS
    trusted
    cp "$certificate" "$work/page/server.pem"
    ADDRESS=$(address) CLIENT=$1 OPTIONS=$2 run_page 'openssl s_client' >"$work/said" 2>&1 || { cat "$work/said" && return 1; }
    cat "$work/said"
    grep 'Verify return code: 0 (ok)' "$work/said"
    grep -xE "Peer signature type: ($3)" "$work/said"
    grep "^signed by $label, $4\$" "$work/said"
}

stranger_refused() {
    cp "$certificate" "$work/page/server.pem"
    ADDRESS=$(address) CLIENT=stranger OPTIONS=$1 run_page 'openssl s_client' >"$work/said" 2>&1 || true
    cat "$work/said"
    refuse grep '^signed by' "$work/said"
    wait_for 30 grep '^handshake failed: .*[Cc]ert' "$work/page/server.log"
}

# Concurrent connections, which use the two keys alternately.
many() { # RSA-LABEL EC-LABEL COUNT
    local i pids=() pid
    rm -rf "$work/many"
    mkdir "$work/many"
    cat "$(key "$1" && echo "$certificate")" "$(key "$2" && echo "$certificate")" >"$work/page/server.pem"
    export OPTIONS ADDRESS CLIENT
    ADDRESS=$(address)
    for ((i = 0; i < $3; i++)); do
        if ((i % 2)); then CLIENT=rsa OPTIONS='-sigalgs RSA-PSS+SHA256'; else CLIENT=ec OPTIONS='-sigalgs ECDSA+SHA256'; fi
        run_page 'openssl s_client' >"$work/many/$i" 2>&1 &
        pids+=($!)
    done
    for pid in "${pids[@]}"; do wait "$pid" || true; done
    [ "$(grep -l 'Verify return code: 0 (ok)' "$work"/many/* | wc -l)" -eq "$3" ]
    [ "$(cat "$work"/many/* | grep -c "^signed by $1, ")" -eq $(($3 / 2)) ]
    [ "$(cat "$work"/many/* | grep -c "^signed by $2, ")" -eq $(($3 / 2)) ]
}

# Runs the client against OpenSSL's server, which accepts only CERTIFICATE and sends each line back reversed.
as_client() { # OPTION CERTIFICATE
    local server
    cp "$work/page/ec.pem" "$work/page/server.pem"
    : >"$work/s_server.log"
    # Not in a function: $! must be the process of openssl, not of a subshell.
    OPENSSL_CONF=$work/plain.cnf openssl s_server -accept 127.0.0.1:0 "$1" -cert "$work/page/ec.pem" \
        -key "$work/page/ec.key" -rev -Verify 1 -verify_return_error -CAfile "$2" -partial_chain \
        >"$work/s_server.log" 2>&1 &
    server=$!
    # shellcheck disable=SC2064 # this server
    trap "kill $server" EXIT
    wait_for 30 grep '^ACCEPT' "$work/s_server.log"
    ADDRESS=$(sed -n 's/^ACCEPT //p' "$work/s_server.log") run_page 's2n-offload client' >"$work/said" || { cat "$work/s_server.log" && return 1; }
    cat "$work/said" "$work/s_server.log"
    grep "^TLS1[23]: olleh\$" "$work/said"
}
client() { trusted && as_client "$1" "$certificate"; }
client_refused() {
    refuse as_client -tls1_3 "$work/page/stranger.pem"
    # The server logs the failure only after it has sent the alert.
    wait_for 30 grep 'certificate verify failed' "$work/s_server.log"
}

pair() { # RSA-LABEL EC-LABEL
    export RSA_TOKEN=$1 EC_TOKEN=$2
    check "server with $1 and $2" start_server
    key "$1"
    local aes=ECDHE-RSA-AES128-GCM-SHA256
    check "$1 server, TLS 1.2, PKCS#1" handshake rsa "-tls1_2 -cipher $aes -sigalgs RSA+SHA256" "$PKCS1" 'TLS12, RSA_PKCS1'
    check "$1 server, TLS 1.2, PSS" handshake rsa "-tls1_2 -cipher $aes -sigalgs RSA-PSS+SHA256" "$PSS" 'TLS12, RSA_PSS_RSAE'
    check "$1 server, TLS 1.3, PSS" handshake rsa '-tls1_3 -sigalgs RSA-PSS+SHA256' "$PSS" 'TLS13, RSA_PSS_RSAE'
    check "$1 server, TLS 1.3, PSS with SHA-512" handshake rsa '-tls1_3 -sigalgs RSA-PSS+SHA512' "$PSS" 'TLS13, RSA_PSS_RSAE'
    key "$2"
    check "$2 server, TLS 1.2" handshake ec '-tls1_2 -sigalgs ECDSA+SHA256' "$ECDSA" 'TLS12, ECDSA'
    check "$2 server, TLS 1.3" handshake ec '-tls1_3 -sigalgs ECDSA+SHA256' "$ECDSA" 'TLS13, ECDSA'
    check "$1 and $2 server, 20 handshakes at once" many "$1" "$2" 20
    check "$2 server refuses a client that it doesn't know" stranger_refused '-tls1_3 -sigalgs ECDSA+SHA256'
    local one version
    for one in "$1" "$2"; do
        key "$one"
        for version in 1_2 1_3; do check "$one client, TLS ${version/_/.}" client "-tls$version"; done
    done
}

pair aws-rsa2048 azure-cert-ec
pair azure-cert-rsa aws-p256
[ -z "$vault_rsa" ] || pair "$vault_rsa" "$vault_ec"
# TLS needs PSS and PKCS#1 v1.5, and an RSA key of Google has only one of them.
pair azure-cert-rsa "$google_ec"
check "OpenSSL refuses a client that it doesn't know" client_refused
