#!/usr/bin/env bash
# apt: openssh-client openssh-server
# OpenSSH: ssh-keygen -D, ssh-agent with ssh-add -s, and a login to an sshd of our own.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$clients/lib-ssh.sh"

# One secp256k1 key in any token ends OpenSSH 9.2's agent, so they are hidden here. OpenSSH needs
# nothing but files: its helper has the agent's environment, often without any cloud variable.
make_config "$work/ssh" --hide secp256k1
use_config "$work/ssh"

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
# For RSA, ssh-add -T asked for SHA-1 before OpenSSH 10, which no cloud signs with: the agent has to say no, and logins use SHA-2.
signs_by_agent() {
    if [ "$kind" = rsa ] && ssh -V 2>&1 | grep -q '^OpenSSH_[89]\.'; then
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
# shellcheck disable=SC2119
start_agent
# shellcheck disable=SC2119
start_sshd
check "ssh-add -s" agent_loads
each_key signs_by_agent
each_key logs_in
check "a key that is not authorised" unknown_key_login
check "ssh-add -e" agent_forgets
each_key logs_in_by_itself

# The page's commands, to the same server.
page_logs_in() {
    service_key >"$work/sshd/authorized"
    run_page 'keys.pub'
    run_page "$1" >"$work/welcome"
    grep -qx welcome "$work/welcome"
    # Nobody else comes in with the same commands.
    cut -d' ' -f1,2 "$work/stranger.pub" >"$work/sshd/authorized"
    refuse run_page "$1"
}
ssh_host server
export HOST=server
for name in aws-rsa2048 aws-p256 azure-rsa2048 azure-p256; do
    key "$name"
    check "$label page: agent" page_logs_in 'ssh-add -s'
    # The agent is empty again, or has what the refused login left.
    ssh-add -e "$MODULE" >/dev/null 2>&1 || true
    check "$label page: no agent" page_logs_in 'ssh -I'
done

# Keys that OpenSSH does not know are passed over, and do no harm to the others.
passes_over() {
    run ssh-keygen -D "$MODULE" >"$work/listed" 2>"$work/said"
    cat "$work/said"
    [ "$(grep -c 'skipping unsupported key type' "$work/said")" -ge 1 ]
    local name
    for name in aws-p256 azure-rsa2048; do
        key "$name"
        grep -F "$(service_key)" "$work/listed"
    done
    [ "$release" = sid ] || refuse grep ed25519 "$work/listed"
}
all_uses
check "beside Ed25519 and ML-DSA keys" passes_over

# OpenSSH 10.6 knows Ed25519. Its public key is the last 32 bytes of the service's SPKI (RFC 8410), here as RFC 8709 has it.
edwards_login() {
    plain_openssl pkey -pubin -in "$public" -pubout -outform DER | tail -c 32 >"$work/point"
    { printf '\0\0\0\013ssh-ed25519\0\0\0\040' && cat "$work/point"; } | base64 -w 0 | sed 's/^/ssh-ed25519 /' >"$work/sshd/authorized"
    cp "$work/sshd/authorized" "$work/identity.pub"
    login -o IdentitiesOnly=yes -i "$work/identity.pub" -o PKCS11Provider="$MODULE"
    ssh-keygen -q -t ed25519 -N '' -f "$work/other-edwards"
    cut -d' ' -f1,2 "$work/other-edwards.pub" >"$work/sshd/authorized"
    refuse login -o IdentitiesOnly=yes -i "$work/identity.pub" -o PKCS11Provider="$MODULE"
}
if [ "$release" = sid ]; then
    key aws-ed25519
    check "$label login" edwards_login
fi
