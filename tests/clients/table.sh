#!/usr/bin/env bash
# table.sh [--write | --check]: the README's table of clients, from the logs of run.sh (target/clients/logs).
# Prints it; --write puts it between the README's markers; --check fails if the README has other scripts than there are
# (the counts may differ), or docs/clients/README.md lacks a page.
set -euo pipefail
export LC_ALL=C
clients=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$clients/../.." && pwd)
. "$clients/scripts.bash"
begin='<!-- clients:begin -->' end='<!-- clients:end -->'

count() { grep -acE "^ok +$1" "$2" || true; }

row() { # NAME
    local log=$root/target/clients/logs/$1.log page=docs/clients/$1.md name=$1 title=$1 passed failed result=-
    local aws=- azure=- both=-
    if [ -e "$root/$page" ]; then
        title=$(sed -n '1s/^# //p' "$root/$page")
        name="[$1]($page)"
    fi
    if [ -e "$log" ]; then
        aws=$(count 'aws-' "$log") azure=$(count 'azure-' "$log")
        both=$(($(count '' "$log") - aws - azure))
        read -r passed _ failed _ < <(grep -aE '^[0-9]+ passed, [0-9]+ failed$' "$log" | tail -n 1) || failed=1
        if [ "$failed" -ne 0 ]; then result=FAILED; elif [ "$passed" -eq 0 ]; then result=skipped; else result=passed; fi
    fi
    echo "| $title | $name | $aws | $azure | $both | $result |"
}

table() {
    echo '| client | script and page | AWS | Azure | both | result |'
    echo '|---|---|---|---|---|---|'
    local name
    for name in $(scripts); do row "$name"; done
}

written() { sed -n "/$begin/,/$end/p" "$root/README.md" | awk -F' [|] ' '/^[|]/ && NR > 3 { print $2 }' | sed -E 's/^\[([^]]*)\].*/\1/'; }

case ${1:-} in
    "") table ;;
    --write)
        table >"$root/target/clients/table.md"
        sed -i -e "/$begin/,/$end/{/$begin/!{/$end/!d}}" -e "/$begin/r $root/target/clients/table.md" "$root/README.md"
        ;;
    --check)
        diff <(scripts) <(written) >&2 || { echo "README.md: the table of clients is not of these scripts: tests/clients/table.sh --write" >&2 && exit 1; }
        for page in "$root"/docs/clients/*.md; do
            page=$(basename "$page")
            [ "$page" = README.md ] || grep -qF "]($page)" "$root/docs/clients/README.md" ||
                { echo "docs/clients/README.md: $page is missing" >&2 && exit 1; }
        done
        ;;
    *) sed -n '2,4s/^# //p' "$0" >&2 && exit 2 ;;
esac
