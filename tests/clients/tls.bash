# shellcheck shell=bash disable=SC2154 # lib.sh sets them
# For the scripts of TLS clients and servers, after lib.sh. $work/page is where the pages' commands run.
#
#   use_key LABEL        sets the variables of read_key, and TOKEN
#   certificate_of_key   the key's certificate from a CA of our own: $work/page/server.pem (for localhost), client.pem, signer.pem;
#                        they hold the service's public key, and the module has no part in it
#   local_certificate    local.pem and local-key.pem for localhost, of a key in a file
#   free_port            prints one
#   listening PORT       whether someone listens there
#   start_page PATTERN [VARIABLE=VALUE...], start COMMAND   a server, in the background; its output in $work/server.log
#   serves COMMAND       waits until the command succeeds
#   stop_server          stops the one that runs
#   handshakes PORT COUNT [OPTION...]   that many connections, of a Python client without the module
#   use_way WAY          provider: openssl.cnf as the page openssl-provider has it; key_file makes key.pem, if the page has that;
#                        `with` are the variables of a program that must not find an engine. engine: it has to be there.

engines=$(openssl version -e | sed 's/^ENGINESDIR: "\(.*\)"$/\1/')
need_engine() { need "$engines/pkcs11.so" libengine-pkcs11-openssl; }
[[ " $(ways) " = *" provider "* ]] || need_engine
export PKCS11_MODULE_PATH=$MODULE
server=
mkdir -p "$work/page"

plain_openssl req -x509 -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$work/ca-key.pem" -days 2 -subj "/CN=Test CA" \
    -addext "basicConstraints=critical,CA:true" -addext "keyUsage=critical,keyCertSign,cRLSign" -out "$work/page/ca.pem" 2>/dev/null
plain_openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$work/page/local-key.pem" -subj "/CN=localhost" \
    -out "$work/local.csr" 2>/dev/null
cat >"$work/extensions" <<'END'
[server]
basicConstraints = critical,CA:false
keyUsage = critical,digitalSignature
extendedKeyUsage = serverAuth
subjectAltName = DNS:localhost
[client]
basicConstraints = critical,CA:false
keyUsage = critical,digitalSignature
extendedKeyUsage = clientAuth
[signer]
basicConstraints = critical,CA:false
keyUsage = critical,digitalSignature
extendedKeyUsage = emailProtection
END

use_key() {
    export TOKEN=$1
    read_key "$(grep -P "^$1\t" "$keys")"
}

issue_local() { # SECTION NAME [OPTION...]
    local section=$1 name=$2
    shift 2
    plain_openssl x509 -req -in "$work/local.csr" -CA "$work/page/ca.pem" -CAkey "$work/ca-key.pem" -CAcreateserial -days 2 \
        -extfile "$work/extensions" -extensions "$section" -out "$work/page/$name.pem" "$@" 2>/dev/null
}

certificate_of_key() {
    issue_local server server -force_pubkey "$public"
    issue_local client client -force_pubkey "$public"
    issue_local signer signer -force_pubkey "$public"
}

local_certificate() { issue_local server local; }

# Below the ports that the kernel gives to outgoing connections: nobody takes one meanwhile.
free_port() {
    python3 - <<'END'
import random, socket
while True:
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        port = random.randrange(12000, 32000)
        try:
            s.bind(("127.0.0.1", port))
        except OSError:
            continue
    print(port)
    break
END
}

listening() { python3 -c 'import socket, sys; socket.create_connection(("127.0.0.1", int(sys.argv[1])), 5).close()' "$1"; }

# The process is the program itself, and so the one to stop.
start_page() { # PATTERN [VARIABLE=VALUE...]: a block with one command
    local block
    block=$(page "$1") || { echo "no block with $1 in docs/clients/$script.md" && return 1; }
    shift
    # Now: what the last server has said is not this one's.
    : >"$work/server.log"
    (cd "$work/page" && exec env "$@" bash -euxc "exec $block") </dev/null >"$work/server.log" 2>&1 &
    server=$!
}

start() { # COMMAND
    : >"$work/server.log"
    "$@" </dev/null >"$work/server.log" 2>&1 &
    server=$!
}

stop_server() {
    [ -n "$server" ] || return 0
    kill "$server" 2>/dev/null || true
    wait "$server" 2>/dev/null || true
    server=
}
later stop_server

# A server that ends or hangs must not take the script with it.
serves() { # COMMAND that succeeds when it does
    wait_for 30 "$@" && kill -0 "$server" && return
    echo "the server does not serve; its log:"
    tail -n 30 "$work/server.log"
    return 1
}

client_page() { # PATTERN: run_page, with an end
    local block
    block=$(page "$1") || { echo "no block with $1 in docs/clients/$script.md" && return 1; }
    (cd "$work/page" && timeout 60 bash -euxo pipefail -c "$block")
}

handshakes() { # PORT COUNT [OPTION...]: see handshakes.py
    if OPENSSL_CONF=$work/plain.cnf timeout 120 python3 "$clients/handshakes.py" "$work/page/ca.pem" "$@"; then return 0; fi
    echo "the server's log:"
    tail -n 30 "$work/server.log"
    return 1
}

with=()
use_way() { # WAY
    if [ "$1" = engine ]; then
        need_engine
        with=()
        return
    fi
    # Else the engine might do it: many chroots have both.
    with=(OPENSSL_ENGINES="$work/none")
    provider_config 2>/dev/null
}

key_file() { OPENSSL_CONF=$work/page/openssl.cnf run_page '-out key.pem' 2>/dev/null; }
