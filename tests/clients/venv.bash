# shellcheck shell=bash disable=SC2154 # lib.sh sets them
# Sourced after lib.sh by scripts whose client is installed with pip. $user_home is the user's own home.
#
#   venv NAME [PAGE]   makes a virtual environment with the block `pip install` of PAGE (default: this script's page), in $folder/page
#                      and, as a link, in $work/page. All versions are those of NAME/requirements.txt; the environment is made again
#                      only when that file changes. Sets SOURCE to the folder NAME. Uses Debian's Python, even if another python3
#                      comes first in PATH.
#   packages NAME...   prints the versions of these packages in the virtual environment

export PYTHONDONTWRITEBYTECODE=1

venv() {
    local page=${2:-$script}
    export SOURCE=$clients/$1
    folder=$state/$1
    if ! cmp -s "$SOURCE/requirements.txt" "$folder/installed" || [ ! -x "$folder/page/venv/bin/python" ]; then
        echo "$1: installing the Python packages of $SOURCE/requirements.txt"
        rm -rf "$folder"
        mkdir -p "$folder"
        # Made in its final folder: a virtual environment can't be moved.
        (export HOME=$user_home PATH=/usr/bin:$PATH PIP_CONSTRAINT=$SOURCE/requirements.txt && work=$folder &&
            run_page 'pip install' "$page") >"$work/install.log" 2>&1 || { cat "$work/install.log" && return 1; }
        cp "$SOURCE/requirements.txt" "$folder/installed"
    fi
    mkdir -p "$work/page"
    ln -s "$folder/page/venv" "$work/page/venv"
}

packages() {
    local name version
    while read -r name version; do client "$name" "$version"; done < <("$folder/page/venv/bin/python" - "$@" <<'END'
import platform
import sys
from importlib.metadata import version

print("Python", platform.python_version())
for name in sys.argv[1:]:
    print(name, version(name))
END
    )
}
