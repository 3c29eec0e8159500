#!/usr/bin/env bash
# apt: nginx-light libengine-pkcs11-openssl curl procps
# nginx, its TLS keys through libp11's engine; master and workers.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$(dirname "${BASH_SOURCE[0]}")/tls.bash"

PATH=$PATH:/usr/sbin
need nginx nginx-light
need curl curl

# As root, nginx would make its workers someone who can't read our files.
configure() {
    run_page 'engine_id'
    run_page 'worker_processes'
    [ "$(id -u)" -ne 0 ] || sed -i '1i user root;' "$work/page/nginx.conf"
    local kind
    for kind in client_body proxy fastcgi uwsgi scgi; do
        sed -i "s|access_log off;|&\n    ${kind}_temp_path $work/page/temp;|" "$work/page/nginx.conf"
    done
}

test_configuration() {
    run_page 'error.log -t' 2>&1 | tee "$work/test.log"
    grep 'test is successful' "$work/test.log"
}

refuse_unknown_key() {
    cp "$work/page/nginx.conf" "$work/page/nginx.conf.good"
    sed -i 's/token=[^;]*;/token=no-such-token;/' "$work/page/nginx.conf"
    refuse run_page 'error.log -t' 2>&1 | tee "$work/test.log"
    grep 'cannot load certificate key "engine:pkcs11:pkcs11:token=no-such-token' "$work/test.log"
    mv "$work/page/nginx.conf.good" "$work/page/nginx.conf"
    rm "$work/page/error.log"
}

by_curl() { client_page 'curl' | grep -x hello; }

stranger() { refuse curl --silent --fail --cacert "$work/other-ca.pem" "https://localhost:$PORT/"; }

workers() { ps -o pid= --ppid "$server" | sort; }

# New workers, from a master that has loaded the engine twice.
reload() {
    local before
    before=$(workers)
    run_page 'kill -HUP'
    # shellcheck disable=SC2317
    changed() { [ "$(workers | wc -l)" -eq 2 ] && [ -z "$(comm -12 <(echo "$before") <(workers))" ]; }
    wait_for 30 changed
    handshakes "$PORT" 20 --certificate "$work/page/server.pem"
}

quiet() { refuse grep -E '\[emerg\]|exited on signal|exited with fatal' "$work/page/error.log"; }

plain_openssl req -x509 -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$work/other-key.pem" -days 2 -subj "/CN=Test CA" \
    -addext "basicConstraints=critical,CA:true" -out "$work/other-ca.pem" 2>/dev/null

for key in aws-p256 aws-rsa2048 azure-p256 azure-cert-rsa; do
    use_key "$key"
    certificate_of_key
    PORT=$(free_port)
    export PORT
    check "$key configuration" configure
    check "$key nginx -t" test_configuration
    check "$key nginx -t finds a missing token" refuse_unknown_key
    start_page 'daemon off'
    check "$key starts" serves listening "$PORT"
    check "$key curl" by_curl
    check "$key a client that trusts another CA" stranger
    check "$key 60 connections, TLS 1.3" handshakes "$PORT" 60 --tls 1.3 --threads 8 --certificate "$work/page/server.pem" --expect hello
    check "$key 60 connections, TLS 1.2" handshakes "$PORT" 60 --tls 1.2 --threads 8 --certificate "$work/page/server.pem" --expect hello
    check "$key reload, 20 connections" reload
    stop_server
    check "$key no worker has died" quiet
    rm -f "$work/page/error.log"
done
