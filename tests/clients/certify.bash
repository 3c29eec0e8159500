# shellcheck shell=bash
# Sourced after lib.sh by the scripts of signing tools.
#
#   certify LABEL...   makes a CA ($work/ca.pem) and a certificate for each of these keys ($work/LABEL.pem), and adds the certificates
#                      to the module's configuration. They are made from the services' public keys, without the module, so a
#                      signature that verifies under the CA was made with the service's key.
#                      keyUsage is $key_usage (default: digitalSignature).
#   plain COMMAND      runs COMMAND without the module's configuration, and without an engine or a provider
#   by WAY COMMAND     runs COMMAND; if WAY is provider, with the OpenSSL configuration of the page openssl-provider

certify() {
    plain_openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=clients CA" -days 30 \
        -keyout "$work/ca.key" -out "$work/ca.pem" -addext basicConstraints=critical,CA:TRUE \
        -addext keyUsage=critical,keyCertSign,cRLSign -addext subjectKeyIdentifier=hash 2>/dev/null
    cat >"$work/leaf.cnf" <<'END'
basicConstraints = critical, CA:FALSE
keyUsage = critical, @usage@
extendedKeyUsage = codeSigning, serverAuth, clientAuth, emailProtection
subjectAltName = DNS:localhost
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
END
    sed -i "s/@usage@/${key_usage:-digitalSignature}/" "$work/leaf.cnf"
    local name
    for name in "$@"; do
        key "$name"
        plain_openssl req -new -key "$work/ca.key" -subj "/CN=$name" |
            plain_openssl x509 -req -CA "$work/ca.pem" -CAkey "$work/ca.key" -force_pubkey "$public" -days 30 \
                -extfile "$work/leaf.cnf" -out "$work/$name.pem" 2>/dev/null
    done
    python3 - "$config" "$work" "$@" <<'END'
import json, sys
path, work, *names = sys.argv[1:]
config = json.load(open(path))
for slot in config["slots"]:
    if slot["label"] in names:
        slot["certificate_path"] = f"{work}/{slot['label']}.pem"
json.dump(config, open(path, "w"), indent=2)
END
}

plain() { CLOUD_KMS_PKCS11_CONFIG=/nonexistent OPENSSL_CONF=$work/plain.cnf run "$@"; }

by() { # WAY COMMAND...
    local way=$1
    shift
    if [ "$way" = provider ]; then
        [ -e "$work/page/openssl.cnf" ] || provider_config
        OPENSSL_CONF=$work/page/openssl.cnf "$@"
    else
        "$@"
    fi
}
