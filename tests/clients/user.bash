# shellcheck shell=bash disable=SC2154 # lib.sh sets them
# For scripts of programs that find the module by p11-kit, after lib.sh. p11-kit has no user's registrations for root, so root
# becomes somebody else, who gets copies of what he may not read.
#
#   become_user LABEL...   from now on run_page runs as a user whose home is $user, with these keys (p11-kit asks each token,
#                          each time) and, by p11-kit, no other modules

become_user() {
    user=$work/user
    mkdir -p "$work/page"
    files_only "$user" --only "$@"
    # Another module's troubles are not ours (Debian registers OpenSC's, which looks for a card reader).
    mkdir -p "$user/.config/pkcs11"
    echo "user-config: only" >"$user/.config/pkcs11/pkcs11.conf"
    cp "$MODULE" "$user/module.so"
    MODULE=$user/module.so
    if [ -n "${SPOIL_MODULE:-}" ]; then
        cp "$SPOIL_MODULE" "$user/spoilt.so"
        export SPOIL_MODULE=$user/spoilt.so
    fi
    [ "$(id -u)" -eq 0 ] || return 0
    need setpriv util-linux
    as_user=(setpriv --reuid=65534 --regid=65534 --clear-groups)
    chown -R 65534:65534 "$user" "$work/page"
    chmod 711 "$work"
}
