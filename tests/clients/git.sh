#!/usr/bin/env bash
# apt: git openssh-client openssh-server gnupg-pkcs11-scd gpg gpg-agent gpgconf
# apt trixie sid: gpgsm
# Git: signs commits and tags through ssh-agent, GnuPG and gpgsm; pushes and clones a repository over SSH.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$clients/lib-ssh.sh"
. "$clients/certify.bash"

need git git
for tool in gpg gpg-agent gpgconf gnupg-pkcs11-scd; do need $tool $tool; done

labels=(aws-rsa2048 aws-p256 azure-rsa2048 azure-p256 $vault_keys $google_keys)
all_uses
# OpenSSH supports Ed25519 keys in PKCS#11 tokens since version 10.1.
ssh -V 2>&1 | grep -qE '^OpenSSH_([89]|10\.0)' || labels+=(aws-ed25519)
certify "${labels[@]}"
files_only "$work/user" --only "${labels[@]}"
mkdir "$work/page"
export REPOSITORY=server:$work/project.git EMAIL=me@example.org GIT_CONFIG_NOSYSTEM=1

# ssh-keygen can't convert Ed25519 keys.
public_key() {
    [ "$kind" = ed25519 ] || { service_key && return; }
    python3 - "$(plain_openssl pkey -pubin -in "$public" -outform DER | base64)" <<'PY'
import base64, sys
key = base64.b64decode(sys.argv[1])[-32:]
print("ssh-ed25519", base64.b64encode(b"\0\0\0\x0bssh-ed25519\0\0\0\x20" + key).decode())
PY
}

git_without_the_agent() { SSH_AUTH_SOCK='' run git -C "$work/page/project" "$@"; }

# Separates the object in the repository into the signed data and the signature.
take_out() { # REVISION: $work/signed and $work/signature
    git -C "$work/page/project" cat-file -p "$1" >"$work/object"
    python3 - "$work" <<'PY'
import re, sys
work = sys.argv[1]
data = open(work + "/object", "rb").read()
head, mark, rest = data.partition(b"\ngpgsig ")
if mark:
    # In a commit the signature is a header. Its continuation lines start with a space.
    lines = re.match(rb"[^\n]*(\n [^\n]*)*", rest)[0]
    signed, signature = head + rest[len(lines):], lines.replace(b"\n ", b"\n")
else:
    at = data.index(b"-----BEGIN")
    signed, signature = data[:at], data[at:]
open(work + "/signed", "wb").write(signed)
open(work + "/signature", "wb").write(signature.rstrip(b"\n") + b"\n")
PY
}

ssh_verified() { # DATA SIGNATURE: by the service's key
    SSH_AUTH_SOCK='' run ssh-keygen -Y verify -n git -f "$work/allowed" -I me@example.org -s "$2" <"$1"
}

independently() { # REVISION
    take_out "$1"
    ssh_verified "$work/signed" "$work/signature"
    refuse ssh_verified "$work/other" "$work/signature"
    # Changes the last byte of the signature inside the armour.
    grep -v -- ----- "$work/signature" | base64 -d >"$work/bare"
    { echo '-----BEGIN SSH SIGNATURE-----' && base64 "$(spoil "$work/bare")" && echo '-----END SSH SIGNATURE-----'; } >"$work/armoured"
    refuse ssh_verified "$work/signed" "$work/armoured"
}

begins() {
    rm -rf "$work/page/project" "$work/page/copy" "$HOME/.gitconfig"
    run_block 'keys.pub' git 2>/dev/null
    run_page 'user.name'
    run_block 'commit.gpgsign' git
    run_page 'git init'
    run_block 'namespaces' git
    echo "me@example.org $(public_key)" >"$work/allowed"
}

commits() {
    begins
    run_page 'verify-commit' | tee "$work/said"
    grep 'Good "git" signature for me@example.org' "$work/said"
    independently HEAD
    # The same signature in another commit.
    local other
    other=$(sed 's/^A file$/Another/' "$work/object" | git -C "$work/page/project" hash-object -t commit -w --stdin)
    refuse git_without_the_agent verify-commit "$other"
}

tags() {
    git_without_the_agent verify-tag v1
    independently v1
    local other
    other=$(sed 's/^The first version$/Another/' "$work/object" | git -C "$work/page/project" hash-object -t tag -w --stdin)
    refuse git_without_the_agent verify-tag "$other"
}

