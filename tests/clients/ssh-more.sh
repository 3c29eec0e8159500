#!/usr/bin/env bash
# apt: openssh-client openssh-server
# OpenSSH: signed files, and an authority that signs user certificates, with -D and by an agent that has files only.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$clients/lib-ssh.sh"

labels=(aws-rsa2048 aws-p256 aws-p384 azure-rsa2048 azure-p256 azure-cert-ec)
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

file_verified() { # DATA SIGNATURE: by the service's key, which the agent doesn't come into
    SSH_AUTH_SOCK='' run ssh-keygen -Y verify -n file -f "$work/allowed" -I service -s "$2" <"$1"
}

signs_file() {
    rm -f "$work/page/file.sig"
    run_page '-Y sign'
    echo "service $(service_key)" >"$work/allowed"
    file_verified "$work/data" "$work/page/file.sig"
    refuse file_verified "$work/other" "$work/page/file.sig"
    # The signature's own last byte, below the armour.
    grep -v -- ----- "$work/page/file.sig" | base64 -d >"$work/signature"
    { echo '-----BEGIN SSH SIGNATURE-----' && base64 "$(spoil "$work/signature")" && echo '-----END SSH SIGNATURE-----'; } >"$work/armoured"
    refuse file_verified "$work/data" "$work/armoured"
}

# The server trusts the service's key as authority, and no key of a user.
certificate_login() { # PATTERN of the block that signs
    rm -f "$work/page/user"*
    ssh-keygen -q -t ed25519 -N '' -f "$work/page/user"
    service_key >"$work/sshd/authority"
    SSH_AUTH_SOCK='' refuse run_page 'ssh -i user'
    run_page "$1"
    SSH_AUTH_SOCK='' run_page 'ssh -i user' >"$work/welcome"
    grep -qx welcome "$work/welcome"
    # Another authority's certificate: the same, but for the key that signed.
    cut -d' ' -f1,2 "$work/stranger.pub" >"$work/sshd/authority"
    SSH_AUTH_SOCK='' refuse run_page 'ssh -i user'
}

agent_forgets() {
    run ssh-add -e "$MODULE"
    refuse run ssh-keygen -Y sign -n file -f "$work/page/key.pub" "$work/page/file"
}

ask_pass
# The agent and its helper: nothing but HOME and PATH.
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
