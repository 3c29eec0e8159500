# shellcheck shell=bash disable=SC2154 # lib.sh sets them
# Sourced after lib.sh by the scripts of DNS servers.
#
#   new_zone              makes an empty $work/page with the file example.com.zone
#   dnskey LABEL FLAGS NUMBER   prints the DNSKEY record that the zone must have for that key, from the service's public key
#   is_signed FILE        succeeds if each record set has a signature, which is not verified, and each name has an NSEC record
#   verify_zone FILE DNSKEY...  verifies the zone with ldns: it must be signed completely, with these keys and no others. The same
#                               check must reject a zone with a changed address, a changed signature or a missing signature.

new_zone() {
    rm -rf "$work/page"
    mkdir "$work/page"
    cat >"$work/page/example.com.zone" <<'END'
$TTL 3600
@ SOA ns.example.com. admin.example.com. 1 3600 900 604800 3600
@ NS ns
@ MX 10 mail
ns A 192.0.2.1
www A 192.0.2.2
mail AAAA 2001:db8::1
END
}

dnskey() (
    key "$1"
    python3 - "$public" "$2" "$3" <<'END'
import base64, subprocess, sys
public, flags, number = sys.argv[1:]
def openssl(*arguments):
    return subprocess.run(["openssl", *arguments, "-pubin", "-in", public], env={"OPENSSL_CONF": "/dev/null"}, check=True,
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
if number == "8":
    modulus = bytes.fromhex(openssl("rsa", "-noout", "-modulus").decode().strip().removeprefix("Modulus="))
    key = b"\x03\x01\x00\x01" + modulus
else:
    key = openssl("pkey", "-outform", "DER")[-{"13": 64, "14": 96, "15": 32}[number]:]
print(flags, 3, number, base64.b64encode(key).decode())
END
)

is_signed() {
    ldns-read-zone "$1" | awk '
        $4 == "RRSIG" { signed[$1, $5]; next }
        { sets[$1, $4]; names[$1] }
        END {
            for (set in sets) if (!(set in signed)) exit 1
            for (name in names) { if (!((name, "NSEC") in sets)) exit 1; some = 1 }
            exit !some
        }'
}

verify_zone() { # FILE DNSKEY...
    local file=$1
    shift
    run ldns-verify-zone "$file"
    # One record on each line.
    ldns-read-zone "$file" >"$work/lines"
    diff <(awk '$4 == "DNSKEY" { print $5, $6, $7, $8 }' "$work/lines" | sort) <(printf '%s\n' "$@" | sort)
    sed 's/192\.0\.2\.2$/192.0.2.3/' "$work/lines" >"$work/changed"
    refuse ldns-verify-zone "$work/changed"
    python3 - "$work/lines" "$work/changed" <<'END'
import base64, sys
lines = open(sys.argv[1]).read().splitlines()
[at] = [at for at, line in enumerate(lines) if line.startswith("www.") and line.split()[3:5] == ["RRSIG", "A"]]
start, signature = lines[at].rsplit(None, 1)
signature = base64.b64decode(signature)
lines[at] = start + " " + base64.b64encode(signature[:-1] + bytes([signature[-1] ^ 1])).decode()
open(sys.argv[2], "w").write("\n".join(lines) + "\n")
END
    refuse ldns-verify-zone "$work/changed"
    grep -vP '^www\..*\tRRSIG\tA ' "$work/lines" >"$work/changed"
    refuse ldns-verify-zone "$work/changed"
}
