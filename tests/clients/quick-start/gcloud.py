#!/usr/bin/env python3
"""Stands in for the command `gcloud`: the subcommands of docs/quick-start-google.md, with the options that the page uses.

Everything else fails: an unknown subcommand, an unknown or missing option, a value that Google refuses. Keys live in the project's
emulator, reached as real clients reach Google (https://cloudkms.googleapis.com, by HTTPS_PROXY), by the requests of the real command.
Service accounts and role bindings live in a file. The emulator has one service account with a key, so the file of each account's key
is that of the emulator's. It denies each operation until an account has a role with the permission that the operation needs.

CLOUDSDK_CORE_PROJECT   as for the real command
GCLOUD_STATE            the file
GCLOUD_READY            the ready file of the emulator
"""

import argparse
import json
import os
import pathlib
import re
import sys
import urllib.error
import urllib.request

STATE = pathlib.Path(os.environ["GCLOUD_STATE"])
READY = json.loads(pathlib.Path(os.environ["GCLOUD_READY"]).read_text())
PROJECT = os.environ.get("CLOUDSDK_CORE_PROJECT", "")
VERSIONS = "cloudkms.cryptoKeyVersions"
# "Cloud KMS roles and permissions": of each role those that have to do with keys, and the operations that need a permission.
ROLES = {
    "roles/cloudkms.publicKeyViewer": (f"{VERSIONS}.viewPublicKey",),
    "roles/cloudkms.signer": (f"{VERSIONS}.useToSign",),
    "roles/cloudkms.viewer": (f"{VERSIONS}.get", f"{VERSIONS}.list", "cloudkms.cryptoKeys.get", "cloudkms.cryptoKeys.list"),
}
OPERATIONS = {
    f"{VERSIONS}.viewPublicKey": ("GetPublicKey",),
    f"{VERSIONS}.useToSign": ("AsymmetricSign", "MacSign"),
    f"{VERSIONS}.get": ("GetCryptoKeyVersion",),
    f"{VERSIONS}.list": ("ListCryptoKeyVersions",),
    "cloudkms.cryptoKeys.get": ("GetCryptoKey",),
    "cloudkms.cryptoKeys.list": ("ListCryptoKeys",),
}
PURPOSES = {"asymmetric-signing": "ASYMMETRIC_SIGN"}

# The word after the subcommand, and the options. An option with "!" is required, and one with "?" takes no value.
COMMANDS = {
    "auth login": "",
    "iam service-accounts create": "name",
    "iam service-accounts delete": "account --quiet?",
    "iam service-accounts keys create": "file --iam-account!",
    "kms keyrings create": "ring",
    "kms keys add-iam-policy-binding": "key --member! --role!",
    "kms keys create": "key --purpose! --default-algorithm! --protection-level",
    "kms keys remove-iam-policy-binding": "key --member! --role!",
    "kms keys versions destroy": "version",
    "kms keys versions enable": "version",
    "kms keys versions get-public-key": "version --output-file!",
    "kms keys versions restore": "version",
    "services enable": "service",
}
NAMES = {
    "ring": "projects/*/locations/*/keyRings/*",
    "key": "projects/*/locations/*/keyRings/*/cryptoKeys/*",
    "version": "projects/*/locations/*/keyRings/*/cryptoKeys/*/cryptoKeyVersions/*",
}


class Refused(Exception):
    """What the command prints before it exits."""


def require(condition, message):
    if not condition:
        raise Refused(message)


def arguments(words):
    """The subcommand's name and its options."""
    name = next((name for name in COMMANDS if words[: len(name.split())] == name.split()), None)
    require(name, f"Invalid choice: '{' '.join(words)}': not a command of this stand-in, see {__file__}")
    parser = argparse.ArgumentParser(prog=f"gcloud {name}", allow_abbrev=False)
    for word in COMMANDS[name].split():
        if word.startswith("--"):
            more = {"action": "store_true"} if "?" in word else {"required": "!" in word}
            parser.add_argument(word.rstrip("!?"), **more)
        else:
            parser.add_argument(word)
    options = parser.parse_args(words[len(name.split()):])
    for kind, form in NAMES.items():
        text = getattr(options, kind, None)
        require(text is None or re.fullmatch(form.replace("*", "[A-Za-z0-9_-]+"), text), f"{kind}: {text}: not a full name ({form})")
    return name, options


# The emulator.


def send(method, url, body=None, token=None):
    data = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data, headers, method=method), timeout=20) as reply:
            return json.loads(reply.read() or b"null")
    except urllib.error.HTTPError as error:
        raise Refused(f"{method} {url}: {error.code} {error.read().decode()}") from error


def control(method, path, body=None):
    return send(method, f"{READY['control_url']}/{path}", body)


def call(state, method, path, body=None):
    """A request of the user, who may do everything."""
    token = control("GET", "google/token")["access_token"]
    control("DELETE", "faults")
    try:
        return send(method, f"https://cloudkms.googleapis.com/v1/{path}", body, token)
    finally:
        enforce(state)


