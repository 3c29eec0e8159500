#!/usr/bin/env bash
# apt: chromium libnss3-tools
# releases: trixie
# Headless Chromium with a client certificate. All releases have the same version of Chromium, so one release is tested.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$clients/browser.bash"

need chromium chromium
need modutil libnss3-tools
[ "$(id -u)" -eq 0 ] || skip "chromium: needs root, to mount a folder over its policies"

# Mounts an empty folder over /etc/chromium for the command only, so that the machine's policies stay unchanged.
mkdir "$work/policies"
chmod 755 "$work/policies"
# The root of a chroot is not a mount, so its propagation can't be set. release.sh has already made its namespace private.
propagation=private
[ -z "${RELEASE:-}" ] || propagation=unchanged
# shellcheck disable=SC2016
as_user=(unshare --mount --propagation "$propagation" bash -c 'mount --bind "$0" /etc/chromium && exec timeout 60 "$@"' "$work/policies")

shows() {
    rm -rf "$work/page/page.png" "$work/seen" "$work/page/chromium"
    run_page 'dump-dom' >"$work/answer"
    cat "$work/answer"
    grep "hello $label" "$work/answer"
    picture
    presented
}

# Without the module, the server must not receive a certificate.
without() {
    rm -rf "$work/seen" "$work/page/chromium"
    modutil -dbdir sql:"$HOME/.pki/nssdb" -delete kms -force
    run_page 'dump-dom' >"$work/answer" || true
    refuse grep hello "$work/answer"
    refuse test -e "$work/seen"
}

serve_page
for name in "${labels[@]}"; do
    only "$name"
    rm -rf "$HOME/.pki"
    check "$label a database with the module" run_page 'certutil -N'
    check "$label a policy that chooses" run_page 'AutoSelect'
    check "$label a page that wants a client certificate" shows
done
check "$label no certificate without the module" without
