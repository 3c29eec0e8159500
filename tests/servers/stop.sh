#!/usr/bin/env bash
# stop.sh [NAME...]: stops the named servers (default: all that start.sh
# started) by their pid files and waits until they are gone.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# The system's Python will do: stopping must work on a broken installation too.
exec python3 "$here/servers.py" stop "$@"
