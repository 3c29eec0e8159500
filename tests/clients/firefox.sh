#!/usr/bin/env bash
# apt: firefox-esr libnss3-tools
# releases: trixie
# Headless Firefox with a client certificate. Debian's Firefox contains NSS, in the same version in all releases, so one release is
# tested.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$clients/browser.bash"

need firefox-esr firefox-esr
need modutil libnss3-tools

# If Firefox can't load the page, it makes no screenshot and does not exit. Then this ends it when the server's log shows the refusal.
visit() { # PATTERN: what the server's log shows after a refusal
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

# Without the module, the server must not receive a certificate.
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
