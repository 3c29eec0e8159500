#!/usr/bin/env bash
# apt: python3 make g++
# apt trixie sid: nodejs npm
# Node.js: graphene-pk11. Debian 12 uses the Node.js that is installed on the machine (20 or newer).
user_home=$HOME
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

need node "Node 20 or newer"
need npm "Node 20 or newer"
need g++ g++

export SOURCE=$clients/node
folder=$state/node

# Installs again only when the page's block has changed.
install() {
    mkdir -p "$work/page"
    page 'npm install' >"$work/recipe"
    if ! cmp -s "$work/recipe" "$folder/installed"; then
        echo "node: building graphene-pk11"
        rm -rf "$folder"
        mkdir -p "$folder"
        (HOME=$user_home && run_page 'npm install') >"$work/install.log" 2>&1 || { cat "$work/install.log" && return 1; }
        mv "$work/page/node_modules" "$folder/"
        cp "$work/recipe" "$folder/installed"
    fi
    ln -s "$folder/node_modules" "$work/page/node_modules"
}

# Only the first signature of a token is also verified with other data and a changed byte, because that is slow.
plainly() { "$@"; }

sign_all() {
    rm -rf "$work/page/signatures"
    run_page 'sign.js' >"$work/said"
    cat "$work/said"
    grep -qx "object PRIVATE_KEY $label $id" "$work/said"
    grep -qx "object PUBLIC_KEY $label $id" "$work/said"
    [ "$certificate" = - ] || grep -qx "object CERTIFICATE $label $id" "$work/said"
    local file size count=0 verifying=verify_and_spoil
    for file in "$work"/page/signatures/*.sig; do
        size=$(basename "$file" .sig | sed -nE 's/.*SHA([0-9]+).*/\1/p')
        case $file in
            *PSS.sig) "$verifying" verify_pss "sha${size:-256}" "$work/data" "$file" ;;
            *) "$verifying" verify "sha${size:-256}" "$work/data" "$file" ;;
        esac
        count=$((count + 1)) verifying=plainly
    done
    # One signature for each mechanism, and one before the login.
    [ "$count" -eq "$([ "$kind" = rsa ] && echo 9 || echo 7)" ]
}

install
client Node.js "$(node -p process.versions.node)"
for name in graphene-pk11 pkcs11js; do
    client "$name" "$(node -p 'require(process.argv[1]).version' "$work/page/node_modules/$name/package.json")"
done
cp "$work/data" "$work/page/data"
with_key() { check "$label graphene-pk11" sign_all; }
each_key with_key
