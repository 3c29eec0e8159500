#!/usr/bin/env bash
# apt: openvpn
# apt sid: pkcs11-provider
# OpenVPN as client and as server with a key in the cloud. The peer has no module.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$clients/server.bash"
. "$clients/certify.bash"

PATH=$PATH:/usr/sbin
need openvpn openvpn
export SERVER=127.0.0.1

certify aws-rsa2048 aws-p256 azure-rsa2048 azure-p256 $vault_ec $google_ec
cp "$work/ca.pem" "$work/page/ca.pem"
plain_openssl req -x509 -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$work/stranger.key" -days 2 -subj "/CN=other" \
    -addext "basicConstraints=critical,CA:true" -out "$work/stranger.pem" 2>/dev/null
plain_openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$work/peer-key.pem" -subj "/CN=peer" 2>/dev/null |
    plain_openssl x509 -req -CA "$work/ca.pem" -CAkey "$work/ca.key" -days 2 -extfile "$work/leaf.cnf" -out "$work/peer.pem" 2>/dev/null

# The peer. Its key is a file, and it trusts AUTHORITY.
start_peer() { # ROLE AUTHORITY TLS-VERSION
    local common="verb 3
proto udp4
ca $2
cert $work/peer.pem
key $work/peer-key.pem
tls-version-max $3"
    if [ "$1" = server ]; then
        cat >"$work/peer.conf" <<END
$common
server 10.8.0.0 255.255.255.0
dev tun
ifconfig-noexec
route-noexec
local $SERVER
port $PORT
dh none
remote-cert-tls client
END
    else
        cat >"$work/peer.conf" <<END
$common
client
dev null
ifconfig-noexec
route-noexec
remote $SERVER $PORT
nobind
remote-cert-tls server
verify-x509-name $TOKEN name
END
    fi
    CLOUD_KMS_PKCS11_CONFIG=/nonexistent openvpn --config "$work/peer.conf" </dev/null >"$work/peer.log" 2>&1 &
    peer=$!
}
stop_peer() {
    stop "$peer"
    peer=
}
peer=
later stop_peer

# Adds options so that OpenVPN sets no addresses and routes on this machine, and a client creates no device.
quiet_page() { # PATTERN FILE
    run_page "$1"
    # The id of a key of Google is too long for a line.
    [ "$cloud" != google ] || sed -i '/^pkcs11-id /d' "$work/page/$2"
    printf 'verb 3\nifconfig-noexec\nroute-noexec\n' >>"$work/page/$2"
    [ "$2" = server.conf ] || sed -i 's/^dev tun$/dev null/' "$work/page/$2"
}

# Finds the key's id for pkcs11-helper, which a user copies into the configuration.
shown() {
    run_page 'show-pkcs11-ids "\$MODULE"' | tee "$work/ids"
    awk -v name="CN=$label" '$1 == "DN:" { found = $2 == name } found && /Serialized id:/ { print $3 }' "$work/ids" >"$work/id"
    [ -s "$work/id" ]
}

# A failed handshake ends the check at once: OpenVPN would repeat it forever.
failure='TLS handshake failed|TLS_ERROR|VERIFY ERROR|Exiting due to fatal error'
first_of() { # FILE PATTERN: waits until FILE matches PATTERN; fails if a handshake fails before
    # shellcheck disable=SC2317
    decided() { grep -qE "$2" "$1" || grep -qE "$failure" "$work/server.log" "$work/peer.log"; }
    wait_for 30 decided "$1" "$2" || true
    tail -n 30 "$work/server.log" "$work/peer.log"
    refuse grep -E "$failure" "$work/server.log" "$work/peer.log"
    grep -E "$2" "$1"
}

# Checks the peer's log: it has verified the key's certificate, with that version of TLS.
connected() { # ROLE TLS-VERSION
    if [ "$1" = client ]; then
        first_of "$work/server.log" 'Initialization Sequence Completed$'
        grep "\[$label\] Peer Connection Initiated" "$work/peer.log"
    else
        first_of "$work/peer.log" 'Initialization Sequence Completed$'
        grep "VERIFY X509NAME OK: CN=$label$" "$work/peer.log"
    fi
    grep "VERIFY OK: depth=0, CN=$label$" "$work/peer.log"
    grep "Control Channel: TLSv$2, " "$work/peer.log"
}

# SIGUSR1 makes the client start again, with another signature.
reconnects() {
    kill -USR1 "$server"
    # shellcheck disable=SC2317
    twice() { [ "$(grep -c 'Initialization Sequence Completed$' "$work/server.log")" -eq 2 ]; }
    wait_for 30 twice || { tail -n 30 "$work/server.log" "$work/peer.log" && return 1; }
    [ "$(grep -c "\[$label\] Peer Connection Initiated" "$work/peer.log")" -eq 2 ]
}

stranger() {
    wait_for 30 grep -q 'VERIFY ERROR' "$work/peer.log" || { tail -n 30 "$work/server.log" "$work/peer.log" && return 1; }
    # Each end also sends the CA's certificate.
    grep 'VERIFY ERROR: depth=1, error=self-signed certificate in certificate chain: CN=clients CA' "$work/peer.log"
    refuse grep 'Peer Connection Initiated' "$work/peer.log"
}

run_ends() { # ROLE CONFIGURATION COMMAND AUTHORITY TLS-VERSION
    PORT=$(free_port)
    export PORT
    quiet_page "$2" "$1.conf" 2>/dev/null
    # Emptied, so that the checks don't read lines of an earlier run.
    : >"$work/server.log"
    : >"$work/peer.log"
    if [ "$1" = client ]; then
        start_peer server "$4" "$5"
        wait_for 30 grep -q 'Initialization Sequence Completed$' "$work/peer.log" || cat "$work/peer.log"
        start_page "$3"
    else
        start_page "$3"
        wait_for 30 grep -q 'Initialization Sequence Completed$' "$work/server.log" || cat "$work/server.log"
        start_peer client "$4" "$5"
    fi
}

end_both() {
    stop_server
    stop_peer
}

all_of() { # ROLE NAME CONFIGURATION COMMAND
    local version
    for version in 1.3 1.2; do
        run_ends "$1" "$3" "$4" "$work/ca.pem" "$version"
        check "$label $2, TLS $version" connected "$1" "$version"
        # With the provider, a client with an EC key connects only once; the page gives the reason.
        [ "$1 $version" != "client 1.3" ] || [ "$2 $kind" = "client by the provider ec" ] || check "$label $2, connects again" reconnects
        end_both
    done
    run_ends "$1" "$3" "$4" "$work/stranger.pem" 1.3
    check "$label $2, a peer that trusts another authority" stranger
    end_both
}

for name in aws-rsa2048 aws-p256 azure-rsa2048 azure-p256 $vault_ec $google_ec; do
    key "$name"
    export TOKEN=$label
    check "$label key's id by show-pkcs11-ids" shown
    [ "$(id -u)" -eq 0 ] && [ -e /dev/net/tun ] || { echo "no tunnel is tested: openvpn needs root and /dev/net/tun" && continue; }
    ID=$(cat "$work/id")
    export ID
    rest=
    [ "$cloud" != google ] || rest=' --pkcs11-id'
    all_of client client '^cat >client.conf.*pkcs11-id' "^openvpn --config client.conf$rest"
    all_of server server '^cat >server.conf.*pkcs11-id' "^openvpn --config server.conf$rest"
    [ "$release" = sid ] || continue
    provider_config 2>/dev/null
    cp "$work/$label.pem" "$work/page/client.pem"
    all_of client 'client by the provider' '^cat >client.conf.*type=private' '^env OPENSSL_CONF'
done
