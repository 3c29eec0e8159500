#!/usr/bin/env bash
# releases: trixie sid
# apt: systemd-ukify systemd-repart systemd-boot-efi sbsigntool osslsigncode pkcs11-provider
# apt trixie: systemd libtss2-esys-3.0.2-0t64 libtss2-mu-4.0.1-0t64 libtss2-rc0t64 libengine-pkcs11-openssl
# apt sid: systemd-tpm
# ukify: a unified kernel image with a Secure Boot signature and signed PCR values.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$clients/certify.bash"
. "$clients/efi.bash"

need ukify systemd-ukify
need /usr/lib/systemd/systemd-sbsign systemd-repart
need /usr/lib/systemd/systemd-measure systemd

labels=(aws-rsa2048 aws-p256 azure-rsa2048 azure-p256 $vault_ec $google_ec)
certify "${labels[@]}"
mkdir "$work/page"
# An EFI program takes the place of the kernel, because the image is not booted.
cp "$boot" "$work/page/vmlinuz"
head -c 5000 /dev/urandom >"$work/page/initrd.img"

section() { # IMAGE NAME OUTPUT
    python3 -c '
import pefile, sys
[section] = [s for s in pefile.PE(sys.argv[1]).sections if s.Name.rstrip(b"\0") == sys.argv[2].encode()]
open(sys.argv[3], "wb").write(section.get_data()[:section.Misc_VirtualSize])' "$@"
}

build() { # WAY PATTERN
    rm -f "$work/page/uki.efi"
    cp "$work/$TOKEN.pem" "$work/page/certificate.pem"
    by "$1" run_page "$2"
    run_page '^sbverify'
    signed "$work/page/uki.efi" "$other"
    section "$work/page/uki.efi" .linux "$work/linux.efi"
    verified "$work/linux.efi" "$work/$TOKEN.pem"
    section "$work/page/uki.efi" .initrd "$work/initrd"
    cmp "$work/initrd" "$work/page/initrd.img"
}

# The signature of a PCR policy is over the policy's digest.
pcr_signatures() { # WAY PATTERN
    build "$@"
    section "$work/page/uki.efi" .pcrsig "$work/pcrsig"
    section "$work/page/uki.efi" .pcrpkey "$work/pcrpkey"
    key "$TOKEN"
    same_key "$work/pcrpkey"
    rm -f "$work"/pcr.*
    python3 - "$work/pcrsig" "$work" <<'PY'
import base64, json, sys
policies = json.loads(open(sys.argv[1]).read().rstrip("\0"))["sha256"]
for number, policy in enumerate(policies):
    assert policy["pcrs"] == [11], policy
    open(f"{sys.argv[2]}/pcr.{number}", "wb").write(bytes.fromhex(policy["pol"]))
    open(f"{sys.argv[2]}/pcr.{number}.sig", "wb").write(base64.b64decode(policy["sig"]))
PY
    local number
    # One signature for each boot phase: in the initrd, leaving it, early services, all services.
    for number in 0 1 2 3; do verify_and_spoil verify sha256 "$work/pcr.$number" "$work/pcr.$number.sig"; done
}

other=azure-p256
for TOKEN in "${labels[@]}"; do
    check "$TOKEN unified kernel image" build provider 'certificate certificate.pem --output'
    check "$TOKEN unified kernel image with PCR signatures" pcr_signatures provider 'uki.conf'
    other=$TOKEN
done
for TOKEN in aws-rsa2048 azure-p256; do
    check "$TOKEN unified kernel image, certificate from the token" build provider 'certificate-provider'
    # sbsign 0.9.4 supports engines, 0.9.5 supports providers.
    if [ "$release" = trixie ]; then
        check "$TOKEN unified kernel image, by sbsign" build engine 'PKCS11_MODULE_PATH'
    else
        check "$TOKEN unified kernel image, by sbsign" build provider '^ukify build --signtool sbsign'
    fi
    other=$TOKEN
done
