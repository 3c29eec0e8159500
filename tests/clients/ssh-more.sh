#!/usr/bin/env bash
# apt: openssh-client openssh-server
# OpenSSH: signs files, and signs user certificates as a CA, with -D and through an agent that gets its settings from files.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$clients/lib-ssh.sh"

labels=(aws-rsa2048 aws-p256 aws-p384 azure-rsa2048 azure-p256 azure-cert-ec $vault_keys $google_keys)
make_config "$work/ssh" --hide secp256k1
use_config "$work/ssh"
files_only "$work/user" --only "${labels[@]}"
mkdir "$work/page"
cp "$work/data" "$work/page/file"
USER=$(id -un)
export USER HOST=server

service_key_only() {
    run_page 'ssh-keygen -D .* >keys.pub'
    [ "$(cut -d' ' -f1,2 "$work/page/key.pub")" = "$(service_key)" ]
}

file_verified() { # DATA SIGNATURE: verifies with the service's key, without the agent
    SSH_AUTH_SOCK='' run ssh-keygen -Y verify -n file -f "$work/allowed" -I service -s "$2" <"$1"
}

signs_file() {
    rm -f "$work/page/file.sig"
    run_page '-Y sign'
    echo "service $(service_key)" >"$work/allowed"
    file_verified "$work/data" "$work/page/file.sig"
    refuse file_verified "$work/other" "$work/page/file.sig"
    # Changes the last byte of the signature inside the armour.
    grep -v -- ----- "$work/page/file.sig" | base64 -d >"$work/signature"
    { echo '-----BEGIN SSH SIGNATURE-----' && base64 "$(spoil "$work/signature")" && echo '-----END SSH SIGNATURE-----'; } >"$work/armoured"
    refuse file_verified "$work/data" "$work/armoured"
}

# The server trusts the service's key as a CA, and no user key.
certificate_login() { # PATTERN of the block that signs
    rm -f "$work/page/user"*
    ssh-keygen -q -t ed25519 -N '' -f "$work/page/user"
    service_key >"$work/sshd/authority"
    SSH_AUTH_SOCK='' refuse run_page 'ssh -i user'
    run_page "$1"
    SSH_AUTH_SOCK='' run_page 'ssh -i user' >"$work/welcome"
    grep -qx welcome "$work/welcome"
    # A certificate of another CA, which differs only in the key that has signed it.
    cut -d' ' -f1,2 "$work/stranger.pub" >"$work/sshd/authority"
    SSH_AUTH_SOCK='' refuse run_page 'ssh -i user'
}

agent_forgets() {
    run ssh-add -e "$MODULE"
    refuse run ssh-keygen -Y sign -n file -f "$work/page/key.pub" "$work/page/file"
}

ask_pass
# The agent and its helper have only HOME and PATH.
start_agent -i HOME="$HOME" PATH="$PATH" ${SPOIL_MODULE:+SPOIL_MODULE="$SPOIL_MODULE"}
start_sshd "TrustedUserCAKeys $work/sshd/authority"
: >"$work/sshd/authorized"
ssh-keygen -q -t ed25519 -N '' -f "$work/stranger"
ssh_host server "IdentitiesOnly yes"
for name in "${labels[@]}"; do
    key "$name"
    export TOKEN=$label
    check "$label public key" service_key_only
    check "$label signed file" signs_file
    check "$label authority by -D" certificate_login 'keygen -s key.pub -D'
    check "$label authority by the agent" certificate_login 'keygen -U -s key.pub'
    check "$label taken from the agent" agent_forgets
done
