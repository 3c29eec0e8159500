# shellcheck shell=bash disable=SC2154 # lib.sh sets them
# Sourced after lib.sh by scripts of tokens whose PIN is the credential.
#
#   login_config   makes $work/login.json, a configuration with the slots aws-p256, azure-p256 and, if there is one, vault-p256, each
#                  with the option `login`, and without credentials; and $work/secret.azure and secret.vault with their PINs
#   pin            prints the PIN of $cloud

login_config() {
    python3 - "$config" "$work/login.json" "$work/secret" <<'PY'
import json, pathlib, sys
config = json.load(open(sys.argv[1]))
for cloud, option in (("azure", "azure_client_secret_file"), ("vault", "vault_token_file")):
    if option in config:
        pathlib.Path(f"{sys.argv[3]}.{cloud}").write_text(pathlib.Path(config.pop(option)).read_text().strip())
logins = {"aws-p256": "aws_profile", "azure-p256": "azure_client_secret", "vault-p256": "vault_token"}
config["slots"] = [slot | {"login": logins[slot["label"]]} for slot in config["slots"] if slot["label"] in logins]
json.dump(config, open(sys.argv[2], "w"))
PY
}

pin() { if [ "$cloud" = aws ]; then echo default; else cat "$work/secret.$cloud"; fi; }
