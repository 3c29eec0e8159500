# shellcheck shell=bash disable=SC2154 # lib.sh sets them
# For scripts that start a server, after lib.sh. $work/page is where the pages' commands run.
#
#   free_port            prints one
#   start_page PATTERN [VARIABLE=VALUE...]   a server, in the background; its output in $work/server.log
#   serves COMMAND       waits until the command succeeds
#   stop_server          stops the one that runs

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

stop_server() {
    [ -n "$server" ] || return 0
    kill "$server" 2>/dev/null || true
    wait "$server" 2>/dev/null || true
    server=
}
later stop_server

# A server that ends or hangs must not take the script with it.
serves() { # COMMAND that succeeds when it does
    wait_for 30 "$@" && kill -0 "$server" && return
    echo "the server does not serve; its log:"
    tail -n 30 "$work/server.log"
    return 1
}
