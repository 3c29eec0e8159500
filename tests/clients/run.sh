#!/usr/bin/env bash
# run.sh [--release RELEASE] [--spoilt] [NAME...]: runs all client scripts that this release has the client for, or the named
# ones (openssl, pkcs11-tool, ...).
# Starts the servers that don't run, and stops those it started. What a script printed stays in target/clients/logs/NAME.log.
# --release: in that release of Debian (release.sh), with the module and the servers of this machine. Logs: target/clients/RELEASE/logs.
# --spoilt: with a module that answers wrongly; succeeds if every script fails (tests/c/spoil.c). Prints a line a script,
# and what a script printed only where it found nothing.
set -euo pipefail
clients=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$clients/../.." && pwd)

. "$clients/scripts.bash"

# Servers that ran before are someone else's, and so are those that another file names.
before=$(cat "$root"/target/servers/run/*.pid 2>/dev/null || true)
stop_servers() { [ -n "$before" ] || [ -n "${SERVERS_JSON:-}" ] || bash "$root/tests/servers/stop.sh"; }

if [ "${1:-}" = --release ]; then
    # The programs are the release's; the module and the servers are this machine's.
    trap stop_servers EXIT
    bash "$root/tests/servers/start.sh" --missing ministack emulator localstack emulator-kms
    bash "$clients/release.sh" "$2" bash "$clients/run.sh" "${@:3}"
    exit
fi
spoilt=
if [ "${1:-}" = --spoilt ]; then
    spoilt=1
    shift
fi

names=("$@")
[ ${#names[@]} -gt 0 ] || mapfile -t names < <(scripts "$(this_release)")
for name in "${names[@]}"; do
    [ -x "$clients/$name.sh" ] || { echo "run.sh: no script $name; there are: $(scripts | xargs)" >&2 && exit 2; }
done
[ -z "${RELEASE:-}" ] || bash "$clients/install.sh" --no-servers "${names[@]}"

# A spoilt run's logs are no use to anyone, but for the script that found nothing.
logs=$root/target/clients${RELEASE:+/$RELEASE}/logs
work=$(mktemp -d)
[ -z "$spoilt" ] || logs=$work
mkdir -p "$logs"
if [ -n "$spoilt" ]; then
    bash "$root/scripts/install-tools.sh" gcc libc6-dev
    export SPOIL_MODULE=${MODULE:-$root/target/release/libcloud_kms_pkcs11.so}
    gcc -Wall -Wextra -Werror -shared -fPIC -I"$root/include" "$root/tests/c/spoil.c" -ldl -o "$work/libspoilt.so"
    export MODULE=$work/libspoilt.so
fi
tidy() {
    rm -rf "$work"
    stop_servers
}
trap tidy EXIT

passed=0 failed=0 skipped=0 table=() wrong=()
show() { if [ -n "$spoilt" ]; then cat >"$1"; else tee "$1"; fi; }

for name in "${names[@]}"; do
    echo "== $name"
    began=$SECONDS
    status=0
    log=$logs/$name.log
    if grep -qx "$name" "$root/target/clients/sid/broken" 2>/dev/null && [ "$(this_release)" = sid ]; then
        skipped=$((skipped + 1))
        echo "skipped $name: sid has no package of it today" | tee "$log"
        continue
    fi
    bash "$clients/$name.sh" 2>&1 | show "$log" || status=$?
    good=0 bad=0
    # The script's own last line; a script without one has failed.
    if last=$(grep -aE '^[0-9]+ passed, [0-9]+ failed$' "$log" | tail -n 1) && [ -n "$last" ]; then
        read -r good _ bad _ <<<"$last"
    elif [ "$status" -eq 0 ]; then
        status=1
    fi
    [ "$status" -eq 0 ] || [ "$bad" -gt 0 ] || bad=1
    if [ -n "$spoilt" ]; then
        # What counts is that a check failed, not that the script broke off.
        if [ "$bad" -gt 0 ] && ! grep -aq 'broke off' "$log"; then
            echo "found out by $bad of $((good + bad)) checks"
            good=1 bad=0
        else
            cat "$log"
            echo "FAILED  $name: no check found the wrong signatures out, or it broke off" | tee -a "$log"
            good=0 bad=1
        fi
    fi
    left=$(grep -ac '^skipped' "$log" || true)
    [ "$bad" -eq 0 ] || wrong+=("$log")
    passed=$((passed + good)) failed=$((failed + bad)) skipped=$((skipped + left))
    table+=("$(printf '%-20s %8d %8d %8d %7ds' "$name" "$good" "$bad" "$left" $((SECONDS - began)))")
done

echo
printf '%-20s %8s %8s %8s %8s\n' script passed failed skipped time
printf '%s\n' "${table[@]}"
for log in "${wrong[@]}"; do
    printf '\n== %s\n' "$(basename "$log" .log)"
    awk '/^FAILED/ { shown = 1 } /^(ok|skipped) / { shown = 0 } shown' "$log" | tail -n 50
done
echo
[ "$skipped" -eq 0 ] || echo "$skipped scripts skipped: their clients are missing"
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
