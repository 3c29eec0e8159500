#!/usr/bin/env bash
# run.sh [--release RELEASE] [--spoilt] [NAME...]: runs the named client scripts (openssl, pkcs11-tool, ...). Without names, runs
# all scripts whose client exists in this release of Debian.
# Starts the servers that do not run, and stops them at the end. Logs: target/clients/logs/NAME.log.
# --release RELEASE: runs the scripts in that release of Debian (release.sh), with the module and the servers of this machine.
#   Logs: target/clients/RELEASE/logs/NAME.log.
# --spoilt: tests the scripts. Runs them with a module that returns wrong results (tests/c/spoil.c), and succeeds if at least
#   one check of every script fails. With --release, the scripts are those that do something else in that release. Prints one line
#   for each script, and the output of a script only if none of its checks failed.
set -euo pipefail
clients=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$clients/../.." && pwd)

. "$clients/scripts.bash"

# Servers that ran before keep running, and so do those that SERVERS_JSON names: this run has not started them.
before=$(cat "$root"/target/servers/run/*.pid 2>/dev/null || true)
stop_servers() { [ -n "$before" ] || [ -n "${SERVERS_JSON:-}" ] || bash "$root/tests/servers/stop.sh"; }

if [ "${1:-}" = --release ]; then
    # The clients are those of the release. The module and the servers are those of this machine.
    trap stop_servers EXIT
    bash "$root/tests/servers/start.sh" --missing
    bash "$clients/release.sh" "$2" bash "$clients/run.sh" "${@:3}"
    exit
fi
spoilt=
if [ "${1:-}" = --spoilt ]; then
    spoilt=1
    shift
fi

names=("$@")
if [ ${#names[@]} -eq 0 ] && [ -n "$spoilt" ] && [ -n "${RELEASE:-}" ]; then
    mapfile -t names < <(own_scripts "$RELEASE")
elif [ ${#names[@]} -eq 0 ]; then
    mapfile -t names < <(scripts "$(this_release)")
    # Where the releases run at once, each begins at another script, so that what one has compiled is there for the others.
    case ${RELEASE:-} in trixie) first=$((${#names[@]} / 3)) ;; sid) first=$((${#names[@]} * 2 / 3)) ;; *) first=0 ;; esac
    names=("${names[@]:first}" "${names[@]:0:first}")
fi
for name in "${names[@]}"; do
    [ -x "$clients/$name.sh" ] || { echo "run.sh: unknown script $name; use one of: $(scripts | xargs)" >&2 && exit 2; }
done
[ -z "${RELEASE:-}" ] || bash "$clients/install.sh" --no-servers "${names[@]}"

# With --spoilt the logs are temporary, so that they do not replace those of a real run.
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
        echo "skipped $name: its packages can't be installed in sid today" | tee "$log"
        continue
    fi
    bash "$clients/$name.sh" 2>&1 | show "$log" || status=$?
    good=0 bad=0
    # The counts in the script's last line. A script without that line has failed.
    if last=$(grep -aE '^[0-9]+ passed, [0-9]+ failed$' "$log" | tail -n 1) && [ -n "$last" ]; then
        read -r good _ bad _ <<<"$last"
    elif [ "$status" -eq 0 ]; then
        status=1
    fi
    [ "$status" -eq 0 ] || [ "$bad" -gt 0 ] || bad=1
    if [ -n "$spoilt" ]; then
        # A check must have failed. A script that stopped early has shown nothing.
        if [ "$bad" -gt 0 ] && ! grep -aq 'stopped early' "$log"; then
            echo "wrong results detected by $bad of $((good + bad)) checks"
            good=1 bad=0
        else
            cat "$log"
            echo "FAILED  $name: no check detected the wrong results, or the script stopped early" | tee -a "$log"
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
[ "$skipped" -eq 0 ] || echo "$skipped skipped: their clients are not installed"
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
