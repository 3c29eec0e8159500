#!/usr/bin/env bash
# check.sh: signs with every key of every running server through the official
# SDKs and verifies with the cryptography package: are the servers themselves right?
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
exec "$here/../../target/servers/tools/bin/python" "$here/servers.py" check
