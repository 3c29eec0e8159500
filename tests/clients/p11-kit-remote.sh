#!/usr/bin/env bash
# apt: p11-kit p11-kit-modules gnutls-bin libengine-pkcs11-openssl openssh-client openssh-server
# p11-kit server and p11-kit-client.so: use a token over a socket, locally and through ssh -R. The client's side has no
# configuration and no credentials.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$clients/lib-ssh.sh"

need p11-kit p11-kit
need "$(echo /usr/lib/*/pkcs11/p11-kit-client.so)" p11-kit-modules
need p11tool gnutls-bin

labels=(aws-rsa2048 aws-p256 azure-rsa2048 azure-p256 azure-cert-ec $vault_ec $google_ec)
home=$work/user
# Only the server has the home directory with the configuration.
files_only "$home"
mkdir "$work/empty" "$work/page"
cp "$work/data" "$work/page/file"

serves() {
    # The server keeps running, so its log goes to a separate file.
    HOME=$home run_page 'p11-kit server --provider' 2>"$work/server.log" || { cat "$work/server.log" && return 1; }
    cat "$work/page/server"
    wait_for 30 listens "$work/page/pkcs11.sock"
}

# The client's side has no configuration, so with the module itself it has no token.
has_nothing_itself() {
    HOME=$work/empty run p11tool --provider "$MODULE" --list-token-urls >"$work/urls"
    refuse grep pkcs11: "$work/urls"
}

is_only_token() { # FILE
    cat "$1"
    [ "$(grep -c '^pkcs11:' "$1")" -eq 1 ]
    grep -q "token=$label\$" "$1"
}

used_here() {
    HOME=$work/empty run_page 'p11-kit-client.so\)\np11tool' >"$work/urls"
    is_only_token "$work/urls"
    same_key "$work/page/public.pem"
    verify_and_spoil verify sha256 "$work/data" "$work/page/file.sig"
}

# p11-kit server uses a separate process for each connection.
used_at_once() {
    local i jobs=()
    for i in 1 2 3 4; do
        sed "s/-out file.sig/-out file.sig.$i/; s/public.pem/public.$i/" <<<"$(page 'p11-kit-client.so\)\np11tool')" >"$work/page/$i.sh"
        (cd "$work/page" && HOME=$work/empty TOKEN=$label exec bash -eu "$i.sh") &
        jobs+=($!)
    done
    for i in "${jobs[@]}"; do wait "$i"; done
    for i in 1 2 3 4; do verify sha256 "$work/data" "$work/page/file.sig.$i"; done
}

used_through_ssh() {
    HOST=bastion SOCKET=$work/remote.sock run_page 'ssh .*-R' 2>"$work/remote.log" || { cat "$work/remote.log" && return 1; }
    grep '^pkcs11:' "$work/remote.log" >"$work/urls"
    is_only_token "$work/urls"
    verify_and_spoil verify sha256 "$work/data" "$work/page/remote.sig"
}

# shellcheck disable=SC2317 # by later
stop_server() {
    [ ! -e "$work/page/server" ] || run_page 'server --kill'
    rm -f "$work/page/server" "$work/page/pkcs11.sock"
}

stops() {
    # shellcheck disable=SC1091
    . "$work/page/server"
    stop_server
    wait_for 30 refuse kill -0 "$P11_KIT_SERVER_PID"
    P11_KIT_SERVER_ADDRESS=unix:path=$work/page/pkcs11.sock refuse run p11tool --provider "$(echo /usr/lib/*/pkcs11/p11-kit-client.so)" \
        --batch --list-all "pkcs11:token=$label"
}

start_sshd "StreamLocalBindUnlink yes"
ssh-keygen -q -t ed25519 -N '' -f "$work/login"
cp "$work/login.pub" "$work/sshd/authorized"
ssh_host bastion "IdentityFile $work/login" "IdentitiesOnly yes"

later stop_server
check "nothing without the socket" has_nothing_itself
for name in "${labels[@]}"; do
    key "$name"
    check "$label served" serves
    check "$label through the socket" used_here
    check "$label four at once" used_at_once
    check "$label through ssh" used_through_ssh
    check "$label server ends" stops
done
