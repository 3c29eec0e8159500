#!/usr/bin/env bash
# apt: wpasupplicant eapoltest hostapd libengine-pkcs11-openssl
# wpa_supplicant with EAP-TLS, against the RADIUS server of hostapd. eapol_test takes the place of a radio.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$clients/server.bash"
. "$clients/certify.bash"

PATH=$PATH:/usr/sbin:/sbin
need eapol_test eapoltest
need hostapd hostapd
export SECRET=testing IDENTITY=machine.example

certify aws-rsa2048 aws-p256 azure-rsa2048 azure-p256 $vault_ec $google_ec
cp "$work/ca.pem" "$work/page/ca.pem"
plain_openssl req -x509 -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$work/other.key" -days 2 -subj "/CN=other" \
    -addext "basicConstraints=critical,CA:true" -out "$work/other.pem" 2>/dev/null
sed -i 's/DNS:localhost/DNS:radius.example/' "$work/leaf.cnf"
plain_openssl req -new -newkey rsa:2048 -nodes -keyout "$work/radius-key.pem" -subj "/CN=radius.example" 2>/dev/null |
    plain_openssl x509 -req -CA "$work/ca.pem" -CAkey "$work/ca.key" -days 2 -extfile "$work/leaf.cnf" -out "$work/radius.pem" 2>/dev/null
echo "127.0.0.1 $SECRET" >"$work/radius.clients"
echo '* TLS' >"$work/eap.users"
mkdir "$work/modules"
cp "$(openssl version -m | cut -d '"' -f 2)/legacy.so" "$work/modules/" 2>/dev/null || true

# The server has no module. OPENSSL_MODULES hides the provider, because hostapd 2.11 loads pkcs11-provider if it is installed.
# The server needs neither a radio nor a bridge.
start_radius() { # AUTHORITY
    PORT=$(free_port)
    export PORT
    cat >"$work/hostapd.conf" <<END
driver=none
interface=lo
logger_stdout=-1
logger_stdout_level=0
eap_server=1
eap_user_file=$work/eap.users
ca_cert=$1
server_cert=$work/radius.pem
private_key=$work/radius-key.pem
tls_flags=[ENABLE-TLSv1.3]
radius_server_clients=$work/radius.clients
radius_server_auth_port=$PORT
END
    CLOUD_KMS_PKCS11_CONFIG=/nonexistent OPENSSL_MODULES=$work/modules hostapd -dd "$work/hostapd.conf" </dev/null >"$work/server.log" 2>&1 &
    server=$!
}

says() { # PATTERN FILE
    grep -E "$1" "$2"
}

eapol() {
    run_page '^eapol_test' >"$work/eapol.log" 2>&1
}

# Checks the server's log: it has verified the key's certificate and accepted. Both ends must have derived the same keys.
authenticates() { # TLS-VERSION
    eapol || { grep -E '^(SSL|ENGINE|TLS|OpenSSL|engine|cloud-kms)' "$work/eapol.log" "$work/server.log" && return 1; }
    says '^SUCCESS$' "$work/eapol.log"
    says '^MPPE keys OK: 1  mismatch: 0$' "$work/eapol.log"
    says "preverify_ok=1 err=0 .* depth=0 buf='/CN=$label'" "$work/server.log"
    says "SSL: Using TLS version TLSv$1$" "$work/server.log"
    says 'CTRL-EVENT-EAP-SUCCESS' "$work/eapol.log"
}

refused_by_server() {
    refuse eapol
    says '^FAILURE$' "$work/eapol.log"
    says 'TLS alert: unknown CA' "$work/server.log"
}

refuses_server() {
    sed 's/radius.example/other.example/' "$work/page/network.conf" >"$work/page/network.other"
    mv "$work/page/network.other" "$work/page/network.conf"
    refuse eapol
    says "CTRL-EVENT-EAP-TLS-CERT-ERROR reason=[0-9]+ depth=0 subject='/CN=radius.example' err='Domain mismatch'" "$work/eapol.log"
}

ready() { grep -q AP-ENABLED "$work/server.log"; }

for name in aws-rsa2048 aws-p256 azure-rsa2048 azure-p256 $vault_ec $google_ec; do
    key "$name"
    export TOKEN=$label PKCS11_MODULE_PATH=$MODULE
    cp "$work/$label.pem" "$work/page/client.pem"
    run_page '^cat >network.conf' 2>/dev/null
    start_radius "$work/ca.pem"
    serves ready || true
    check "$label EAP-TLS by TLS 1.2" authenticates 1.2
    run_page '^sed -i' 2>/dev/null
    check "$label EAP-TLS by TLS 1.3" authenticates 1.3
    check "$label EAP-TLS, a server of another name" refuses_server
    stop_server
    run_page '^cat >network.conf' 2>/dev/null
    start_radius "$work/other.pem"
    serves ready || true
    check "$label EAP-TLS, a server that trusts another authority" refused_by_server
    stop_server
done
