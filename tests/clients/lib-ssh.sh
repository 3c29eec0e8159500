# shellcheck shell=bash disable=SC2153,SC2154
# Sourced after lib.sh by scripts that use OpenSSH: starts an ssh-agent and an sshd for the test.
#
#   start_agent [ENV-ARGUMENT...]  starts an agent and sets SSH_AUTH_SOCK; the arguments are passed to env, and set the environment of
#                                  the agent and its helper
#   start_sshd [LINE...]           starts sshd on a free port of 127.0.0.1, with LINEs added to its configuration; sets $port
#   ssh_host NAME [LINE...]        from now on `ssh NAME` connects to that sshd, without the user's own files
#   login [OPTION...]              logs in to that sshd, which accepts only the keys in $work/sshd/authorized

for tool in ssh ssh-add ssh-agent ssh-keygen; do need "$tool" openssh-client; done
sshd=$(command -v sshd || echo /usr/sbin/sshd)
need "$sshd" openssh-server
unset SSH_AUTH_SOCK SSH_AGENT_PID

# Prints the service's public key in OpenSSH's format.
service_key() { ssh-keygen -i -m PKCS8 -f "$public" | cut -d' ' -f1,2; }

# Without -P, the agent loads only modules under /usr/lib and /usr/local/lib. It compares the path after it has
# resolved symbolic links.
start_agent() { # [ENV-ARGUMENT...]
    local module
    module=$(readlink -f "$MODULE")
    # Without `run`: otherwise $! is a subshell, and the agent keeps running after that has ended.
    env "$@" ssh-agent -D -P "$module" -a "$work/agent" >"$work/agent.log" 2>&1 &
    agent=$!
    later "kill $agent 2>/dev/null; wait $agent 2>/dev/null"
    export SSH_AUTH_SOCK=$work/agent
    wait_for 30 agent_answers
}

agent_answers() { ssh-add -l || [ $? -eq 1 ]; } # status 1: the agent has no keys; 2: no agent answers

# ssh-add asks for a PIN. This module's PIN is empty.
ask_pass() {
    printf '#!/bin/sh\nprintf "%%s\\n" "%s"\n' "$PIN" >"$work/askpass"
    chmod 700 "$work/askpass"
    export SSH_ASKPASS=$work/askpass SSH_ASKPASS_REQUIRE=force
}

# ssh must not ask for a PIN, unless the module under test needs one.
batch=$([ -z "$PIN" ] && echo yes || echo no)

# sshd runs on a free port of 127.0.0.1, with its own host key and files.

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

listening() { (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; }

start_sshd() { # [LINE...]
    mkdir -p "$work/sshd"
    ssh-keygen -q -t ed25519 -N '' -f "$work/sshd/host"
    # Since OpenSSH 9.8, sshd blocks clients whose logins have failed, and some logins here must fail.
    local penalties=()
    "$sshd" -t -o PerSourcePenalties=no -o HostKey="$work/sshd/host" -f /dev/null 2>/dev/null && penalties=(PerSourcePenalties no)
    # sshd requires this folder when root starts it.
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
# With StrictModes sshd refuses these files, because their folder is below /tmp.
StrictModes no
PermitRootLogin yes
${penalties[*]}
$(printf '%s\n' "$@")
EOF
        "$sshd" -D -e -f "$work/sshd/config" 2>>"$work/sshd/log" &
        server=$!
        # sshd listens, or it has ended because another process had taken the port.
        if wait_for 30 sshd_settled && listening && kill -0 "$server" 2>/dev/null; then
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

ssh_host() { # NAME [LINE...]
    cat >"$work/sshd/client" <<EOF
Host $1
HostName 127.0.0.1
Port $port
User $(id -un)
BatchMode $batch
PreferredAuthentications publickey
UserKnownHostsFile $work/sshd/known
StrictHostKeyChecking yes
$(printf '%s\n' "${@:2}")
EOF
    mkdir -p "$work/bin"
    printf '#!/bin/sh\nexec %q -F %q "$@"\n' "$(command -v ssh)" "$work/sshd/client" >"$work/bin/ssh"
    chmod 700 "$work/bin/ssh"
    export PATH=$work/bin:$PATH
}
