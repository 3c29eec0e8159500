# shellcheck shell=bash disable=SC2154 # lib.sh sets them
# For scripts that start a server, after lib.sh. $work/page is where the pages' commands run.
#
#   free_port            prints one
#   listening PORT       whether someone listens there
#   start_page PATTERN [VARIABLE=VALUE...], start COMMAND   a server, in the background; its output in $work/server.log
#   serves COMMAND       waits until the command succeeds
#   with_log COMMAND     shows what the server has said if the command fails
#   stop_server          stops the one that runs
#   stop PID             stops another process of the script's
#   client_page PATTERN  run_page, with an end
#   handshakes PORT COUNT [OPTION...]   that many connections, of a Python client without the module

server=
mkdir -p "$work/page"

# Below the ports that the kernel gives to outgoing connections: nobody takes one meanwhile.
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

# The process is the program itself, and so the one to stop.
start_page() { # PATTERN [VARIABLE=VALUE...]: a block with one command
    local block
    block=$(page "$1") || { echo "no block with $1 in docs/clients/$script.md" && return 1; }
    shift
    # Now: what the last server has said is not this one's.
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

# A server that ends or hangs must not take the script with it.
serves() { # COMMAND that succeeds when it does
    wait_for 30 "$@" && kill -0 "$server" && return
    echo "the server does not serve"
    server_log
    return 1
}

# Its output, and the file of those that write one.
server_log() {
    local log
    for log in "$work/server.log" "$work/page/error.log"; do
        [ ! -s "$log" ] || { echo "the server's $(basename "$log"):" && tail -n 15 "$log"; }
    done
}

with_log() { # COMMAND
    "$@" && return
    server_log >&2
    return 1
}

client_page() { # PATTERN: run_page, with an end
    local block
    block=$(page "$1") || { echo "no block with $1 in docs/clients/$script.md" && return 1; }
    with_log client_command "$block"
}
client_command() { (cd "$work/page" && timeout 60 bash -euxo pipefail -c "$1"); }

handshakes() { # PORT COUNT [OPTION...]: see handshakes.py
    OPENSSL_CONF=$work/plain.cnf with_log timeout 120 python3 "$clients/handshakes.py" "$work/page/ca.pem" "$@"
}
