"""config.py SERVERS_JSON AWS_SERVER AZURE_SERVER VAULT_SERVER GOOGLE_SERVER FOLDER [--hide KIND | --uses]: writes into FOLDER:

config.json   the module's configuration, with a slot for each key of the clouds
keys          a line for each key: label, cloud, usage, kind, bits, curve, public key, certificate or "-", schemes, CKA_ID in hex
home/         a home directory with the AWS files, for programs that have no AWS variables, such as the helper of ssh-agent

By default these are the keys that sign with RSA and ECDSA. With --uses these are the keys for all other operations, each from the
first of AWS_SERVER, LocalStack and the project's emulator that has it, and an RSA and a P-256 signing key of each cloud. Two more
slots have an option set: aws-random (C_GenerateRandom uses the service) and azure-rsnull (CKM_RSA_PKCS signs any DigestInfo).
A machine on which Vault can't be built has no VAULT_SERVER, and then there are no keys of Vault.

An RSA key of Google has one scheme, and most have one hash. Such keys have the usage `bound`, and `schemes` says what they do.
"""

import json
import os
import pathlib
import re
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
    elif cloud == "google":
        made["google_key"] = key["version"]
    else:
        made |= {"transit_key": key["name"], "ca_bundle": server["ca_bundle"]}
    # Azure's vault stores the certificate. The others do not, so the configuration names a file.
    if "certificate" in key and cloud != "azure":
        made["certificate_path"] = key["certificate"]
    return made


def line(cloud, key):
    identity = {"aws": "alias", "google": "version"}.get(cloud, "name")
    bound = cloud == "google" and key["kind"] == "rsa" and key["usage"] == "sign"
    return "\t".join([f"{cloud}-{key['name']}", cloud, "bound" if bound else key["usage"], key["kind"], str(key["bits"]),
                      key.get("curve", "-"), key.get("public", "-"), key.get("certificate", "-"), schemes(cloud, key),
                      key[identity].encode().hex()])


# The schemes of RSA keys. A scheme without a hash is one with every hash. `decrypt` has the padding: pkcs1, or the hash of OAEP.
SIGNS = [f"{scheme}:sha{size}" for scheme in ("pkcs1", "pss") for size in (256, 384, 512)]
SCHEMES = {
    ("aws", "sign"): SIGNS,
    ("aws", "decrypt"): ["decrypt:sha1", "decrypt:sha256"],
    ("azure", "sign"): [*SIGNS, "decrypt"],
    ("azure", "decrypt"): ["decrypt"],
    ("vault", "sign"): ["pkcs1", "pss", "decrypt:sha256"],
}
# The algorithms of Google.
ALGORITHMS = {r"RSA_SIGN_RAW_PKCS1_\d+": "pkcs1", r"RSA_SIGN_PKCS1_\d+_(.+)": "pkcs1", r"RSA_SIGN_PSS_\d+_(.+)": "pss",
              r"RSA_DECRYPT_OAEP_\d+_(.+)": "decrypt"}


def schemes(cloud, key):
    if key["kind"] != "rsa":
        return "-"
    if cloud != "google":
        return ",".join(SCHEMES[cloud, key["usage"]])
    [found] = [[scheme, *match.groups()] for pattern, scheme in ALGORITHMS.items() if (match := re.fullmatch(pattern, key["type"]))]
    return ":".join(found).lower()


