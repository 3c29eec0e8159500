# shellcheck shell=bash disable=SC2154 # lib.sh sets them
# Sourced after lib.sh by the scripts of TLS clients and servers. Sources server.bash.
#
#   use_key LABEL        sets the variables of read_key, and TOKEN
#   certificate_of_key   makes the key's certificates with a test CA: $work/page/server.pem (for localhost), client.pem, signer.pem.
#                        They hold the service's public key, and are made without the module.
#   local_certificate    makes local.pem and local-key.pem for localhost, with a key in a file
#   use_way WAY          provider: makes openssl.cnf as on the page openssl-provider, and sets `with` to the variables of a program that
#                        must not find an engine. engine: ends the script if the engine is missing.
#   key_file             makes key.pem with the page's block

. "$clients/server.bash"

engines=$(openssl version -e | sed 's/^ENGINESDIR: "\(.*\)"$/\1/')
need_engine() { need "$engines/pkcs11.so" libengine-pkcs11-openssl; }
[[ " $(ways) " = *" provider "* ]] || need_engine
export PKCS11_MODULE_PATH=$MODULE

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

with=()
use_way() { # WAY
    if [ "$1" = engine ]; then
        need_engine
        with=()
        return
    fi
    # Without this the program may use the engine: many machines have both.
    with=(OPENSSL_ENGINES="$work/none")
    provider_config 2>/dev/null
}

key_file() { OPENSSL_CONF=$work/page/openssl.cnf run_page '-out key.pem' 2>/dev/null; }
