#!/usr/bin/env bash
# apt: apache2 curl procps
# apt bookworm: libengine-pkcs11-openssl
# apt trixie sid: pkcs11-provider
# Apache (prefork) with a TLS key in the cloud, through OpenSSL's provider, or on Debian 12 through libp11's engine.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$(dirname "${BASH_SOURCE[0]}")/tls.bash"
. "$(dirname "${BASH_SOURCE[0]}")/https.bash"

PATH=$PATH:/usr/sbin
need apache2 apache2
need curl curl

# Apache's child processes never run as root. So root runs Apache as www-data, with copies of the files that it reads.
as=()
if [ "$(id -u)" -eq 0 ]; then
    need setpriv util-linux
    as=(setpriv --reuid=www-data --regid=www-data --clear-groups)
fi
for variable in MODULE SPOIL_MODULE; do
    [ -n "${!variable:-}" ] || continue
    cp "${!variable}" "$work/$variable.so"
    export "$variable=$work/$variable.so"
done
export PKCS11_MODULE_PATH=$MODULE
mkdir -p "$work/page/site"
echo hello >"$work/page/site/index.html"
files_only "$work/user"

# On the page, the commands for the provider set OPENSSL_CONF.
way=engine run='^apache2'
[ "$release" = bookworm ] || way=provider run='^env OPENSSL_CONF'

hand_over() { [ "$(id -u)" -ne 0 ] || chown -R www-data:www-data "$work"; }

# In a new process group: when Apache ends, it kills its whole group, which could include other servers.
start_apache() {
    local block
    block=$(page "$run.*FOREGROUND")
    hand_over
    (cd "$work/page" && exec setsid env "${with[@]}" "${as[@]}" bash -euxc "exec $block") </dev/null >"$work/server.log" 2>&1 &
    server=$!
}

test_configuration() {
    local block
    block=$(page "$run.*apache.conf\" -t")
    hand_over
    (cd "$work/page" && timeout 60 env "${with[@]}" "${as[@]}" bash -euxc "$block") 2>&1 | tee "$work/test.log"
    grep 'Syntax OK' "$work/test.log"
}

children() { ps -o pid= --ppid "$server" | sort; }

# After a reload, the parent has loaded the key again, and new children serve.
reload() {
    local before
    before=$(children)
    run_page 'kill -USR1'
    # shellcheck disable=SC2317
    changed() { [ -n "$(children)" ] && [ -z "$(comm -12 <(echo "$before") <(children))" ]; }
    wait_for 30 changed
    handshakes "$PORT" 20 --certificate "$work/page/server.pem" --expect hello
}
reloads() { # COUNT
    local n
    for ((n = 0; n < $1; n++)); do reload; done
}

# A complete restart. The page describes what a reload does under the engine.
restart() {
    local parent
    parent=$(cat "$work/page/apache.pid")
    run_page '^kill "'
    # shellcheck disable=SC2317
    gone() { ! kill -0 "$parent"; }
    wait_for 30 gone
    start_apache
    trap stop_server EXIT
    serves listening "$PORT"
    handshakes "$PORT" 20 --certificate "$work/page/server.pem" --expect hello
}

quiet() { refuse grep -E '\[[a-z0-9_]*:emerg\]|exit signal' "$work/page/error.log"; }

key_file_by_block() { OPENSSL_CONF=$work/page/openssl.cnf run_block 'out key.pem' apache --through key-file; }

try_server() { # FORM NAME
    PORT=$(free_port)
    export PORT
    check "$key configuration $2" run_block 'SSLCertificateKeyFile "pkcs11' apache --set "PORT=$PORT"
    [ "$1" != engine ] || run_block 'SSLCryptoDevice pkcs11' apache --through engine 2>/dev/null
    [ "$1" != file ] || check "$key a file with the key's URL $2" key_file_by_block
    check "$key apache2 -t $2" test_configuration
    start_apache
    check "$key starts $2" serves listening "$PORT"
    check "$key curl $2" by_curl
    check "$key a client that trusts another CA $2" stranger
    check "$key 50 connections, TLS 1.3 $2" handshakes "$PORT" 50 --tls 1.3 --threads 8 --certificate "$work/page/server.pem" --expect hello
    check "$key 50 connections, TLS 1.2 $2" handshakes "$PORT" 50 --tls 1.2 --threads 8 --certificate "$work/page/server.pem" --expect hello
    [ "$way" = engine ] || check "$key 5 reloads, 20 connections each $2" reloads 5
    check "$key stopped and started again, 20 connections $2" restart
    stop_server
    check "$key no child has died $2" quiet
    rm -f "$work/page/error.log" "$work/page/key.pem"
}

for key in aws-p256 aws-rsa2048 azure-p256 azure-cert-rsa $vault_ec $google_ec; do
    use_key "$key"
    use_way "$way"
    certificate_of_key
    if [ "$way" = engine ]; then try_server engine "by the engine"; else try_server url "by the provider"; fi
    # A key file, for one key of each cloud. With a key file Apache does not use an engine, even if one is installed.
    case $way,$key in
        provider,aws-p256 | provider,azure-cert-rsa)
            with=()
            try_server file "by the provider and a file"
            ;;
    esac
done