# Of these clouds, some keys suffice: they have no key types of their own. In the later releases (release.sh), fewer save time.
SOME_SIGN = {
    "azure": ("rsa2048", "rsa3072", "rsa4096", "p256", "p384", "cert-rsa", "cert-ec"),
    "vault": ("rsa2048", "p256"),
    "google": ("rsa2048", "pkcs2048", "pss2048", "p256"),
} if os.environ.get("RELEASE") else {
    "vault": ("rsa2048", "p256", "p384", "p521"),
    "google": ("rsa2048", "pkcs2048", "pss2048", "p256", "p384"),
}
SOME_USED = {
    "vault": ("rsa2048", "p256", "ed25519", "hmac"),
    "google": ("rsa2048", "p256", "ed25519", "hmac", "decrypt", "mldsa65", "slhdsa"),
}
# What the scripts call the keys of Google, by their algorithms. RSA_SIGN_RAW_PKCS1 signs with every hash, and with EXTERNAL_MU the module
# computes what ML-DSA signs, as for AWS.
GOOGLE_NAMES = {
    "RSA_SIGN_RAW_PKCS1_2048": "rsa2048",
    "RSA_SIGN_PKCS1_2048_SHA256": "pkcs2048",
    "RSA_SIGN_PSS_2048_SHA256": "pss2048",
    "EC_SIGN_P256_SHA256": "p256",
    "EC_SIGN_P384_SHA384": "p384",
    "EC_SIGN_ED25519": "ed25519",
    "RSA_DECRYPT_OAEP_2048_SHA256": "decrypt",
    "HMAC_SHA256": "hmac",
    "PQ_SIGN_ML_DSA_65_EXTERNAL_MU": "mldsa65",
    "PQ_SIGN_SLH_DSA_SHA2_128S": "slhdsa",
}


def signing(server):
    """The enabled keys that sign with RSA and ECDSA. Disabled keys have their own tests."""
    keys = [key for key in server["keys"] if key["usage"] == "sign" and key["kind"] in ("rsa", "ec") and key["enabled"]]
    return [key for key in keys if key["name"] in SOME_SIGN.get(server["cloud"], [key["name"]])]


def uses(servers, aws_name, others):
    """Returns the keys of --uses, as (cloud, key) and as slots."""
    keys, slots, names = [], [], set()
    order = (aws_name, "localstack", "emulator-kms", *others)
    places = [(name, servers[name]) for name in order if name in servers]
    for place, server in places:
        cloud = server["cloud"]
        for key in server["keys"]:
            usual = key["usage"] == "sign" and key["kind"] in ("rsa", "ec") and key["name"] not in ("rsa2048", "p256")
            unwanted = key["name"] not in SOME_USED.get(cloud, [key["name"]])
            if usual or unwanted or not key["enabled"] or (cloud, key["name"]) in names:
                continue
            names.add((cloud, key["name"]))
            made = slot(server, key)
            if place not in (aws_name, *others):
                made |= {"aws_endpoint_url": server["endpoint"], "aws_region": server["region"], "aws_profile": place}
            keys.append((cloud, key))
            slots.append(made)
    [one] = [made for made in slots if made["label"] == "aws-rsa2048"]
    [two] = [made for made in slots if made["label"] == "azure-rsa2048"]
    slots += [one | {"label": "aws-random", "random": "service"}, two | {"label": "azure-rsnull", "rsnull": True}]
    return keys, slots


def main():
    servers_json, aws_name, azure_name, vault_name, google_name, folder, *rest = sys.argv[1:]
    servers = json.loads(pathlib.Path(servers_json).read_text())["servers"]
    google = servers[google_name]
    google["keys"] = [key | {"name": GOOGLE_NAMES[key["type"]]} for key in google["keys"] if key["enabled"] and key["type"] in GOOGLE_NAMES]
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
        "google_endpoint_url": google["endpoint"],
        "google_credentials_file": google["credentials_file"],
    }
    if vault:
        config |= {"vault_address": vault["address"], "vault_token_file": vault["token_file"]}
    if hide:
        config["hide_keys"] = hide
    keys = [(server, key) for server in (aws, azure, vault, google) if server for key in signing(server)]
    names = {"P-256K": "secp256k1"}
    keys = [(server, key) for server, key in keys if names.get(key.get("curve")) not in hide or "curve" not in key]
    config["slots"] = [slot(server, key) for server, key in keys]
    keys = [(server["cloud"], key) for server, key in keys]
    if rest == ["--uses"]:
        keys, config["slots"] = uses(servers, aws_name, (azure_name, vault_name, google_name))
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
