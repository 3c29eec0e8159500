# shellcheck shell=bash disable=SC2154 # lib.sh sets them
# Sourced after tls.bash by the scripts of web servers.
#
#   by_curl    curl gets the page of the server
#   stranger   a curl that trusts another CA is refused

plain_openssl req -x509 -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$work/other-key.pem" -days 2 -subj "/CN=Test CA" \
    -addext "basicConstraints=critical,CA:true" -out "$work/other-ca.pem" 2>/dev/null

by_curl() { OPENSSL_CONF=$work/plain.cnf client_page 'curl' | grep -x hello; }
stranger() { refuse curl --silent --fail --cacert "$work/other-ca.pem" "https://localhost:$PORT/"; }
