#!/usr/bin/env bash
# stop.sh [NAME...]: stops the named servers (default: all that start.sh started) and waits until their processes have ended.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# The system's Python, so that stopping works even if the installation under target/servers is broken.
exec python3 "$here/servers.py" stop "$@"
