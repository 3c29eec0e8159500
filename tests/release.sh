#!/usr/bin/env bash
# Tests scripts/release.sh: makes a release of the current version from a clone of the last commit, signed with a key of an emulator by
# the module of the release. Its packages are left in target/packages, for tests/packages.sh.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
work=$(mktemp -d)
. tests/packages/common.bash
trap 'stop_emulator; rm -rf "$work"' EXIT
bash scripts/install-tools.sh curl git openssl python3

version=$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml | head -n 1)
clone=$work/clone
export CARGO_TARGET_DIR=$target
folder=$target/release-$version
# The author of the release is the contact of its packages.
GIT_AUTHOR_NAME=$(git log -1 --format=%an) GIT_AUTHOR_EMAIL=$(git log -1 --format=%ae)
export GIT_AUTHOR_NAME GIT_AUTHOR_EMAIL GIT_COMMITTER_NAME=$GIT_AUTHOR_NAME GIT_COMMITTER_EMAIL=$GIT_AUTHOR_EMAIL

# Files that are older than what was built from the same files here, so that cargo does not build them again.
clone() {
    git clone --quiet . "$clone"
    git -C "$clone" ls-files -z | while IFS= read -rd '' file; do
        if cmp -s "$file" "$clone/$file"; then touch -hr "$file" "$clone/$file"; fi
    done
    git -C "$clone" tag --list 'v*' | xargs -r git -C "$clone" tag --delete
}
release() { (cd "$clone" && bash scripts/release.sh "$@"); }
refuses() { # WORDS ARGUMENT...
    refuse release "${@:2}" 2>"$work/said"
    cat "$work/said"
    grep -qF "$1" "$work/said"
}
refuses_a_changed_tree() {
    echo >>"$clone/README.md"
    refuses "the work tree has changes" "$version" --unsigned
    git -C "$clone" checkout --quiet README.md
}
refuses_an_empty_changelog() {
    git -C "$clone" checkout --quiet -b empty
    (cd "$clone" && python3 packaging/changelog.py release "$version" 2026-01-01 && git commit --quiet --all --message empty)
    refuses "CHANGELOG.md says nothing about Unreleased" 99.0.0 --unsigned
    git -C "$clone" checkout --quiet -
    git -C "$clone" branch --quiet -D empty
}
refuses_anothers_tag() {
    git -C "$clone" tag v98.0.0 HEAD~1
    refuses "the tag v98.0.0 exists" 98.0.0 --unsigned
    git -C "$clone" tag --delete v98.0.0
}
# Without the packages: a build of another version takes minutes.
prepares_a_candidate() {
    git -C "$clone" checkout --quiet -b candidate
    release 98.0.0-rc.1 --prepare
    [ "$(git -C "$clone" rev-parse 'v98.0.0-rc.1^{commit}')" = "$(git -C "$clone" rev-parse HEAD)" ]
    diff <(git -C "$clone" show --name-only --format=%s | sort) <(printf '%s\n' '' CHANGELOG.md Cargo.lock Cargo.toml fuzz/Cargo.lock 'release: 98.0.0-rc.1' | sort)
    (
        cd "$clone" && python3 packaging/changelog.py section 98.0.0-rc.1 | grep -cx '### Added'
        cargo metadata --locked --offline --no-deps --format-version 1 | grep -c '"version":"98.0.0-rc.1"'
        SOURCE_DATE_EPOCH=0 python3 packaging/changelog.py deb 98.0.0-rc.1 'A <a@b.c>' | grep -cx \
            'cloud-kms-pkcs11 (98.0.0~rc1) unstable; urgency=medium'
        dpkg --compare-versions "$(python3 packaging/changelog.py package-version 98.0.0-rc.1)" lt 98.0.0
    )
    # Once more: nothing is left to do.
    release 98.0.0-rc.1 --prepare
    git -C "$clone" checkout --quiet -
    git -C "$clone" branch --quiet -D candidate
    git -C "$clone" tag --delete v98.0.0-rc.1
}
has_a_tag() {
    [ "$(git -C "$clone" cat-file -t "v$version")" = tag ]
    git -C "$clone" show "v$version:CHANGELOG.md" | grep "^## \[$version\] - $(date -u +%Y)"
    git -C "$clone" show "v$version:CHANGELOG.md" | grep '^## \[Unreleased\]$'
    [ -z "$(git -C "$clone" status --porcelain)" ]
}
checksums_are_right() {
    (cd "$folder" && sha256sum --check SHA256SUMS)
    # Every file of the release but the checksums and their signature.
    diff <(cut -c67- "$folder/SHA256SUMS") <(cd "$folder" && ls --ignore='SHA256SUMS*')
    [ "$(wc -l <"$folder/SHA256SUMS")" -ge 6 ]
}
signature_is_the_keys() {
    openssl dgst -sha256 -verify "$emulator/aws-ec.pem" -signature "$folder/SHA256SUMS.sig" "$folder/SHA256SUMS"
    refuse openssl dgst -sha256 -verify "$emulator/aws-ec.pem" -signature "$folder/SHA256SUMS.sig" "$folder/notes.md"
    diff <(openssl pkey -pubin -in "$folder/SHA256SUMS.pem") <(openssl pkey -pubin -in "$emulator/aws-ec.pem")
}
boms_list_the_crates() {
    python3 - "$folder" "$work" <<'PYTHON'
import json, pathlib, sys
for name, expected in ("cloud-kms-pkcs11", "rustls"), ("cloud-kms-pkcs11-cli", "clap"):
    bom = json.loads((pathlib.Path(sys.argv[1]) / f"{name}.cdx.json").read_text())
    names = {component["name"] for component in bom["components"]}
    assert bom["bomFormat"] == "CycloneDX" and expected in names and len(names) > 100, (name, len(names))
    assert not names & {"proptest", "cloud-kms-emulator"}, "crates of the tests"
    assert all(component.get("licenses") for component in bom["components"]), "crates without a licence"
    assert sys.argv[2] not in json.dumps(bom), "paths of this machine"
PYTHON
}
# The files of the same commit are the same at another time. ECDSA signatures differ. scripts/reproducible.sh compares builds in two
# folders.
repeats_itself() {
    cp -r "$folder" "$work/first"
    release "$version" --slot aws-ec --arch amd64
    diff -r --exclude='SHA256SUMS.sig' "$work/first" "$folder"
}

start_emulator "$work/emulator"
write_config "$work/emulator/config.json"
export CLOUD_KMS_PKCS11_CONFIG=$work/emulator/config.json
check "clone" clone
check "a changed tree is refused" refuses_a_changed_tree
check "a changelog without news is refused" refuses_an_empty_changelog
check "a tag of another commit is refused" refuses_anothers_tag
check "a version that is none is refused" refuses "release.sh VERSION" 1.0 --unsigned
check "a key must be named" refuses "say which key signs" "$version"
check "a candidate has a commit and a tag" prepares_a_candidate
check "release of $version" release "$version" --slot aws-ec --arch amd64
check "the commit has a tag, and the changelog the version" has_a_tag
check "the checksums are right" checksums_are_right
check "the checksums are signed by the cloud's key" signature_is_the_keys
check "the SBOMs list the crates" boms_list_the_crates
check "the release can be repeated, file by file" repeats_itself
echo "$passed passed, 0 failed"
