# shellcheck shell=bash disable=SC2154 # lib.sh sets them
# Sourced after lib.sh by the scripts of browsers: a local HTTPS server that requires a client certificate.
#
#   labels             the keys that have a certificate of the test CA, $work/page/ca.pem
#   only LABEL         makes this token the module's only one, because a browser offers every certificate that fits
#   serve_page         starts a server at $URL; its page contains the name in the client's certificate
#   presented          succeeds if the server has received only the certificate of $label; TLS proves that its key has signed
#   picture            succeeds if page.png is a PNG file

. "$clients/server.bash"
. "$clients/certify.bash"

# shellcheck disable=SC2034 # certify uses it
key_usage=digitalSignature,keyEncipherment
labels=(aws-rsa2048 aws-p256 azure-rsa2048 azure-p256 $vault_ec $google_ec)
certify "${labels[@]}"
cp "$work/ca.pem" "$work/page/ca.pem"
cp "$config" "$work/all.json"
plain_openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$work/local-key.pem" -subj /CN=localhost 2>/dev/null |
    plain_openssl x509 -req -CA "$work/ca.pem" -CAkey "$work/ca.key" -days 2 -extfile "$work/leaf.cnf" -out "$work/local.pem" 2>/dev/null

only() {
    key "$1"
    python3 - "$work/all.json" "$config" "$1" <<'END'
import json, sys
source, target, label = sys.argv[1:]
config = json.load(open(source))
config["slots"] = [slot for slot in config["slots"] if slot["label"] == label]
json.dump(config, open(target, "w"), indent=2)
END
}

serve_page() {
    local port
    port=$(free_port)
    export URL=https://localhost:$port/who
    OPENSSL_CONF=$work/plain.cnf python3 "$clients/mutual.py" "$port" "$work/local.pem" "$work/local-key.pem" "$work/ca.pem" \
        "$work/seen" >"$work/server.log" 2>&1 &
    server=$!
    serves listening "$port"
}

presented() {
    plain_openssl x509 -in "$work/$label.pem" -outform DER -out "$work/shown.der"
    cat "$work/server.log"
    # A browser may also request an icon, over the same or another connection.
    cut -d ' ' -f 2 "$work/seen" | sort -u >"$work/certificates"
    python3 -c 'import sys; print(open(sys.argv[1], "rb").read().hex())' "$work/shown.der" | run cmp - "$work/certificates"
}

# The contents are not checked: a picture of an error page passes too. `presented` checks the connection.
picture() { python3 -c 'import sys; assert open(sys.argv[1], "rb").read(8) == b"\x89PNG\r\n\x1a\n"' "$work/page/page.png"; }
