#!/usr/bin/env bash
# Makes packages of the module and the tool in target/packages: a deb and an rpm, from what CMakeLists.txt installs. Needs Debian or
# Ubuntu, and Rust. The packages need at least the C library of the machine that makes them.
#   scripts/package.sh [--arch amd64|arm64] [--format deb|rpm] [--profile PROFILE]
# Without options, it makes both packages for this machine's processor from a release build. Exits with 77 if this machine can't
# build for that processor.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
target=${CARGO_TARGET_DIR:-$PWD/target}
host=$(dpkg --print-architecture)
arch=$host formats=(deb rpm) profile=release

while [ $# -gt 0 ]; do
    case $1 in
        --arch) arch=$2 ;;
        --format) formats=("$2") ;;
        --profile) profile=$2 ;;
        *) sed -n '2,7s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2 && exit 2 ;;
    esac
    shift 2
done
case $arch in
    amd64) machine=x86_64 ;;
    arm64) machine=aarch64 ;;
    *) echo "there are no packages for $arch, only for amd64 and arm64" >&2 && exit 2 ;;
esac
rust_target=$machine-unknown-linux-gnu
triple=$machine-linux-gnu
work=$target/packages/$arch

tools=(cmake make gcc libc6-dev pkg-config binutils dpkg-dev python3 rpm)
if [ "$arch" != "$host" ]; then
    # The processor's emulator runs the tool, which writes its man pages itself.
    tools+=("gcc-${machine//_/-}-linux-gnu" "libc6-dev-$arch-cross" qemu-user)
fi
bash scripts/install-tools.sh "${tools[@]}"

# Prepares a build for another processor.
prepare_cross() {
    local variable=${rust_target//-/_}
    if [ ! -d "$(rustc --print sysroot)/lib/rustlib/$rust_target" ] && ! rustup target add "$rust_target" >"$work/rustup.log" 2>&1; then
        cat "$work/rustup.log"
        echo "rustup can't install Rust's standard library for $arch"
        exit 77
    fi
    export "CARGO_TARGET_${variable^^}_LINKER=$triple-gcc"
    build_options+=(--target "$rust_target")
    cmake_options+=("-DRUST_TARGET=$rust_target" "-DCMAKE_CROSSCOMPILING_EMULATOR=qemu-$machine;-L;/usr/$triple")
    built=$target/$rust_target/${profile/#dev/debug}
}

# Prints the packages that the module and the tool need, in Debian's format. dpkg-shlibdeps can't do that for another processor
# without that processor's libraries. The version of a library is that of the newest function that they use.
depends() {
    local files=("$built/libcloud_kms_pkcs11.so" "$built/cloud-kms-pkcs11") unknown
    unknown=$(readelf -dW "${files[@]}" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' |
        grep -vE '^(lib(c|m|dl|rt|pthread)\.so\.[0-9]|libgcc_s\.so\.1|ld-linux-.*)$' || true)
    [ -z "$unknown" ] || { echo "it is not known which package has $unknown" >&2 && return 1; }
    echo "libc6 (>= $(newest GLIBC_)), libgcc-s1 (>= $(newest GCC_))"
}
newest() { readelf -VW "${files[@]}" | grep -oE "$1[0-9.]+" | sed "s/$1//" | sort -V | tail -n 1; }

package() { # FORMAT
    local format=$1 build=$work/$1 folders libraries
    case $format in
        deb) libraries=lib/$triple folders=("-DPACKAGE_ARCHITECTURE=$arch" -DZSH_COMPLETION_DIR:STRING=share/zsh/vendor-completions) ;;
        rpm) libraries=lib64 folders=("-DPACKAGE_ARCHITECTURE=$machine") ;;
    esac
    rm -rf "$build"
    cmake -S . -B "$build" -DCMAKE_INSTALL_PREFIX=/usr -DCMAKE_INSTALL_LIBDIR="$libraries" -DP11_MODULE_DIR:STRING="$libraries/pkcs11" \
        -DP11_CONFIG_DIR:STRING=share/p11-kit/modules -DMODULE_IN_P11_FOLDER=ON -DCARGO_TARGET_DIR="$target" -DCARGO_PROFILE="$profile" \
        -DBUILD_TESTING=OFF -DPACKAGE_FORMAT="${format^^}" -DPACKAGE_FILES="$work/files" -DPACKAGE_VERSION="$version" \
        -DPACKAGE_CONTACT="$contact" -DPACKAGE_DEPENDS="$needs" "${folders[@]}" "${cmake_options[@]}" >"$build.log" ||
        { cat "$build.log" && return 1; }
    cmake --build "$build"
    (cd "$build" && umask 022 && SOURCE_DATE_EPOCH=$epoch cpack -B "$work/made" >"$build.log") || { cat "$build.log" && return 1; }
    find "$work/made" -maxdepth 1 -name "*.$format" -exec mv -t "$target/packages" {} + -printf 'target/packages/%f\n'
}

mkdir -p "$work/files"
build_options=() cmake_options=() built=$target/${profile/#dev/debug}
[ "$arch" = "$host" ] || prepare_cross
# The packages of a commit are the same whenever they are made. cargo builds the C code again if this variable changes, so no build
# gets it.
epoch=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
unset SOURCE_DATE_EPOCH
bash scripts/build.sh --profile "$profile" "${build_options[@]}"
needs=$(depends)

contact=${PACKAGE_CONTACT:-$(git log -1 --format='%an <%ae>')}
full_version=$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml | head -n 1)
version=$(python3 packaging/changelog.py package-version "$full_version")
cp packaging/copyright "$work/files/copyright"
python3 packaging/notices.py "$rust_target" | gzip -9n >"$work/files/third-party-notices.txt.gz"
SOURCE_DATE_EPOCH=$epoch python3 packaging/changelog.py deb "$full_version" "$contact" | gzip -9n >"$work/files/changelog.gz"
SOURCE_DATE_EPOCH=$epoch python3 packaging/changelog.py rpm "$full_version" "$contact" >"$work/files/changelog"
for format in "${formats[@]}"; do
    package "$format"
done
