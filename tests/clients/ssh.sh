#!/usr/bin/env bash
# apt: openssh-client openssh-server
# OpenSSH: ssh-keygen -D, ssh-agent with ssh-add -s, and a login to an sshd of our own.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

for tool in ssh ssh-add ssh-agent ssh-keygen; do need "$tool" openssh-client; done
sshd=$(command -v sshd || echo /usr/sbin/sshd)
need "$sshd" openssh-server

# One secp256k1 key in any token ends OpenSSH 9.2's agent, so they are hidden here. OpenSSH needs
# nothing but files: its helper has the agent's environment, often without any cloud variable.
make_config "$work/ssh" --hide secp256k1
use_config "$work/ssh"
unset SSH_AUTH_SOCK SSH_AGENT_PID

# The public key as OpenSSH writes it, from the service's PEM.
service_key() { ssh-keygen -i -m PKCS8 -f "$public" | cut -d' ' -f1,2; }

service_keys() { # FILE: those that OpenSSH can use
    each_key service_key >"$1"
    each_key service_key decrypt >>"$1"
}

has_all() { # FILE: every signing key of the services is in it
    local key
    each_key service_key >"$work/wanted"
    while read -r key; do
        grep -qF -- "$key" "$1" || { echo "missing: $key" && return 1; }
    done <"$work/wanted"
}

has_no_others() { # FILE
    cut -d' ' -f1,2 "$1" | sort -u >"$work/have"
    sort -u "$work/service-keys" >"$work/may"
    # A line here is a key that no service has.
    refuse grep . <(comm -23 "$work/have" "$work/may")
}

keygen_lists() {
    run ssh-keygen -D "$MODULE" >"$work/keygen"
    has_all "$work/keygen"
    has_no_others "$work/keygen"
}

# -P: the agent loads only files under /usr/lib and /usr/local/lib unless told otherwise, and
# compares the path after resolving links.
start_agent() {
    local module
    module=$(readlink -f "$MODULE")
    # Not through `run`: $! would be a subshell, and the agent would outlive it.
    ssh-agent -D -P "$module" -a "$work/agent" >"$work/agent.log" 2>&1 &
    agent=$!
    later "kill $agent 2>/dev/null; wait $agent 2>/dev/null"
    export SSH_AUTH_SOCK=$work/agent
    wait_for 10 test -S "$work/agent"
}

# ssh-add asks for a PIN; ours is empty.
ask_pass() {
    printf '#!/bin/sh\nprintf "%%s\\n" "%s"\n' "$PIN" >"$work/askpass"
    chmod 700 "$work/askpass"
    export SSH_ASKPASS=$work/askpass SSH_ASKPASS_REQUIRE=force
}

agent_loads() {
    run ssh-add -s "$(readlink -f "$MODULE")"
    run ssh-add -L >"$work/agent-keys"
    has_all "$work/agent-keys"
    has_no_others "$work/agent-keys"
}

agent_signs() { # ssh-add -T: signs and verifies each public key
    service_key >"$work/one.pub"
    run ssh-add -T "$work/one.pub"
}

agent_forgets() {
    run ssh-add -e "$(readlink -f "$MODULE")"
    run ssh-add -L >"$work/agent-keys" || true
    refuse grep -q '^\(ssh-\|ecdsa-\)' "$work/agent-keys"
}

# Nothing may ask, unless the module under trial is one with a PIN.
batch=$([ -z "$PIN" ] && echo yes || echo no)

# The server: started by hand on a free port of loopback, with keys and files of its own.

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

listening() { (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; }

start_sshd() {
    mkdir -p "$work/sshd"
    ssh-keygen -q -t ed25519 -N '' -f "$work/sshd/host"
    # sshd insists on this folder when root starts it.
    [ "$(id -u)" -ne 0 ] || mkdir -p /run/sshd
    for _ in 1 2 3 4; do
        port=$(free_port)
        cat >"$work/sshd/config" <<EOF
ListenAddress 127.0.0.1:$port
HostKey $work/sshd/host
PidFile none
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PubkeyAuthentication yes
AuthorizedKeysFile $work/sshd/authorized
# The folder is below /tmp.
StrictModes no
PermitRootLogin yes
EOF
        "$sshd" -D -e -f "$work/sshd/config" 2>>"$work/sshd/log" &
        server=$!
        # Either it listens, or it has ended: then another had the port first.
        if wait_for 10 sshd_settled && listening && kill -0 "$server" 2>/dev/null; then
            later "kill $server 2>/dev/null; wait $server 2>/dev/null"
            printf '[127.0.0.1]:%s %s\n' "$port" "$(cut -d' ' -f1,2 "$work/sshd/host.pub")" >"$work/sshd/known"
            return
        fi
    done
    cat "$work/sshd/log"
    return 1
}

sshd_settled() { listening || ! kill -0 "$server" 2>/dev/null; }

login() { # OPTION...
    run ssh -F none -p "$port" -o UserKnownHostsFile="$work/sshd/known" -o StrictHostKeyChecking=yes \
        -o BatchMode="$batch" -o PreferredAuthentications=publickey "$@" "$(id -un)@127.0.0.1" echo "welcome \$SSH_CONNECTION" \
        >"$work/welcome"
    grep -q '^welcome 127.0.0.1' "$work/welcome"
}

# Only the one key is authorised, so only its signature can open the door.
agent_login() {
    service_key >"$work/sshd/authorized"
    service_key >"$work/identity.pub"
    login -o IdentitiesOnly=yes -i "$work/identity.pub"
}

unknown_key_login() {
    ssh-keygen -q -t ed25519 -N '' -f "$work/stranger"
    cut -d' ' -f1,2 "$work/stranger.pub" >"$work/sshd/authorized"
    refuse login -o IdentitiesOnly=yes -i "$work/identity.pub"
}

# Without an agent: ssh loads the module itself.
provider_login() {
    service_key >"$work/sshd/authorized"
    service_key >"$work/identity.pub"
    SSH_AUTH_SOCK='' login -o PKCS11Provider="$MODULE" -o IdentitiesOnly=yes -i "$work/identity.pub"
}

# RSA and each curve, once in each cloud: the other sizes only cost time.
chosen() {
    case ${label#*-} in rsa2048 | p256 | p384 | p521) return 0 ;; esac
    return 1
}
# For RSA, ssh-add -T asks for SHA-1, which no cloud signs with: the agent has to say no, and logins use SHA-2.
signs_by_agent() {
    if [ "$kind" = rsa ]; then
        check "$label no SHA-1 signature by the agent" refuse agent_signs
    else
        check "$label signature by the agent" agent_signs
    fi
}
logs_in() { ! chosen || check "$label login" agent_login; }
logs_in_by_itself() { ! chosen || check "$label login without an agent" provider_login; }

ask_pass
service_keys "$work/service-keys"
check "ssh-keygen -D" keygen_lists
# Not checks: without them nothing below has a meaning, and the processes must be this shell's own.
start_agent
start_sshd
check "ssh-add -s" agent_loads
each_key signs_by_agent
each_key logs_in
check "a key that is not authorised" unknown_key_login
check "ssh-add -e" agent_forgets
each_key logs_in_by_itself
