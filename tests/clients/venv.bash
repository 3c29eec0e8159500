# shellcheck shell=bash disable=SC2154
# What the scripts of Python source after lib.sh, with the user's own home in $user_home.
#
#   install   the virtual environment of docs/clients/python.md, as $work/page/venv

export SOURCE=$clients/python PYTHONDONTWRITEBYTECODE=1
folder=$state/python

# The versions that Python itself finds there.
installed_packages() {
    local name version
    while read -r name version; do client "$name" "$version"; done < <("$folder/venv/bin/python" - <<'END'
import platform
from importlib.metadata import version

print("Python", platform.python_version())
for name in ("python-pkcs11", "PyKCS11"):
    print(name, version(name))
END
    )
}

# Once for each state of requirements.txt.
install() {
    if ! cmp -s "$SOURCE/requirements.txt" "$folder/installed"; then
        echo "python: installing python-pkcs11 and PyKCS11"
        rm -rf "$folder"
        mkdir -p "$folder" "$work/page"
        (HOME=$user_home work=$work/install script=python && mkdir -p "$work" && run_page 'pip install' && mv "$work/page/venv" "$folder/venv") \
            >"$work/install.log" 2>&1 || { cat "$work/install.log" && return 1; }
        cp "$SOURCE/requirements.txt" "$folder/installed"
    fi
    mkdir -p "$work/page"
    ln -s "$folder/venv" "$work/page/venv"
    installed_packages
}
