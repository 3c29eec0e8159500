"""home.py CONFIG FOLDER [--only LABEL...]: makes FOLDER a home directory in which the module needs no variable but HOME.

Copies the configuration to .config/cloud-kms-pkcs11/config.json, with every file that it names, the AWS files to .aws, the token of Vault
to .vault-token, and the credentials of Google to where gcloud has them. FOLDER can belong to another user. Used for programs whose
environment is not the caller's: ssh-agent's helper, p11-kit under root.
"""

import json
import pathlib
import shutil
import sys


def main():
    source, folder, *rest = sys.argv[1:]
    source, folder = pathlib.Path(source), pathlib.Path(folder)
    config = json.loads(source.read_text())
    if rest[:1] == ["--only"]:
        config["slots"] = [slot for slot in config["slots"] if slot["label"] in rest[1:]]
    home = folder / ".config" / "cloud-kms-pkcs11"
    home.mkdir(parents=True, exist_ok=True)
    if token := config.pop("vault_token_file", None):
        shutil.copyfile(token, folder / ".vault-token")
    if credentials := config.pop("google_credentials_file", None):
        gcloud = folder / ".config" / "gcloud"
        gcloud.mkdir(exist_ok=True)
        shutil.copyfile(credentials, gcloud / "application_default_credentials.json")
    for part in [config, *config["slots"]]:
        for name, value in part.items():
            if isinstance(value, str) and pathlib.Path(value).is_absolute():
                path = pathlib.Path(value)
                kept = f"{path.parent.name}-{path.name}"
                shutil.copyfile(path, home / kept)
                # Relative paths start at the configuration's folder.
                part[name] = kept
    (home / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    shutil.copytree(source.parent / "home" / ".aws", folder / ".aws", dirs_exist_ok=True)


if __name__ == "__main__":
    main()
