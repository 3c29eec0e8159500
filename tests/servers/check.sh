#!/usr/bin/env bash
# check.sh: tests the servers themselves. Uses every key of every running server through the clouds' official SDKs, and
# verifies the results with the Python package cryptography.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
exec "$here/../../target/servers/tools/bin/python" "$here/servers.py" check
