# shellcheck shell=bash disable=SC2154
# Sourced after lib.sh by the scripts of Go. Go's folders are in target, so that the user's are not read or written. All releases
# share them, because Go separates their contents by the compiler's version.
#
#   SOURCE    the folder with the programs
#   modules   downloads the modules that the programs need
#   again COMMAND   runs COMMAND up to five times, until it succeeds
#   module_of MODULE PROGRAM   prints the version of the Go module in the built program

go_folder=$root/target/clients/go
export SOURCE=$clients/go
export GOENV=off GOTOOLCHAIN=local GOFLAGS='-buildvcs=false -modcacherw' GOPATH=$go_folder/path GOCACHE=$go_folder/cache

module_of() { go version -m "$2" | awk -v module="$1" '$1 == "dep" && $2 == module { print $3 }'; }

# Go does not retry a download when a proxy fails for a moment.
again() { # COMMAND
    local attempt
    for attempt in 1 2 3 4 5; do
        "$@" && return
        sleep "$attempt"
    done
    return 1
}

modules() { again go -C "$SOURCE" mod download; }