over_ssh() {
    rm -rf "$work/project.git" "$work/page/copy"
    git init --quiet --bare "$work/project.git"
    public_key >"$work/sshd/authorized"
    SSH_AUTH_SOCK='' run_block 'GIT_SSH_COMMAND' git --set "REPOSITORY=$REPOSITORY"
    run cmp <(git -C "$work/page/copy" rev-parse HEAD) <(git -C "$work/page/project" rev-parse HEAD)
    rm -rf "$work/page/copy"
    cut -d' ' -f1,2 "$work/stranger.pub" >"$work/sshd/authorized"
    SSH_AUTH_SOCK='' refuse run_page 'GIT_SSH_COMMAND'
}

by_gnupg() {
    export GNUPGHOME=$work/gnupg-$TOKEN
    files_only "$work/gnupg-home-$TOKEN" --only "$TOKEN"
    cp "$work/user/.gitconfig" "$HOME"
    run_page 'scdaemon-program' gnupg-pkcs11-scd
    run_page 'card-status' gnupg-pkcs11-scd
    run_page 'gen-key' gnupg-pkcs11-scd
    run_page 'gpg.format=openpgp'

    # Another user, without the module.
    local other=$work/other-$TOKEN
    mkdir "$other"
    plain gpg --homedir "$other" --batch --import "$work/page/public.asc"
    take_out HEAD
    plain gpg --homedir "$other" --batch --verify "$work/signature" "$work/signed"
    refuse plain gpg --homedir "$other" --batch --verify "$work/signature" "$work/other"
    GNUPGHOME=$other git_without_the_agent verify-commit HEAD
}

x509_verified() { # DATA SIGNATURE
    plain openssl cms -verify -binary -inform DER -in "$2" -content "$1" -purpose any -CAfile "$work/ca.pem" -signer "$work/signer.pem" \
        -out /dev/null
}

by_gpgsm() {
    export GNUPGHOME=$work/gpgsm-$TOKEN
    files_only "$work/gpgsm-home-$TOKEN" --only "$TOKEN"
    cp "$work/user/.gitconfig" "$HOME"
    cp "$work/ca.pem" "$work/page"
    run_page 'scdaemon-program' gnupg-pkcs11-scd
    run_page 'learn-card'
    run_page 'gpg.format=x509'

    take_out HEAD
    grep -v -- ----- "$work/signature" | base64 -d >"$work/cms"
    x509_verified "$work/signed" "$work/cms"
    run plain_openssl x509 -in "$work/signer.pem" -noout -pubkey >"$work/signer.pub"
    same_key "$work/signer.pub"
    refuse x509_verified "$work/other" "$work/cms"
    # Changes the last byte of the signature, which is before the zeros that end a structure of indefinite length.
    python3 -c 'import sys; d = open(sys.argv[1], "rb").read().rstrip(b"\0"); z = len(open(sys.argv[1], "rb").read()) - len(d)
open(sys.argv[2], "wb").write(d[:-9] + bytes([d[-9] ^ 1]) + d[-8:] + bytes(z))' "$work/cms" "$work/cms.other"
    refuse x509_verified "$work/signed" "$work/cms.other"
}

ask_pass
# The agent and its helper have only HOME and PATH.
start_agent -i HOME="$HOME" PATH="$PATH" ${SPOIL_MODULE:+SPOIL_MODULE="$SPOIL_MODULE"}
# shellcheck disable=SC2119
start_sshd
ssh-keygen -q -t ed25519 -N '' -f "$work/stranger"
ssh_host server
for TOKEN in "${labels[@]}"; do
    key "$TOKEN"
    check "$TOKEN commit signed by ssh" commits
    check "$TOKEN tag signed by ssh" tags
    check "$TOKEN push and clone over ssh" over_ssh
    # Removes the keys from the agent, so that the next key starts from the same state.
    ssh-add -e "$MODULE" >/dev/null 2>&1 || true
done
for TOKEN in aws-rsa2048 azure-rsa2048 $vault_rsa; do
    key "$TOKEN"
    later "for home in gnupg gpgsm other; do gpgconf --homedir '$work/'\$home'-$TOKEN' --kill all || true; done"
    check "$TOKEN commit signed by GnuPG" by_gnupg
    # gpgsm 2.2 in Debian 12 makes some RSA signatures that are one byte too long.
    [ "$release" = bookworm ] || check "$TOKEN commit signed by gpgsm" by_gpgsm
done
