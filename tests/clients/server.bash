# shellcheck shell=bash disable=SC2154 # lib.sh sets them
# Sourced after lib.sh by scripts that start a server. The commands of the pages run in $work/page.
#
#   free_port            prints the number of a free port
#   listening PORT       succeeds if a process listens on the port
#   start_page PATTERN [VARIABLE=VALUE...]   starts a server with a block of the page, in the background; output: $work/server.log
#   start COMMAND        the same with a command
#   serves COMMAND       waits until COMMAND succeeds; fails after 30 seconds, or if the server has ended
#   with_log COMMAND     runs COMMAND, and prints the server's log if it fails
#   stop_server          stops the server
#   stop PID             stops another process that the script has started
#   client_page PATTERN  like run_page, with a time limit
#   handshakes PORT COUNT [OPTION...]   connects COUNT times, with a Python client without the module (handshakes.py)

server=
mkdir -p "$work/page"

# Below the range of ports for outgoing connections, so that the kernel does not give the port to one in the meantime.
free_port() {
    python3 - <<'END'
import random, socket
while True:
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        port = random.randrange(12000, 32000)
        try:
            s.bind(("127.0.0.1", port))
        except OSError:
            continue
    print(port)
    break
END
}

listening() { python3 -c 'import socket, sys; socket.create_connection(("127.0.0.1", int(sys.argv[1])), 5).close()' "$1"; }

# The block has one command. `exec` replaces the shell, so that $server is the process of the server.
start_page() { # PATTERN [VARIABLE=VALUE...]
    local block
    block=$(page "$1") || { echo "no block matches $1 in docs/clients/$script.md" && return 1; }
    shift
    # Emptied here, before the server runs: the log may have lines of the previous server.
    : >"$work/server.log"
    (cd "$work/page" && exec env "$@" bash -euxc "exec $block") </dev/null >"$work/server.log" 2>&1 &
    server=$!
}

start() { # COMMAND
    : >"$work/server.log"
    "$@" </dev/null >"$work/server.log" 2>&1 &
    server=$!
}

stop() { # PID, or nothing
    [ -n "$1" ] || return 0
    kill "$1" 2>/dev/null || true
    wait "$1" 2>/dev/null || true
}

stop_server() {
    stop "$server"
    server=
}
later stop_server

# A server that ends or hangs must not make the script hang.
serves() { # COMMAND
    wait_for 30 "$@" && kill -0 "$server" && return
    echo "the server did not answer within 30 seconds, or has ended"
    server_log
    return 1
}

# Prints the last lines of the server's output, and of error.log, which some servers write.
server_log() {
    local log
    for log in "$work/server.log" "$work/page/error.log"; do
        [ ! -s "$log" ] || { echo "last lines of the server's $(basename "$log"):" && tail -n 15 "$log"; }
    done
}

with_log() { # COMMAND
    "$@" && return
    server_log >&2
    return 1
}

client_page() { # PATTERN
    local block
    block=$(page "$1") || { echo "no block matches $1 in docs/clients/$script.md" && return 1; }
    with_log client_command "$block"
}
client_command() { (cd "$work/page" && timeout 60 bash -euxo pipefail -c "$1"); }

handshakes() { # PORT COUNT [OPTION...]: see handshakes.py
    OPENSSL_CONF=$work/plain.cnf with_log timeout 120 python3 "$clients/handshakes.py" "$work/page/ca.pem" "$@"
}
