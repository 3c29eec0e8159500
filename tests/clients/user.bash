# shellcheck shell=bash disable=SC2154 # lib.sh sets them
# Sourced after lib.sh by scripts of programs that find the module through p11-kit. p11-kit ignores a user's registrations for root,
# so root runs the commands as another user, with copies of the files that this user may not read.
#
#   become_user LABEL...   from now on run_page runs as a user whose home is $user. The module has these keys only, because p11-kit
#                          queries every token each time, and p11-kit has no other module.

become_user() {
    user=$work/user
    mkdir -p "$work/page"
    files_only "$user" --only "$@"
    # No other module, because its faults would affect this test (Debian registers OpenSC's, which looks for a card reader).
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
