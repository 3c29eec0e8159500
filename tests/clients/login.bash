# shellcheck shell=bash disable=SC2154 # lib.sh sets them
# Sourced after lib.sh by scripts of tokens whose PIN is the credential.
#
#   login_config   makes $work/login.json, a configuration with the slots aws-p256 and azure-p256, each with the option `login`,
#                  and without credentials; and $work/secret, which holds the client secret

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
