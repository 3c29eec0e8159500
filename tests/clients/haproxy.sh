#!/usr/bin/env bash
# apt: haproxy curl procps pkcs11-provider
# releases: trixie sid
# HAProxy with a TLS key in the cloud, through OpenSSL's provider, with a master, workers and threads.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$(dirname "${BASH_SOURCE[0]}")/tls.bash"
. "$(dirname "${BASH_SOURCE[0]}")/https.bash"

PATH=$PATH:/usr/sbin
need haproxy haproxy
need curl curl

test_page() { env "${with[@]}" bash -c "cd '$work/page'; $(page 'haproxy -c')" 2>&1 | tee "$work/test.log"; }

# `haproxy -c` is silent if the configuration is valid.
test_configuration() {
    test_page
    refuse grep -E 'ALERT|WARNING' "$work/test.log"
}

configure() {
    OPENSSL_CONF=$work/page/openssl.cnf run_block 'out server.pem.key' haproxy
    refuse grep 'PRIVATE KEY' "$work/page/server.pem.key"
    run_block 'frontend web' haproxy --set "PORT=$PORT"
}

refuse_unknown_key() {
    local status=0
    cp "$work/page/server.pem.key" "$work/key.good"
    plain_openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$work/page/server.pem.key"
    refuse test_page || status=1
    mv "$work/key.good" "$work/page/server.pem.key"
    [ $status -eq 0 ] && grep 'inconsistencies between private key and certificate' "$work/test.log"
}

workers() { ps -o pid= --ppid "$server" | sort; }

# After a reload, the master has loaded the key again, and a new worker serves.
reload() {
    local before
    before=$(workers)
    run_page 'kill -USR2'
    # shellcheck disable=SC2317
    changed() { [ "$(workers | wc -l)" -eq 1 ] && [ -z "$(comm -12 <(echo "$before") <(workers))" ]; }
    wait_for 30 changed
    handshakes "$PORT" 20 --certificate "$work/page/server.pem" --expect hello
}
reloads() { # COUNT
    local n
    for ((n = 0; n < $1; n++)); do reload; done
}

# Called before the server is stopped: HAProxy also reports that it has stopped a worker.
quiet() { refuse grep -E 'ALERT|exited with code [1-9]' "$work/server.log"; }

for key in aws-p256 aws-rsa2048 azure-p256 azure-cert-rsa $vault_keys $google_ec; do
    use_key "$key"
    use_way provider
    certificate_of_key
    PORT=$(free_port)
    export PORT
    check "$key configuration" configure
    check "$key haproxy -c" test_configuration
    check "$key haproxy -c finds another key" refuse_unknown_key
    start_page 'haproxy -W' "${with[@]}"
    check "$key starts" serves listening "$PORT"
    check "$key curl" by_curl
    check "$key a client that trusts another CA" stranger
    check "$key 60 connections, TLS 1.3" handshakes "$PORT" 60 --tls 1.3 --threads 8 --certificate "$work/page/server.pem" --expect hello
    check "$key 60 connections, TLS 1.2" handshakes "$PORT" 60 --tls 1.2 --threads 8 --certificate "$work/page/server.pem" --expect hello
    check "$key 5 reloads, 20 connections each" reloads 5
    check "$key no worker has died" quiet
    stop_server
done
