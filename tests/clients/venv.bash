# shellcheck shell=bash disable=SC2154 # lib.sh sets them
# What scripts whose client pip brings source after lib.sh, with the user's own home in $user_home.
#
#   venv NAME [PAGE]   the virtual environment that the page PAGE (this script's) makes by its block with `pip install`, in $folder/page and,
#                      as a link, in $work/page; all versions are those of NAME/requirements.txt, and it is made once for each state
#                      of that. SOURCE is the folder NAME. Python is Debian's, whatever python3 this machine has first in its PATH.
#   packages NAME...   says their versions, as Python finds them there

export PYTHONDONTWRITEBYTECODE=1

venv() {
    local page=${2:-$script}
    export SOURCE=$clients/$1
    folder=$state/$1
    if ! cmp -s "$SOURCE/requirements.txt" "$folder/installed" || [ ! -x "$folder/page/venv/bin/python" ]; then
        echo "$1: installing what pip brings"
        rm -rf "$folder"
        mkdir -p "$folder"
        # In its place at once: a virtual environment can't be moved.
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
