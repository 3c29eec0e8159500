#!/usr/bin/env bash
# apt: nginx-light libengine-pkcs11-openssl curl procps
# apt trixie sid: pkcs11-provider
# nginx with a TLS key in the cloud, through OpenSSL's provider or libp11's engine, with a master and workers.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$(dirname "${BASH_SOURCE[0]}")/tls.bash"
. "$(dirname "${BASH_SOURCE[0]}")/https.bash"

PATH=$PATH:/usr/sbin
need nginx nginx-light
need curl curl

# When root starts nginx, its workers run as another user by default, who can't read the files of the test.
configure() { # FORM
    case $1 in
        store) run_block 'store:pkcs11' nginx --through provider ;;
        file) OPENSSL_CONF=$work/page/openssl.cnf run_block 'out key.pem' nginx --through key-file ;;
        engine) run_block 'engine_id' nginx --through engine ;;
    esac
    run_block 'worker_processes' nginx --set "PORT=$PORT"
    [ "$(id -u)" -ne 0 ] || sed -i '1i user root;' "$work/page/nginx.conf"
    local kind
    for kind in client_body proxy fastcgi uwsgi scgi; do
        sed -i "s|access_log off;|&\n    ${kind}_temp_path $work/page/temp;|" "$work/page/nginx.conf"
    done
}

test_page() { env "${with[@]}" bash -c "cd '$work/page'; $(page 'error.log -t')" 2>&1 | tee "$work/test.log"; }

test_configuration() {
    test_page
    grep 'test is successful' "$work/test.log"
}

refuse_unknown_key() {
    local status=0
    sed -i.good 's/token=[^;]*;/token=no-such-token;/' "$work/page/key.conf"
    refuse test_page || status=1
    mv "$work/page/key.conf.good" "$work/page/key.conf"
    rm "$work/page/error.log"
    [ $status -eq 0 ] && grep -E 'cannot load certificate key "(engine:pkcs11:|store:)pkcs11:token=no-such-token' "$work/test.log"
}

# The key exists, but the certificate belongs to another key of the same type.
refuse_other_key() {
    local status=0 options=(ec -pkeyopt ec_paramgen_curve:P-256)
    [ "$kind" != rsa ] || options=(rsa:2048)
    cp "$work/page/server.pem" "$work/server.good"
    plain_openssl req -x509 -newkey "${options[@]}" -nodes -keyout "$work/stranger-key.pem" -days 2 -subj "/CN=localhost" \
        -out "$work/page/server.pem" 2>/dev/null
    refuse test_page || status=1
    mv "$work/server.good" "$work/page/server.pem"
    rm "$work/page/error.log"
    [ $status -eq 0 ] && grep 'key values mismatch' "$work/test.log"
}

workers() { ps -o pid= --ppid "$server" | sort; }

# After a reload, the master has loaded the key again, and new workers serve.
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

try_server() { # WAY FORM NAME
    use_way "$1"
    certificate_of_key
    PORT=$(free_port)
    export PORT
    check "$key configuration $3" configure "$2"
    check "$key nginx -t $3" test_configuration
    [ "$2" = file ] || check "$key nginx -t finds a missing token $3" refuse_unknown_key
    check "$key nginx -t finds another key's certificate $3" refuse_other_key
    start_page 'daemon off' "${with[@]}"
    check "$key starts $3" serves listening "$PORT"
    check "$key curl $3" by_curl
    check "$key a client that trusts another CA $3" stranger
    check "$key 60 connections, TLS 1.3 $3" handshakes "$PORT" 60 --tls 1.3 --threads 8 --certificate "$work/page/server.pem" --expect hello
    check "$key 60 connections, TLS 1.2 $3" handshakes "$PORT" 60 --tls 1.2 --threads 8 --certificate "$work/page/server.pem" --expect hello
    check "$key reload, 20 connections $3" reload
    stop_server
    check "$key no worker has died $3" quiet
    rm -f "$work/page/error.log"
}

for key in aws-p256 aws-rsa2048 azure-p256 azure-cert-rsa $vault_keys $google_ec; do
    use_key "$key"
    [ "$release" != sid ] || try_server provider store "by the provider"
    # In sid, where nginx accepts the URL itself, a key file is tested with one key of each cloud.
    case $release,$key in trixie,* | sid,aws-p256 | sid,azure-cert-rsa) try_server provider file "by the provider and a file" ;; esac
    case $release,$key in bookworm,* | *,aws-p256 | *,azure-cert-rsa) try_server engine engine "by the engine" ;; esac
done
