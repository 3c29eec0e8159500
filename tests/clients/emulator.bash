# shellcheck shell=bash disable=SC2154 # lib.sh sets them
# For scripts that make keys, after lib.sh: KMS and a vault that are nobody else's.
#
#   own_emulator [FOLDER]   starts an empty one, to be ended with the script; its ca.pem and ready.json are in FOLDER ($work/own)

own_emulator() {
    local folder=${1:-$work/own}
    mkdir -p "$folder"
    "${CARGO_TARGET_DIR:-$root/target}/debug/cloud-kms-emulator" --ca-file "$folder/ca.pem" --ready-file "$folder/ready.json" \
        >"$folder/emulator.log" 2>&1 &
    later "kill $!; wait $!"
    wait_for 30 test -e "$folder/ready.json" || { cat "$folder/emulator.log" && return 1; }
}
