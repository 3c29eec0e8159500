#!/usr/bin/env bash
# apt: firefox-esr libnss3-tools
# releases: trixie
# Firefox, without a window: a page that wants a client certificate. Debian's Firefox brings its own NSS, of one version in all
# releases, so one release has to do.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$clients/browser.bash"

need firefox-esr firefox-esr
need modutil libnss3-tools

as_user=(timeout 60)

shows() {
    rm -f "$work/page/page.png" "$work/seen"
    run_page 'screenshot'
    picture
    presented
}

# Without the module, the page's server gets no certificate, and Firefox makes no picture of what it says of that.
without() {
    rm -f "$work/seen"
    modutil -dbdir sql:"$work/page/profile" -delete kms -force
    local before browser
    refused() { grep -ac PEER_DID_NOT_RETURN_A_CERTIFICATE "$work/server.log" || true; }
    again() { [ "$(refused)" -gt "$before" ]; }
    before=$(refused)
    (cd "$work/page" && exec timeout 60 bash -c "exec $(page screenshot)") &
    browser=$!
    wait_for 50 again
    kill "$browser"
    wait "$browser" || true
    refuse test -e "$work/seen"
}

serve_page
for name in "${labels[@]}"; do
    only "$name"
    rm -rf "$work/page/profile"
    check "$label a profile with the module" run_page 'certutil -N'
    check "$label set to choose by itself" run_page 'user_pref'
    check "$label a page that wants a client certificate" shows
done
check "$label no certificate without the module" without
