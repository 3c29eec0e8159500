"""config.py SERVERS_JSON AWS_SERVER AZURE_SERVER VAULT_SERVER FOLDER [--hide KIND | --uses]: writes these files into FOLDER:

config.json   the module's configuration, with a slot for each key of the clouds
keys          a line for each key: label, cloud, usage, kind, bits, curve, public key, certificate or "-", CKA_ID in hex
home/         a home directory with the AWS files, for programs that have no AWS variables, such as the helper of ssh-agent

By default these are the keys that sign with RSA and ECDSA. With --uses these are the keys for all other operations, each from the
first of AWS_SERVER, LocalStack and the project's emulator that has it, and an RSA and a P-256 signing key of each cloud. Two more
slots have an option set: aws-random (C_GenerateRandom uses the service) and azure-rsnull (CKM_RSA_PKCS signs any DigestInfo).
A machine on which Vault can't be built has no VAULT_SERVER, and then there are no keys of Vault.
"""

import json
import os
import pathlib
import shutil
import sys


def slot(server, key):
    cloud = server["cloud"]
    label = f"{cloud}-{key['name']}"
    made = {"label": label, "cloud": cloud}
    if cloud == "aws":
        made["kms_key_id"] = key["alias"]
    elif cloud == "azure":
        made["key_name"] = key["name"]
    else:
        made |= {"transit_key": key["name"], "ca_bundle": server["ca_bundle"]}
    # Azure's vault stores the certificate. The others do not, so the configuration names a file.
    if "certificate" in key and cloud != "azure":
        made["certificate_path"] = key["certificate"]
    return made


def line(cloud, key):
    identity = key["alias"] if cloud == "aws" else key["name"]
    return "\t".join([f"{cloud}-{key['name']}", cloud, key["usage"], key["kind"], str(key["bits"]), key.get("curve", "-"),
                      key.get("public", "-"), key.get("certificate", "-"), identity.encode().hex()])


# Of Vault, these keys suffice: it has no key types of its own. In the later releases (release.sh), two save time.
VAULT_SIGNS = ("rsa2048", "p256") if os.environ.get("RELEASE") else ("rsa2048", "p256", "p384", "p521")
VAULT_USES = ("rsa2048", "p256", "ed25519", "hmac")


def signing(server):
    """The enabled keys that sign with RSA and ECDSA. Disabled keys have their own tests."""
    keys = [key for key in server["keys"] if key["usage"] == "sign" and key["kind"] in ("rsa", "ec") and key["enabled"]]
    return [key for key in keys if server["cloud"] != "vault" or key["name"] in VAULT_SIGNS]


def uses(servers, aws_name, azure_name, vault_name):
    """Returns the keys of --uses, as (cloud, key) and as slots."""
    keys, slots, names = [], [], set()
    order = (aws_name, "localstack", "emulator-kms", azure_name, vault_name)
    places = [(name, servers[name]) for name in order if name in servers]
    for place, server in places:
        cloud = server["cloud"]
        for key in server["keys"]:
            usual = key["usage"] == "sign" and key["kind"] in ("rsa", "ec") and key["name"] not in ("rsa2048", "p256")
            unwanted = cloud == "vault" and key["name"] not in VAULT_USES
            if usual or unwanted or not key["enabled"] or (cloud, key["name"]) in names:
                continue
            names.add((cloud, key["name"]))
            made = slot(server, key)
            if place not in (aws_name, azure_name, vault_name):
                made |= {"aws_endpoint_url": server["endpoint"], "aws_region": server["region"], "aws_profile": place}
            keys.append((cloud, key))
            slots.append(made)
    [one] = [made for made in slots if made["label"] == "aws-rsa2048"]
    [two] = [made for made in slots if made["label"] == "azure-rsa2048"]
    slots += [one | {"label": "aws-random", "random": "service"}, two | {"label": "azure-rsnull", "rsnull": True}]
    return keys, slots


def main():
    servers_json, aws_name, azure_name, vault_name, folder, *rest = sys.argv[1:]
    servers = json.loads(pathlib.Path(servers_json).read_text())["servers"]
    hide = rest[1:] if rest[:1] == ["--hide"] else []
    folder = pathlib.Path(folder)
    aws, azure, vault = servers[aws_name], servers[azure_name], servers.get(vault_name)
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
    if vault:
        config |= {"vault_address": vault["address"], "vault_token_file": vault["token_file"]}
    if hide:
        config["hide_keys"] = hide
    keys = [(server, key) for server in (aws, azure, vault) if server for key in signing(server)]
    names = {"P-256K": "secp256k1"}
    keys = [(server, key) for server, key in keys if names.get(key.get("curve")) not in hide or "curve" not in key]
    config["slots"] = [slot(server, key) for server, key in keys]
    keys = [(server["cloud"], key) for server, key in keys]
    if rest == ["--uses"]:
        keys, config["slots"] = uses(servers, aws_name, azure_name, vault_name)
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    (folder / "keys").write_text("".join(line(cloud, key) + "\n" for cloud, key in keys))
    home = folder / "home" / ".aws"
    home.mkdir(parents=True, exist_ok=True)
    for name in ("credentials", "config"):
        shutil.copy(aws[f"{name}_file"], home / name)
        os.chmod(home / name, 0o600)
    for name, server in servers.items():
        if name != aws_name and server["cloud"] == "aws":
            with open(home / "credentials", "a") as file:
                file.write(f"[{name}]\naws_access_key_id = {server['access_key_id']}\n"
                           f"aws_secret_access_key = {server['secret_access_key']}\n")


if __name__ == "__main__":
    main()
