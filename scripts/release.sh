#!/usr/bin/env bash
# Makes a release in target/release-VERSION: packages, list of dependencies (SBOM), notes, checksums and their signature.
#   scripts/release.sh VERSION --prepare | --slot LABEL | --unsigned [--arch ARCHITECTURE]...
# Without the tag vVERSION, it first gives the changelog and Cargo.toml the version, commits that, and tags the commit. It pushes nothing.
# --prepare does no more than that: the workflow makes the files when the tag is pushed. --slot: the new module signs the checksums, with
# the key of that slot of its configuration. --arch: amd64, arm64 (default: both).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
target=${CARGO_TARGET_DIR:-$PWD/target}
usage() { sed -n '2,6s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2 && exit 2; }
stop() { echo "release.sh: $1" >&2 && exit 1; }

version=${1:-} slot='' unsigned='' only_prepare='' architectures=()
[[ $version =~ ^[0-9]+\.[0-9]+\.[0-9]+(-(alpha|beta|rc)\.[0-9]+)?$ ]] || usage
shift
while [ $# -gt 0 ]; do
    case $1 in
        --slot) slot=$2 && shift ;;
        --unsigned) unsigned=1 ;;
        --prepare) only_prepare=1 ;;
        --arch) architectures+=("$2") && shift ;;
        *) usage ;;
    esac
    shift
done
[ ${#architectures[@]} -gt 0 ] || architectures=(amd64 arm64)
[ -n "$slot$unsigned$only_prepare" ] || stop "say which key signs (--slot LABEL), or --unsigned"
folder=$target/release-$version

# The commit and the tag. A release that stopped later, or a tag that was checked out, goes on with the tag.
prepare() {
    [ -z "$(git status --porcelain)" ] || stop "the work tree has changes: commit or stash them"
    if git rev-parse --quiet --verify "refs/tags/v$version" >/dev/null; then
        [ "$(git rev-parse "v$version^{commit}")" = "$(git rev-parse HEAD)" ] ||
            stop "the tag v$version exists and is another commit: check it out, or choose another version"
        python3 packaging/changelog.py section "$version" >/dev/null
        return
    fi
    python3 packaging/changelog.py release "$version" "$(date -u +%F)"
    sed -i "0,/^version = \".*\"$/s//version = \"$version\"/" Cargo.toml
    cargo update --quiet --workspace
    (cd fuzz && cargo update --quiet --workspace)
    git commit --quiet --all --message "release: $version"
    git tag --annotate --message "$(python3 packaging/changelog.py section "$version")" "v$version"
}

sign() {
    (cd "$folder" && sha256sum -- * >SHA256SUMS)
    [ -n "$slot" ] || return 0
    # The tool and the module of this machine sign, also if the packages are for another processor.
    bash scripts/build.sh
    local tool=("$target/release/cloud-kms-pkcs11")
    "${tool[@]}" sign "$folder/SHA256SUMS" --slot "$slot" --out "$folder/SHA256SUMS.sig"
    "${tool[@]}" pubkey --slot "$slot" --out "$folder/SHA256SUMS.pem"
    openssl dgst -sha256 -verify "$folder/SHA256SUMS.pem" -signature "$folder/SHA256SUMS.sig" "$folder/SHA256SUMS"
}

prepare
if [ -n "$only_prepare" ]; then
    echo "the tag v$version is made; publish it with: git push origin HEAD v$version"
    exit
fi
rm -rf "$folder" "$target/packages"/*.{deb,rpm}
mkdir -p "$folder"
for architecture in "${architectures[@]}"; do
    bash scripts/package.sh --arch "$architecture"
done
cp "$target"/packages/*.{deb,rpm} "$folder"
git archive --format=tar --prefix="cloud-kms-pkcs11-$version/" "v$version" | gzip -9n >"$folder/cloud-kms-pkcs11-$version.tar.gz"
python3 packaging/changelog.py section "$version" >"$folder/notes.md"
bash scripts/supply-chain.sh sbom "$folder"
sign
echo "the release is in $folder; the tag v$version is not pushed: git push origin HEAD v$version"
