#!/usr/bin/env bash
# apt: strongswan-pki libstrongswan-standard-plugins libstrongswan-extra-plugins charon-systemd strongswan-swanctl
# strongSwan: pki makes certificates; a gateway authenticates in IKEv2. The peer is another charon without the module.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$clients/server.bash"

PATH=$PATH:/usr/sbin
need pki strongswan-pki
need charon-systemd charon-systemd
need swanctl strongswan-swanctl

# If pki fails, its output has the error, its help, and the module's log.
public_key() {
    run_page 'pki.conf <<END'
    run_page 'pki --pub'
    same_key "$work/page/ca-public.pem"
}

# Changes the last byte, which is part of the signature.
spoilt() { # KIND FILE
    run plain_openssl "$1" -in "$2" -outform DER -out "$work/spoil.der"
    spoil "$work/spoil.der" >/dev/null
    run plain_openssl "$1" -inform DER -in "$work/spoil.der.spoilt" -out "$work/spoilt.pem"
}

self_signed() { # FILE
    run plain_openssl verify -check_ss_sig -CAfile "$1" "$1"
    spoilt x509 "$1"
    refuse plain_openssl verify -check_ss_sig -CAfile "$work/spoilt.pem" "$work/spoilt.pem"
}

makes_authority() {
    run_page "pki --self --keyid .* --lifetime"
    same_key <(plain_openssl x509 -in "$work/page/ca.pem" -noout -pubkey)
    self_signed "$work/page/ca.pem"
}

makes_pss() {
    run_page 'rsa-padding pss'
    plain_openssl x509 -in "$work/page/ca-pss.pem" -noout -text | grep 'Signature Algorithm: rsassaPss'
    self_signed "$work/page/ca-pss.pem"
}

# Older versions of OpenSSL exit with 0 even if the verification fails, so the output is checked.
request_verifies() { plain_openssl req -verify -noout -in "$1" 2>&1 | grep 'verify OK'; }
list_verifies() { plain_openssl crl -in "$1" -CAfile "$work/page/ca.pem" -noout 2>&1 | grep 'verify OK'; }

requests() {
    run_page 'pki --req'
    same_key <(plain_openssl req -in "$work/page/gateway.csr" -noout -pubkey)
    request_verifies "$work/page/gateway.csr"
    spoilt req "$work/page/gateway.csr"
    refuse request_verifies "$work/spoilt.pem"
}

issues() {
    run_page 'pki --issue'
    run plain_openssl verify -CAfile "$work/page/ca.pem" "$work/page/gateway.pem"
    refuse plain_openssl verify -CAfile "$work/other-ca.pem" "$work/page/gateway.pem"
    spoilt x509 "$work/page/gateway.pem"
    refuse plain_openssl verify -CAfile "$work/page/ca.pem" "$work/spoilt.pem"
}

revokes() {
    run_page 'signcrl'
    list_verifies "$work/page/ca.crl"
    plain_openssl verify -crl_check -CRLfile "$work/page/ca.crl" -CAfile "$work/page/ca.pem" "$work/page/gateway.pem" >"$work/out" 2>&1 || true
    cat "$work/out"
    grep 'certificate revoked' "$work/out"
    spoilt crl "$work/page/ca.crl"
    refuse list_verifies "$work/spoilt.pem"
}

# The peer has no module, and its key is a file. The gateway trusts it through a separate CA.
start_peer() { # how it knows the gateway: a line of swanctl.conf
    mkdir -p "$work/peer/x509" "$work/peer/x509ca" "$work/peer/private" "$work/stranger/x509ca"
    cp "$work/peer.pem" "$work/peer/x509/"
    cp "$work/peer-key.pem" "$work/peer/private/"
    cp "$work/other-ca.pem" "$work/stranger/x509ca/"
    cat >"$work/peer/charon.conf" <<END
charon-systemd {
    load = random nonce x509 revocation constraints pubkey pem pkcs1 pkcs8 openssl kdf kernel-netlink socket-default vici
    port = $(free_port)
    port_nat_t = 0
    install_routes = no
    routing_table = 0
    plugins {
        vici {
            socket = unix://$work/peer/vici
        }
    }
}
END
    cat >"$work/peer/swanctl.conf" <<END
connections {
    gateway {
        version = 2
        local_addrs = 127.0.0.2
        remote_addrs = 127.0.0.1
        remote_port = $PORT
        childless = force
        local {
            auth = pubkey
            certs = peer.pem
            id = peer.example
        }
        remote {
            auth = pubkey
            $1
        }
    }
}
END
    cp -r "$work/peer/swanctl.conf" "$work/peer/x509" "$work/peer/private" "$work/stranger/"
    STRONGSWAN_CONF=$work/peer/charon.conf CLOUD_KMS_PKCS11_CONFIG=/nonexistent charon-systemd </dev/null >"$work/peer.log" 2>&1 &
    peer=$!
}
stop_peer() {
    stop "$peer"
    peer=
}
peer=
later stop_peer

peer_control() { # FOLDER ARGUMENT...
    local folder=$1
    shift
    STRONGSWAN_CONF=$work/peer/charon.conf SWANCTL_DIR=$work/$folder timeout 60 swanctl "$@" --uri "unix://$work/peer/vici"
}

loads() {
    run_page 'load-all' | tee "$work/loaded"
    grep "^loaded key token-gateway from token" "$work/loaded"
    grep "^successfully loaded 1 connections" "$work/loaded"
}

