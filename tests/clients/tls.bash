# shellcheck shell=bash
# For the scripts of TLS clients and servers, after lib.sh. $work/page is where the pages' commands run.
#
#   use_key LABEL        sets the variables of read_key, and TOKEN
#   certificate_of_key   the key's certificate from a CA of our own: $work/page/server.pem (for localhost), client.pem, signer.pem;
#                        they hold the service's public key, and the module has no part in it
#   local_certificate    local.pem and local-key.pem for localhost, of a key in a file
#   free_port            prints one
#   listening PORT       whether someone listens there

engines=$(openssl version -e | sed 's/^ENGINESDIR: "\(.*\)"$/\1/')
need "$engines/pkcs11.so" libengine-pkcs11-openssl
export PKCS11_MODULE_PATH=$MODULE
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

free_port() {
    python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

listening() { python3 -c 'import socket, sys; socket.create_connection(("127.0.0.1", int(sys.argv[1])), 5).close()' "$1"; }
