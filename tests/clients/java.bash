# shellcheck shell=bash disable=SC2154 # lib.sh sets them
# Sourced after lib.sh by the scripts of Java.
#
#   jdks          prints the versions of the JDKs of this release: 17 in Debian 12; 21 and 25 in trixie and sid
#   use_jdk VERSION  puts the programs of that JDK first in PATH
#   slot LABEL    prints the key's position in the module's configuration

# Programs start sooner with the first compiler only, and these are short.
export JAVA_TOOL_OPTIONS=-XX:TieredStopAtLevel=1
original_path=$PATH

jdk_home() { compgen -G "/usr/lib/jvm/java-$1-openjdk-*/bin/$2" | head -n 1; } # VERSION PROGRAM

jdks() {
    local version
    for version in $(packages_of "$script" | sed -nE 's/^openjdk-([0-9]+)-j.*-headless$/\1/p' | sort -n); do
        echo "$version"
    done
}

use_jdk() { # VERSION
    local java
    java=$(jdk_home "$1" java) || true
    need "${java:-java}" "openjdk-$1-jdk-headless"
    export JAVA_HOME=${java%/bin/java} PATH=${java%/java}:$original_path
    java -version 2>&1 | grep -q "version \"$1[.\"]" || { echo "$java is not version $1: $(java -version 2>&1)" && return 1; }
}

slot() { python3 -c 'import json, sys; print([slot["label"] for slot in json.load(open(sys.argv[1]))["slots"]].index(sys.argv[2]))' "$config" "$1"; }
