#!/usr/bin/env bash
# apt: openssh-client openssh-server openssh-sftp-server
# apt bookworm: python3-venv
# apt trixie sid: python3-asyncssh python3-pkcs11 python3-openssl
# asyncssh: logs in and copies a file over SFTP with keys in the cloud, at OpenSSH's sshd; and a server with a host key in the cloud.
user_home=$HOME
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$clients/lib-ssh.sh"
. "$clients/venv.bash"

export SOURCE=$clients/asyncssh
mkdir "$work/page"
if [ "$release" = bookworm ]; then
    venv asyncssh
    export PYTHON=$work/page/venv/bin/python
    packages asyncssh python-pkcs11
else
    export PYTHON=/usr/bin/python3
fi

labels=(aws-rsa2048 aws-p256 azure-rsa2048 azure-p384 $vault_ec $google_ec)
make_config "$work/ssh" --hide secp256k1
use_config "$work/ssh"
files_only "$work/user" --only "${labels[@]}"

logs_in() {
    service_key >"$work/sshd/authorized"
    run_page 'login.py' >"$work/welcome"
    grep -qx welcome "$work/welcome"
    # The server must refuse another key.
    cut -d' ' -f1,2 "$work/stranger.pub" >"$work/sshd/authorized"
    refuse run_page 'login.py'
}

fetches() {
    export FILE=$work/data
    rm -f "$work/page/copy"
    service_key >"$work/sshd/authorized"
    run_page 'sftp.py'
    run cmp "$work/data" "$work/page/copy"
    cut -d' ' -f1,2 "$work/stranger.pub" >"$work/sshd/authorized"
    refuse run_page 'sftp.py'
}

visit() { # the one known host key is that of ./known
    SSH_AUTH_SOCK='' timeout 60 ssh -F none -p "$1" -i "$work/stranger" -o IdentitiesOnly=yes -o UserKnownHostsFile="$work/known" \
        -o GlobalKnownHostsFile=/dev/null -o StrictHostKeyChecking=yes -o BatchMode=yes 127.0.0.1 you
}

# OpenSSH's client verifies the host with the service's public key.
host_key() {
    local port block
    port=$(free_port)
    export PORT=$port
    block=$(page 'server.py')
    cp "$work/stranger.pub" "$work/page/authorized_keys"
    (cd "$work/page" && exec bash -euc "exec $block") >"$work/server.log" 2>&1 &
    # A check runs in a subshell, so the server must end with it.
    # shellcheck disable=SC2064
    trap "kill $!; wait $! || true; cat '$work/server.log'" EXIT
    wait_for 30 listening
    echo "[127.0.0.1]:$port $(service_key)" >"$work/known"
    visit "$port" | tee "$work/said"
    grep -x 'welcome you' "$work/said"
    echo "[127.0.0.1]:$port $(cut -d' ' -f1,2 "$work/stranger.pub")" >"$work/known"
    refuse visit "$port"
}

start_sshd 'Subsystem sftp /usr/lib/openssh/sftp-server' 'MaxAuthTries 20'
ssh-keygen -q -t ed25519 -N '' -f "$work/stranger"
cp "$work/sshd/known" "$work/page/known_hosts"
export HOST=127.0.0.1
for TOKEN in "${labels[@]}"; do
    key "$TOKEN"
    export TOKEN PORT=$port
    check "$TOKEN login" logs_in
    check "$TOKEN SFTP by whichever key fits" fetches
    check "$TOKEN host key of a server" host_key
done
