# shellcheck shell=bash disable=SC2154 # lib.sh sets them
# For scripts of tokens whose PIN is their credential, after lib.sh.
#
#   login_config   $work/login.json: the slots aws-p256 and azure-p256 with a login, and nothing else in the file that tells a
#                  credential; the client secret is in $work/secret

login_config() {
    python3 - "$config" "$work/login.json" "$work/secret" <<'PY'
import json, pathlib, sys
config = json.load(open(sys.argv[1]))
secret = pathlib.Path(config.pop("azure_client_secret_file")).read_text().strip()
logins = {"aws-p256": "aws_profile", "azure-p256": "azure_client_secret"}
config["slots"] = [slot | {"login": logins[slot["label"]]} for slot in config["slots"] if slot["label"] in logins]
json.dump(config, open(sys.argv[2], "w"))
pathlib.Path(sys.argv[3]).write_text(secret)
PY
}
