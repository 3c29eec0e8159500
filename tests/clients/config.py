"""config.py SERVERS_JSON AWS_SERVER AZURE_SERVER FOLDER [--hide KIND]: writes, into FOLDER,

config.json   the module's configuration, a slot for each key of both clouds
keys          a line for each key: label, cloud, usage, kind, bits, curve, public key, certificate or "-", CKA_ID in hex
home/         a home directory with the AWS files (an agent's helper sees no AWS variables)
"""

import json
import os
import pathlib
import shutil
import sys


def slot(cloud, key):
    label = f"{cloud}-{key['name']}"
    made = {"label": label, "cloud": cloud}
    if cloud == "aws":
        made["kms_key_id"] = key["alias"]
        # A vault has the certificate itself; KMS has none, so here it comes from a file.
        if "certificate" in key:
            made["certificate_path"] = key["certificate"]
    else:
        made["key_name"] = key["name"]
    return made


def line(cloud, key):
    identity = key["alias"] if cloud == "aws" else key["name"]
    return "\t".join([f"{cloud}-{key['name']}", cloud, key["usage"], key["kind"], str(key["bits"]), key.get("curve", "-"),
                      key["public"], key.get("certificate", "-"), identity.encode().hex()])


def main():
    servers_json, aws_name, azure_name, folder, *rest = sys.argv[1:]
    servers = json.loads(pathlib.Path(servers_json).read_text())["servers"]
    hide = rest[1:] if rest[:1] == ["--hide"] else []
    folder = pathlib.Path(folder)
    aws, azure = servers[aws_name], servers[azure_name]
    config = {
        "log_level": "info",
        "aws_region": aws["region"],
        "aws_endpoint_url": aws["endpoint"],
        "vault_url": azure["vault_url"],
        "ca_bundle": azure["ca_bundle"],
        "azure_authority_host": azure["authority_host"],
        "azure_tenant_id": azure["tenant_id"],
        "azure_client_id": azure["client_id"],
        "azure_client_secret_file": azure["client_secret_file"],
        "verify_challenge_resource": azure["verify_challenge_resource"],
    }
    if hide:
        config["hide_keys"] = hide
    # What can't sign is for tests of their own, and so is a disabled key.
    keys = [(cloud, key) for cloud, server in (("aws", aws), ("azure", azure)) for key in server["keys"]
            if key["usage"] == "sign" and key["enabled"]]
    names = {"P-256K": "secp256k1"}
    keys = [(cloud, key) for cloud, key in keys if names.get(key.get("curve")) not in hide or "curve" not in key]
    config["slots"] = [slot(cloud, key) for cloud, key in keys]
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    (folder / "keys").write_text("".join(line(cloud, key) + "\n" for cloud, key in keys))
    home = folder / "home" / ".aws"
    home.mkdir(parents=True, exist_ok=True)
    for name in ("credentials", "config"):
        shutil.copy(aws[f"{name}_file"], home / name)
        os.chmod(home / name, 0o600)


if __name__ == "__main__":
    main()
