#!/usr/bin/env bash
# apt: firefox-esr libnss3-tools
# releases: trixie
# Firefox, without a window: a page that wants a client certificate. Debian's Firefox brings its own NSS, of one version in all
# releases, so one release has to do.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$clients/browser.bash"

need firefox-esr firefox-esr
need modutil libnss3-tools

# Firefox makes no picture of its message that a page can't be had, and stays: then the server's log is what ends it.
visit() { # PATTERN: what the server says when it refuses
    local pattern=$1 before browser
    refused() { grep -aEc "$pattern" "$work/server.log" || true; }
    over() { ! kill -0 "$browser" || [ "$(refused)" -gt "$before" ]; }
    before=$(refused)
    (cd "$work/page" && exec timeout 60 bash -c "exec $(page screenshot)") &
    browser=$!
    wait_for 50 over
    kill "$browser" 2>/dev/null || true
    wait "$browser" || true
}

shows() {
    rm -f "$work/page/page.png" "$work/seen"
    visit 'SIGNATURE'
    picture
    presented
}

# Without the module, the page's server gets no certificate.
without() {
    rm -f "$work/seen"
    modutil -dbdir sql:"$work/page/profile" -delete kms -force
    visit 'PEER_DID_NOT_RETURN_A_CERTIFICATE'
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
