#!/usr/bin/env bash
# apt: python3-venv gcc libc6-dev
# releases: trixie
# pkcs11-check's conformance tests, with a KMS and a vault that are empty at first. They need Python 3.12. One release is enough,
# because the result does not depend on the release.
user_home=$HOME
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$clients/emulator.bash"
. "$clients/venv.bash"

configure() { # NAME CLOUD
    mkdir "$work/$1/$2"
    own_config "$work/$1" "$config" >"$work/$1/$2/own.json"
    python3 - "$work/$1/$2" "$2" <<'PY'
import json, pathlib, sys
folder, cloud = pathlib.Path(sys.argv[1]), sys.argv[2]
config = json.loads((folder / "own.json").read_text())
# The emulator may need seconds to generate an RSA key of 4096 bits.
config["call_timeout_ms"] = 60000
config["slots"] = [{"label": cloud, "cloud": cloud, "discover": True, "hide_keys": [],
                    "allow": ["generate", "destroy", "certificates", "labels"], "confirm_destroy": cloud,
                    "certificate_store": str(folder / "certificates")}]
(folder / "config.json").write_text(json.dumps(config))
PY
}

# The tests always report findings (exit status 1). `found` compares them afterwards.
try() { # NAME CLOUD
    local module=$MODULE
    [ "$1" = as-it-is ] || { export KEPT_MODULE=$MODULE && module=$work/libkept.so; }
    ln -s "$work/page/venv" "$work/$1/$2/venv"
    (
        own_credentials
        export CLOUD_KMS_PKCS11_CONFIG=$work/$1/$2/config.json PYTEST_ADDOPTS="--report-log=$work/$1-$2.jsonl"
        cd "$work/$1/$2"
        MODULE=$module timeout 600 bash -euxo pipefail -c "$(page 'pkcs11-check test')" >"$work/$1-$2.log" 2>&1 || [ "$?" -eq 1 ]
    )
}

# Tests both clouds at the same time.
compare() { # NAME
    local aws=0
    for cloud in aws azure; do configure "$1" "$cloud"; done
    try "$1" aws &
    local other=$!
    try "$1" azure || { cat "$work/$1-azure.log" && return 1; }
    wait $other || aws=$?
    [ "$aws" -eq 0 ] || { cat "$work/$1-aws.log" && return 1; }
}

found() { # REPORT...
    python3 "$SOURCE/findings.py" "$root/docs/conformance.md" "$@"
}

venv pkcs11-check
packages pkcs11-check
gcc -Wall -Wextra -Werror -shared -fPIC -I"$root/include" "$root/tests/c/kept.c" -ldl -o "$work/libkept.so"
# A separate emulator for each run.
own_emulator "$work/as-it-is"
own_emulator "$work/kept"
check "its tests run, as it is" compare as-it-is
check "its tests run, keys kept by the service" compare kept
check "what it finds is what the document argues" found "$work"/{as-it-is,kept}-{aws,azure}.jsonl