def enforce(state):
    """The emulator denies what no account's role allows."""
    members = [f"serviceAccount:{account}" for account in state["accounts"]]
    roles = [entry["role"] for entry in state["bindings"] if entry["member"] in members]
    granted = {permission for role in roles for permission in ROLES[role]}
    control("DELETE", "faults")
    for permission, operations in OPERATIONS.items():
        for operation in operations if permission not in granted else ():
            control("POST", "faults", {"operation": f"google.{operation}", "action": "deny"})


# The commands. Each gets the state, which it may change, and its options; it returns what it prints.


def auth_login(state, _):
    state["signed_in"] = True


def services_enable(state, options):
    require(options.service == "cloudkms.googleapis.com", f"{options.service}: not a service of this stand-in")
    state["is_enabled"] = True


def iam_service_accounts_create(state, options):
    require(re.fullmatch(r"[a-z]([-a-z0-9]{4,28}[a-z0-9])", options.name), f"Bad value [{options.name}]")
    email = f"{options.name}@{PROJECT}.iam.gserviceaccount.com"
    require(email not in state["accounts"], f"ALREADY_EXISTS: Service account {options.name} already exists within project.")
    state["accounts"].append(email)
    enforce(state)
    return f"Created service account [{options.name}]."


def known_account(state, email):
    require(email in state["accounts"], f"NOT_FOUND: Unknown service account {email}")
    return email


def iam_service_accounts_delete(state, options):
    require(options.quiet, "This prompt could not be answered because you are not in an interactive session; use --quiet")
    state["accounts"].remove(known_account(state, options.account))
    enforce(state)


def iam_service_accounts_keys_create(state, options):
    known_account(state, options.iam_account)
    text = json.dumps(control("GET", "google/service-account.json"), indent=2)
    # As the real command does.
    os.close(os.open(options.file, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600))
    pathlib.Path(options.file).write_text(text)
    return f"created key as [{options.file}] for [{options.iam_account}]"


def kms_keyrings_create(state, options):
    require(state["is_enabled"], "Cloud Key Management Service (KMS) API has not been used in project before or it is disabled.")
    parent, _, ring = options.ring.rpartition("/")
    require(parent.split("/")[1] == PROJECT, f"{parent}: not in the project {PROJECT}")
    call(state, "POST", f"{parent}?keyRingId={ring}", {})


def kms_keys_create(state, options):
    parent, _, key = options.key.rpartition("/")
    purpose = PURPOSES.get(options.purpose)
    require(purpose, f"argument --purpose: Invalid choice: '{options.purpose}'")
    template = {"algorithm": options.default_algorithm.upper().replace("-", "_"),
                "protectionLevel": (options.protection_level or "software").upper()}
    call(state, "POST", f"{parent}?cryptoKeyId={key}", {"purpose": purpose, "versionTemplate": template})


def binding(state, options):
    require(options.role in ROLES, f"INVALID_ARGUMENT: Role {options.role} is not supported for this resource.")
    known_account(state, options.member.removeprefix("serviceAccount:"))
    # There must be such a key.
    call(state, "GET", options.key)
    return {"key": options.key, "member": options.member, "role": options.role}


def kms_keys_add_iam_policy_binding(state, options):
    state["bindings"].append(binding(state, options))
    enforce(state)
    return f"Updated IAM policy for key [{options.key.rpartition('/')[2]}]."


def kms_keys_remove_iam_policy_binding(state, options):
    wanted = binding(state, options)
    require(wanted in state["bindings"], "Policy binding with the specified principal and role not found!")
    state["bindings"].remove(wanted)
    enforce(state)


def kms_keys_versions_get_public_key(state, options):
    reply = call(state, "GET", f"{options.version}/publicKey")
    pathlib.Path(options.output_file).write_text(reply["pem"])


def kms_keys_versions_destroy(state, options):
    return json.dumps(call(state, "POST", f"{options.version}:destroy", {}), indent=2)


def kms_keys_versions_restore(state, options):
    return json.dumps(call(state, "POST", f"{options.version}:restore", {}), indent=2)


def kms_keys_versions_enable(state, options):
    return json.dumps(call(state, "PATCH", f"{options.version}?updateMask=state", {"state": "ENABLED"}), indent=2)


def main():
    state = {"signed_in": False, "is_enabled": False, "accounts": [], "bindings": []}
    if STATE.exists():
        state = json.loads(STATE.read_text())
    name, options = arguments(sys.argv[1:])
    require(name == "auth login" or state["signed_in"], "You do not currently have an active account selected. Run: gcloud auth login")
    require(name == "auth login" or PROJECT, "The required property [project] is not currently set.")
    printed = globals()[re.sub("[ -]", "_", name)](state, options)
    STATE.write_text(json.dumps(state, indent=2))
    if printed:
        print(printed)


if __name__ == "__main__":
    try:
        main()
    except Refused as refused:
        sys.exit(f"ERROR: (gcloud) {refused}")
