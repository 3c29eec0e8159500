#!/usr/bin/env bash
# apt: gcc p11-kit p11-kit-modules
# Tests the calls of Choria's pkcs11 provider, with the project's program and the same Go package: slot 0 of p11-kit's client module,
# through which p11-kit serves one token. Choria itself does not run.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

need go "Go 1.25 or newer"
need gcc gcc
need p11-kit p11-kit
CLIENT=$(pkg-config --variable=p11_module_path p11-kit-1 2>/dev/null || echo "/usr/lib/$(gcc -print-multiarch)/pkcs11")/p11-kit-client.so
need "$CLIENT" p11-kit-modules
. "$clients/go.bash"
export CLIENT XDG_RUNTIME_DIR=$work

echo "choria: building the test program (a minute the first time)"
{ modules && run_page 'go build'; } >"$work/install.log" 2>&1 || { cat "$work/install.log" && exit 1; }
cp "$work/data" "$work/page/data"

stop_server() {
    local P11_KIT_SERVER_PID=
    [ -e "$work/page/server.env" ] || return 0
    # shellcheck disable=SC1091 # written by p11-kit
    . "$work/page/server.env"
    rm -f "$work/page/server.env"
    [ -n "$P11_KIT_SERVER_PID" ] && kill "$P11_KIT_SERVER_PID" 2>/dev/null || return 0
    # A p11-kit server that ends removes the socket, even if the next server has created it.
    # shellcheck disable=SC2317
    ended() { ! kill -0 "$P11_KIT_SERVER_PID"; }
    wait_for 30 ended
}
later stop_server

through_socket() {
    rm -f "$work/page/signature" "$work/page/public.pem"
    trap stop_server EXIT
    run_page 'p11-kit server'
    wait_for 30 listens "$work/page/socket"
    run_page '/remote -driver' >"$work/said"
    cat "$work/said"
    if [ "$certificate" = - ]; then from='public key'; else from=certificate; fi
    grep -qx "signed with $label; key from its $from" "$work/said"
    same_key "$work/page/public.pem"
    verify_and_spoil verify sha256 "$work/data" "$work/page/signature"
}

with_key() {
    # crypto/x509 has no secp256k1.
    [ "$curve" = P-256K ] || check "$label in slot 0" through_socket
}

each_key with_key
