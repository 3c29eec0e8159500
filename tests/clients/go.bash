# shellcheck shell=bash disable=SC2154
# What the scripts of Go source after lib.sh. Go's own folders are in target, so that nothing of the user's is read or written. All
# releases share them: what Go keeps there depends on the compiler's version, and is named by it.
#
#   SOURCE    the programs
#   modules   fetches what they need
#   again COMMAND   tries up to five times
#   module_of MODULE PROGRAM   the module's version in the built program

go_folder=$root/target/clients/go
export SOURCE=$clients/go
export GOENV=off GOTOOLCHAIN=local GOFLAGS='-buildvcs=false -modcacherw' GOPATH=$go_folder/path GOCACHE=$go_folder/cache

module_of() { go version -m "$2" | awk -v module="$1" '$1 == "dep" && $2 == module { print $3 }'; }

# Go gives up at once where a proxy does not answer for a moment.
again() { # COMMAND
    local attempt
    for attempt in 1 2 3 4 5; do
        "$@" && return
        sleep "$attempt"
    done
    return 1
}

modules() { again go -C "$SOURCE" mod download; }
