#!/usr/bin/env bash
# start.sh [--missing] [NAME...]: starts the named servers (default: all that are installed), creates keys in them, and writes
# target/servers/servers.json and target/servers/env.sh.
# A server that already runs is restarted, so that its keys are new. With --missing it keeps running.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
[ -x "$root/target/servers/tools/bin/python" ] || bash "$here/install.sh"
exec "$root/target/servers/tools/bin/python" "$here/servers.py" start "$@"
