# shellcheck shell=bash disable=SC2154 # the script that sources this sets $clients, this folder
# The client scripts, and the lines in their heads:
#
#   # apt: PACKAGE...               the Debian packages that the script needs
#   # apt trixie sid: PACKAGE...    the packages that it needs in these releases only
#   # releases: trixie sid          the releases that have the client; without this line, all releases
#
#   this_release        prints bookworm, trixie or sid; another distribution counts as trixie
#   scripts [RELEASE]   prints the names of all scripts, or of those that run in that release
#   own_scripts RELEASE prints the names of those that do something else in that release than in others
#   packages_of NAME    prints the script's packages in this release

this_release() {
    local codename
    codename=${RELEASE:-$(. /etc/os-release && echo "${VERSION_CODENAME:-}")}
    case $codename in bookworm | trixie | sid) echo "$codename" ;; *) echo trixie ;; esac
}

scripts() {
    local file name releases
    for file in "$clients"/*.sh; do
        name=$(basename "$file" .sh)
        case $name in run | lib | lib-ssh | install | release) continue ;; esac
        releases=$(sed -n 's/^# releases: //p' "$file")
        [ -z "${1:-}" ] || [ -z "$releases" ] || [[ " $releases " = *" $1 "* ]] || continue
        echo "$name"
    done | LC_ALL=C sort
}

own_scripts() {
    local name
    for name in $(scripts "$1"); do
        ! grep -qE '^# releases:|[$][{]?release|this_release|RELEASE' "$clients/$name.sh" || echo "$name"
    done
}

packages_of() {
    local release
    release=$(this_release)
    sed -nE "s/^# apt(( [a-z]+)* $release( [a-z]+)*)?: //p" "$clients/$1.sh" | tr ' ' '\n' | sort -u
}
