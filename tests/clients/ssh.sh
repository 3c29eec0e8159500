#!/usr/bin/env bash
# apt: openssh-client openssh-server
# OpenSSH: ssh-keygen -D, ssh-agent with ssh-add -s, and logins to an sshd of the test.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$clients/lib-ssh.sh"

# A secp256k1 key in any token crashes the agent of OpenSSH 9.2, so these keys are hidden here. The module gets its
# settings from files, because the agent's helper has the agent's environment, often without variables of the clouds.
make_config "$work/ssh" --hide secp256k1
use_config "$work/ssh"

service_keys() { # FILE: writes the services' keys that OpenSSH supports
    each_key service_key >"$1"
    each_key service_key bound >>"$1"
    each_key service_key decrypt >>"$1"
}

has_all() { # FILE: must contain every signing key of the services
    local key
    each_key service_key >"$work/wanted"
    each_key service_key bound >>"$work/wanted"
    while read -r key; do
        grep -qF -- "$key" "$1" || { echo "missing: $key" && return 1; }
    done <"$work/wanted"
}

has_no_others() { # FILE
    cut -d' ' -f1,2 "$1" | sort -u >"$work/have"
    sort -u "$work/service-keys" >"$work/may"
    # A remaining line is a key that the services don't have.
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

# Only this key is authorised, so the login succeeds only with its signature.
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

# Without an agent, ssh loads the module itself.
provider_login() {
    service_key >"$work/sshd/authorized"
    service_key >"$work/identity.pub"
    SSH_AUTH_SOCK='' login -o PKCS11Provider="$MODULE" -o IdentitiesOnly=yes -i "$work/identity.pub"
}

# RSA and each curve, once in each cloud. The other sizes would only take time.
chosen() {
    case ${label#*-} in rsa2048 | p256 | p384 | p521) return 0 ;; esac
    return 1
}
# OpenSSH needs PKCS#1 v1.5 with SHA-2.
usable() { [ "$kind" != rsa ] || can pkcs1 sha512; }
# Before OpenSSH 10, ssh-add -T requests SHA-1 for RSA, which not all services support: the agent must refuse. Logins use SHA-2.
signs_by_agent() {
    usable || return 0
    if [ "$kind" = rsa ] && ! can pkcs1 sha1 && ssh -V 2>&1 | grep -q '^OpenSSH_[89]\.'; then
        check "$label no SHA-1 signature by the agent" refuse agent_signs
    else
        check "$label signature by the agent" agent_signs
    fi
}
logs_in() { ! usable || ! chosen || check "$label login" agent_login; }
logs_in_by_itself() { ! usable || ! chosen || check "$label login without an agent" provider_login; }

ask_pass
service_keys "$work/service-keys"
check "ssh-keygen -D" keygen_lists
# Not in a check: everything below needs the agent and sshd, and they must be child processes of this shell.
# shellcheck disable=SC2119
start_agent
# shellcheck disable=SC2119
start_sshd
check "ssh-add -s" agent_loads
for use in sign bound; do
    each_key signs_by_agent $use
    each_key logs_in $use
done
check "a key that is not authorised" unknown_key_login
check "ssh-add -e" agent_forgets
each_key logs_in_by_itself
each_key logs_in_by_itself bound

# The page's commands, with the same server.
page_logs_in() {
    service_key >"$work/sshd/authorized"
    run_block 'keys.pub' ssh
    run_block "$1" ssh --set "HOST=$HOST" >"$work/welcome"
    grep -qx welcome "$work/welcome"
    # The same commands must fail without the authorised key.
    cut -d' ' -f1,2 "$work/stranger.pub" >"$work/sshd/authorized"
    refuse run_block "$1" ssh --set "HOST=$HOST"
}
ssh_host server
export HOST=server
for name in aws-rsa2048 aws-p256 azure-rsa2048 azure-p256 $vault_keys $google_keys; do
    key "$name"
    check "$label page: agent" page_logs_in 'ssh-add -s'
    # Removes the keys from the agent, which a refused login may have left.
    ssh-add -e "$MODULE" >/dev/null 2>&1 || true
    check "$label page: no agent" page_logs_in 'ssh -I'
done

# OpenSSH skips keys of types that it does not support, and the other keys work.
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

# OpenSSH 10.6 supports Ed25519. The public key is the last 32 bytes of the service's SPKI (RFC 8410), in the form of RFC 8709.
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
