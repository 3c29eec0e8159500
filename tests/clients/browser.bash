# shellcheck shell=bash disable=SC2154 # lib.sh sets them
# For the scripts of browsers, after lib.sh: a local page that demands a client certificate, and what it has seen.
#
#   labels             keys whose certificates a CA of ours has issued, $work/page/ca.pem
#   only LABEL         the module has that token only: a browser offers all that fit
#   serve_page         a server at $URL whose page greets the certificate's name
#   presented          what the server has seen is the certificate of $label; whoever showed it has signed with its key
#   picture            page.png is one

. "$clients/server.bash"
. "$clients/certify.bash"

# shellcheck disable=SC2034 # certify's
key_usage=digitalSignature,keyEncipherment
labels=(aws-rsa2048 aws-p256 azure-rsa2048 azure-p256)
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
    # A browser may ask for an icon, too, over the same or another connection.
    cut -d ' ' -f 2 "$work/seen" | sort -u >"$work/certificates"
    python3 -c 'import sys; print(open(sys.argv[1], "rb").read().hex())' "$work/shown.der" | run cmp - "$work/certificates"
}

# Whatever stands on it: one of an error would be one as well.
picture() { python3 -c 'import sys; assert open(sys.argv[1], "rb").read(8) == b"\x89PNG\r\n\x1a\n"' "$work/page/page.png"; }