authenticates() {
    cp "$work/page/ca.pem" "$work/peer/x509ca/"
    wait_for 30 listens "$work/peer/vici"
    peer_control peer --load-creds --clear --noprompt
    peer_control peer --load-conns
    peer_control peer --initiate --ike gateway --timeout 15 | tee "$work/initiated"
    grep "authentication of '$identity' with $scheme successful" "$work/initiated"
    run_page 'list-sas' | tee "$work/sas"
    grep '^gateway: .*ESTABLISHED' "$work/sas"
    peer_control peer --terminate --ike gateway
}

refused_by_stranger() {
    peer_control stranger --load-creds --clear --noprompt
    refuse peer_control stranger --initiate --ike gateway --timeout 15 2>&1 | tee "$work/initiated"
    grep "no trusted .* public key found for 'gateway.example'" "$work/initiated"
}

plain_openssl req -x509 -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$work/other-key.pem" -days 2 -subj "/CN=Peers" \
    -addext "basicConstraints=critical,CA:true" -addext "keyUsage=critical,keyCertSign,cRLSign" -out "$work/other-ca.pem" 2>/dev/null
plain_openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$work/peer-key.pem" -subj "/CN=peer.example" 2>/dev/null |
    plain_openssl x509 -req -CA "$work/other-ca.pem" -CAkey "$work/other-key.pem" -CAcreateserial -days 2 \
        -extfile <(echo 'subjectAltName = DNS:peer.example') -out "$work/peer.pem" 2>/dev/null

certificates() { # AUTHORITY GATEWAY
    rm -rf "$work/page"
    mkdir "$work/page"
    key "$2"
    export KEY=$id
    key "$1"
    export CA=$id
    check "$1 public key" public_key
    check "$1 self-signed certificate" makes_authority
    ! can pss || [ "$release" = bookworm ] || check "$1 self-signed certificate, PSS" makes_pss
    key "$2"
    check "$2 certificate request" requests
    check "$1 certificate issued" issues
    check "$1 list of revoked certificates" revokes
}

# strongSwan 5.9 makes all RSA signatures with PKCS#1 v1.5. Peers negotiate SHA-2, and in newer versions PSS.
gateway() { # LABEL
    [ "$(id -u)" -eq 0 ] || { echo "no gateway is tested: charon needs root" && return; }
    key "$1"
    scheme=ECDSA
    [ "$kind" != rsa ] || scheme=RSA
    scheme="$scheme[A-Z0-9_-]*"
    PORT=$(free_port)
    export PORT
    run_page 'charon.conf <<END' 2>/dev/null
    cp "$work/other-ca.pem" "$work/page/x509ca/"
    run_page 'swanctl.conf <<END' 2>/dev/null
    start_page 'env STRONGSWAN_CONF'
    identity=gateway.example
    start_peer "id = $identity"
    check "$1 gateway starts" serves listens "$work/page/vici"
    check "$1 gateway's key from the token" loads
    check "$1 IKEv2 gateway" authenticates
    check "$1 IKEv2 gateway, a peer that trusts another authority" refused_by_stranger
    stop_peer
    stop_server
    rm -rf "$work/peer" "$work/stranger"
}

# Key Vault's certificate is self-signed, so the peer has a copy of it.
gateway_of_token() { # LABEL
    [ "$(id -u)" -eq 0 ] || return 0
    rm -rf "$work/page"
    mkdir -p "$work/page" "$work/peer/x509"
    key "$1"
    cp "$certificate" "$work/peer/x509/gateway.pem"
    cp "$certificate" "$work/page/ca.pem"
    cp "$certificate" "$work/page/gateway.pem"
    scheme='[RE][A-Z0-9_-]*'
    PORT=$(free_port)
    export PORT KEY=$id
    run_page 'charon.conf <<END' 2>/dev/null
    rm "$work"/page/x509/* "$work"/page/x509ca/*
    cp "$work/other-ca.pem" "$work/page/x509ca/"
    run_page 'cert-token' 2>/dev/null
    start_page 'env STRONGSWAN_CONF'
    identity=CN=${1#azure-}
    start_peer 'certs = gateway.pem'
    check "$1 gateway starts" serves listens "$work/page/vici"
    check "$1 gateway's key from the token" loads
    check "$1 IKEv2 gateway, certificate from the token" authenticates
    stop_peer
    stop_server
    rm -rf "$work/peer" "$work/stranger"
}

# strongSwan looks for a CKA_ID in all tokens, and keys of Azure and Vault with the same name have the same CKA_ID.
only() { # CLOUD...: the module has the keys of these clouds
    python3 - "$config" "$work/only.json" "$@" <<'END'
import json, sys
source, target, *clouds = sys.argv[1:]
config = json.load(open(source))
config["slots"] = [slot for slot in config["slots"] if slot["cloud"] in clouds]
json.dump(config, open(target, "w"))
END
    export CLOUD_KMS_PKCS11_CONFIG=$work/only.json
}

only aws azure
gateway_of_token azure-cert-rsa
certificates aws-p256 azure-rsa2048
gateway azure-rsa2048
certificates azure-rsa2048 aws-p256
gateway aws-p256
certificates aws-rsa2048 azure-p256
certificates azure-p256 aws-rsa2048
gateway aws-rsa2048
certificates aws-p384 azure-p384
gateway azure-p384
only google
certificates "$google_rsa" "$google_ec"
gateway "$google_ec"
if [ -n "$vault_rsa" ]; then
    only vault
    certificates "$vault_ec" "$vault_rsa"
    gateway "$vault_rsa"
fi
