#!/usr/bin/env python3
"""Stands in for the Azure CLI: the subcommands of docs/quick-start-azure.md, with the options that the page uses.

Everything else fails: an unknown subcommand or option, a missing option, a value that Azure refuses. Keys live in the project's
emulator, reached as real clients reach Azure (https://NAME.vault.azure.net, by HTTPS_PROXY). Groups, vaults, roles and role
assignments live in a file. The emulator denies each operation on keys and certificates until an application has a role with the
data action that the operation needs.

AZ_STATE   the file
AZ_READY   the ready file of the emulator
"""

import argparse
import base64
import json
import os
import pathlib
import re
import secrets
import sys
import urllib.error
import urllib.parse
import urllib.request
import uuid

STATE = pathlib.Path(os.environ["AZ_STATE"])
READY = json.loads(pathlib.Path(os.environ["AZ_READY"]).read_text())
USER = "11111111-1111-4111-8111-111111111111"
SUBSCRIPTION = "/subscriptions/22222222-2222-4222-8222-222222222222"
OFFICER = "Key Vault Crypto Officer"
KEYS = "Microsoft.KeyVault/vaults/keys/"
CERTIFICATES = "Microsoft.KeyVault/vaults/certificates/"
# "Azure permissions for Security", Microsoft.KeyVault: those of keys and certificates, and the operations of the emulator that need them.
DATA_ACTIONS = {
    f"{KEYS}read": ("keys.get", "keys.list", "keys.versions"),
    f"{KEYS}sign/action": ("keys.sign",),
    f"{KEYS}verify/action": ("keys.verify",),
    f"{KEYS}encrypt/action": ("keys.encrypt",),
    f"{KEYS}decrypt/action": ("keys.decrypt",),
    f"{KEYS}wrap/action": ("keys.wrapkey",),
    f"{KEYS}unwrap/action": ("keys.unwrapkey",),
    f"{CERTIFICATES}read": ("certificates.get", "certificates.list", "certificates.versions"),
}

# An option with "!" is required, one with "*" takes several values, and one with "?" takes none.
COMMANDS = {
    "login": "",
    "account show": "",
    "ad app delete": "--id!",
    "ad signed-in-user show": "",
    "ad sp create-for-rbac": "--name!",
    "ad sp list": "--display-name!",
    "group create": "--name! --location!",
    "group delete": "--name! --yes?",
    "keyvault create": "--name! --resource-group! --location! --enable-rbac-authorization!",
    "keyvault key create": "--vault-name! --name! --kty! --size! --ops!*",
    "keyvault key download": "--vault-name! --name! --encoding! --file!",
    "keyvault purge": "--name!",
    "keyvault set-policy": "--name! --spn! --key-permissions!*",
    "keyvault show": "--name!",
    "provider register": "--namespace!",
    "role assignment create": "--role! --scope! --assignee --assignee-object-id --assignee-principal-type",
    "role assignment delete": "--role! --scope! --assignee!",
    "role definition create": "--role-definition!",
    "role definition delete": "--name!",
}


class Refused(Exception):
    """What the CLI prints before it exits with 1."""


def require(condition, message):
    if not condition:
        raise Refused(message)


def arguments(words):
    """The command's name and its options."""
    name = " ".join(words[: next((i for i, word in enumerate(words) if word.startswith("-")), len(words))])
    require(name in COMMANDS, f"'{name}' is not a command of this stand-in, see {__file__}")
    parser = argparse.ArgumentParser(prog=f"az {name}", allow_abbrev=False)
    for option in COMMANDS[name].split():
        more = {"action": "store_true"} if "?" in option else {"nargs": "+"} if "*" in option else {}
        parser.add_argument(option.rstrip("!*?"), required="!" in option, **more)
    parser.add_argument("--output", choices=["json", "tsv"], default="json")
    parser.add_argument("--query")
    return name, parser.parse_args(words[len(name.split()):])


def select(value, query):
    """The few JMESPath expressions that the page has: names and indices."""
    require(re.fullmatch(r"(\[\d+\]|\w+)(\.\w+|\[\d+\])*", query), f"--query {query}: not an expression of this stand-in")
    for index, name in re.findall(r"\[(\d+)\]|(\w+)", query):
        value = value[int(index)] if index else value[name]
    return value


def show(value, options):
    if options.query:
        value = select(value, options.query)
    if value is None:
        return
    if options.output == "tsv":
        require(isinstance(value, str), "--output tsv: only of one text in this stand-in")
        print(value)
    else:
        print(json.dumps(value, indent=2))


# The emulator.


def send(method, url, body=None, token=None, form=False):
    data = None if body is None else body.encode() if form else json.dumps(body).encode()
    request = urllib.request.Request(url, data, method=method)
    if not form:
        request.add_header("Content-Type", "application/json")
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    try:
        with urllib.request.urlopen(request) as reply:
            return json.loads(reply.read() or b"null")
    except urllib.error.HTTPError as error:
        raise Refused(f"{method} {url}: {error.code} {error.read().decode()}") from error


def control(method, path, body=None):
    return send(method, f"{READY['control_url']}/{path}", body)


def vault_call(method, vault, path, body=None):
    azure = READY["azure"]
    form = urllib.parse.urlencode({"grant_type": "client_credentials", "client_id": azure["client_id"],
                                   "client_secret": azure["client_secret"], "scope": "https://vault.azure.net/.default"})
    login = f"https://login.microsoftonline.com/{azure['tenant_id']}/oauth2/v2.0/token"
    token = send("POST", login, form, form=True)["access_token"]
    return send(method, f"https://{vault}.vault.azure.net/{path}?api-version=7.4", body, token)


def register(app, secret):
    control("POST", "entra/clients", {"tenant": READY["azure"]["tenant_id"], "client": app, "secret": secret})


def enforce(state):
    """The emulator denies what no application's role allows."""
    roles = [entry["role"] for entry in state["assignments"] if entry["principal"] in state["apps"]]
    granted = {action for role in roles for action in state["roles"].get(role, {}).get("DataActions", [])}
    control("DELETE", "faults")
    for action, operations in DATA_ACTIONS.items():
        for operation in operations if action not in granted else ():
            control("POST", "faults", {"operation": f"vault.{operation}", "action": "deny"})


# The commands. Each gets the state, which it may change, and its options; it returns what it prints.


def login(state, _):
    state["signed_in"] = True
    return [account_show(state, _)]


def account_show(_, __):
    return {"id": SUBSCRIPTION.rpartition("/")[2], "tenantId": READY["azure"]["tenant_id"], "state": "Enabled"}


def provider_register(_, options):
    require(options.namespace == "Microsoft.KeyVault", f"{options.namespace}: not a namespace of this stand-in")


def group_create(state, options):
    state["groups"].append(options.name)
    return {"id": f"{SUBSCRIPTION}/resourceGroups/{options.name}", "location": options.location}


def group_delete(state, options):
    require(options.yes, "Unable to prompt for confirmation as no tty available. Use --yes.")
    require(options.name in state["groups"], f"(ResourceGroupNotFound) Resource group '{options.name}' could not be found.")
    state["groups"].remove(options.name)
    for name, vault in state["vaults"].items():
        if vault["group"] == options.name:
            vault["deleted"] = True
            for key in vault["keys"]:
                control("DELETE", f"vaults/{name}/keys/{key}")


def keyvault_create(state, options):
    name = options.name
    require(re.fullmatch(r"(?=.{3,24}$)[A-Za-z][A-Za-z0-9]*(-[A-Za-z0-9]+)*", name), f"(VaultNameNotValid) {name}")
    require(name not in state["vaults"], f"(VaultAlreadyExists) The vault name '{name}' is already in use.")
    require(options.resource_group in state["groups"], f"(ResourceGroupNotFound) '{options.resource_group}'")
    require(options.enable_rbac_authorization in ("true", "false"), "--enable-rbac-authorization: true or false")
    state["vaults"][name] = {"group": options.resource_group, "keys": [], "deleted": False,
                             "rbac": options.enable_rbac_authorization == "true"}
    enforce(state)
    return keyvault_show(state, options)


def vault(state, name):
    found = state["vaults"].get(name)
    require(found and not found["deleted"], f"The Vault '{name}' not found within subscription.")
    return found


def keyvault_show(state, options):
    return {"id": vault_id(vault(state, options.name)["group"], options.name), "name": options.name}


def vault_id(group, name):
    return f"{SUBSCRIPTION}/resourceGroups/{group}/providers/Microsoft.KeyVault/vaults/{name}"


def keyvault_purge(state, options):
    found = state["vaults"].get(options.name)
    require(found and found["deleted"], f"No deleted Vault or HSM was found with name {options.name}")
    del state["vaults"][options.name]


def keyvault_set_policy(state, options):
    require(not vault(state, options.name)["rbac"], "Cannot set policies to a vault with '--enable-rbac-authorization' specified")
    require(options.spn in state["apps"], f"Unable to find a service principal with the name {options.spn}")
    allowed = {"get", "list", "sign", "verify", "encrypt", "decrypt", "wrapKey", "unwrapKey", "create", "update", "delete"}
    require(set(options.key_permissions) <= allowed, f"--key-permissions: of {sorted(allowed)}")
    return {"keyPermissions": options.key_permissions}


def keyvault_key_create(state, options):
    found = vault(state, options.vault_name)
    scope = vault_id(found["group"], options.vault_name)
    mine = [entry for entry in state["assignments"] if entry["principal"] == USER and entry["scope"] == scope]
    require(any(entry["role"] == OFFICER for entry in mine), "(Forbidden) Caller is not authorized to perform action on resource.")
    # As in Azure, a role assignment takes effect later.
    if not found.get("effective"):
        found["effective"] = True
        save(state)
        raise Refused("(Forbidden) Caller is not authorized to perform action on resource. If role assignments were changed "
                      "recently, please observe propagation time.")
    found["keys"].append(options.name)
    body = {"kty": options.kty, "key_size": int(options.size), "key_ops": options.ops}
    return vault_call("POST", options.vault_name, f"keys/{options.name}/create", body)


def keyvault_key_download(state, options):
    vault(state, options.vault_name)
    require(options.encoding == "PEM", "--encoding: PEM only in this stand-in")
    file = pathlib.Path(options.file)
    require(not file.exists(), f"File or directory named '{file}' already exists.")
    key = vault_call("GET", options.vault_name, f"keys/{options.name}/")["key"]
    require(key["kty"] == "RSA", f"{key['kty']}: RSA only in this stand-in")
    text = base64.b64encode(rsa_public_key(*(base64.urlsafe_b64decode(key[part] + "==") for part in ("n", "e")))).decode()
    lines = "\n".join(text[i : i + 64] for i in range(0, len(text), 64))
    file.write_text(f"-----BEGIN PUBLIC KEY-----\n{lines}\n-----END PUBLIC KEY-----\n")


def rsa_public_key(modulus, exponent):
    """SubjectPublicKeyInfo (RFC 3279 section 2.3.1)."""
    def der(tag, *contents):
        content = b"".join(contents)
        size = len(content)
        head = bytes([size]) if size < 128 else bytes([0x80 | (size.bit_length() + 7) // 8]) + size.to_bytes(
            (size.bit_length() + 7) // 8, "big")
        return bytes([tag]) + head + content

    numbers = der(0x30, der(2, b"\0", modulus), der(2, exponent))
    algorithm = der(0x30, der(6, bytes.fromhex("2a864886f70d010101")), der(5))
    return der(0x30, algorithm, der(3, b"\0", numbers))


def ad_signed_in_user_show(_, __):
    return {"id": USER}


def ad_sp_create_for_rbac(state, options):
    app, secret = str(uuid.uuid4()), secrets.token_urlsafe(30)
    state["apps"][app] = options.name
    register(app, secret)
    return {"appId": app, "displayName": options.name, "password": secret, "tenant": READY["azure"]["tenant_id"]}


def ad_sp_list(state, options):
    return [{"appId": app, "displayName": name} for app, name in state["apps"].items() if name.startswith(options.display_name)]


def ad_app_delete(state, options):
    require(options.id in state["apps"], f"Resource '{options.id}' does not exist.")
    del state["apps"][options.id]
    # The emulator forgets no client: nobody knows its new secret.
    register(options.id, secrets.token_urlsafe(30))
    enforce(state)


def role_definition_create(state, options):
    text = options.role_definition
    role = json.loads(pathlib.Path(text[1:]).read_text() if text.startswith("@") else text)
    require(set(role) == {"Name", "Description", "Actions", "DataActions", "AssignableScopes"}, f"properties: {sorted(role)}")
    require(role["AssignableScopes"] == [SUBSCRIPTION], f"(LinkedInvalidPropertyId) {role['AssignableScopes']}")
    unknown = set(role["DataActions"]) - set(DATA_ACTIONS)
    require(not unknown and role["Actions"] == [], f"(InvalidActionOrNotAction) {unknown or role['Actions']}")
    require(role["Name"] not in state["roles"], "(RoleDefinitionWithSameNameExists)")
    state["roles"][role["Name"]] = role
    return role


def role_definition_delete(state, options):
    require(options.name in state["roles"], f"No matched role definition was found: {options.name}")
    used = any(entry["role"] == options.name for entry in state["assignments"])
    require(not used, "(RoleDefinitionHasAssignments) There are existing role assignments referencing role.")
    del state["roles"][options.name]


def assignment(state, options):
    principal = options.assignee or options.assignee_object_id
    require(options.role == OFFICER or options.role in state["roles"], f"Role '{options.role}' doesn't exist.")
    scopes = [vault_id(found["group"], name) for name, found in state["vaults"].items() if not found["deleted"]]
    require(options.scope in scopes, f"(ResourceNotFound) {options.scope}")
    require(principal == USER or principal in state["apps"], f"Cannot find user or service principal '{principal}'.")
    return {"role": options.role, "scope": options.scope, "principal": principal}


def role_assignment_create(state, options):
    require(bool(options.assignee) != bool(options.assignee_object_id), "one of --assignee and --assignee-object-id")
    require(not options.assignee_object_id or options.assignee_principal_type == "User", "--assignee-principal-type User")
    made = assignment(state, options)
    state["assignments"].append(made)
    enforce(state)
    return made


def role_assignment_delete(state, options):
    wanted = assignment(state, argparse.Namespace(**vars(options), assignee_object_id=None))
    require(wanted in state["assignments"], "No matched assignments were found to delete")
    state["assignments"].remove(wanted)
    enforce(state)


def save(state):
    STATE.write_text(json.dumps(state, indent=2))


def main():
    state = {"signed_in": False, "groups": [], "vaults": {}, "roles": {}, "apps": {}, "assignments": []}
    if STATE.exists():
        state = json.loads(STATE.read_text())
    name, options = arguments(sys.argv[1:])
    require(name == "login" or state["signed_in"], "Please run 'az login' to setup account.")
    printed = globals()[re.sub("[ -]", "_", name)](state, options)
    save(state)
    show(printed, options)


if __name__ == "__main__":
    try:
        main()
    except Refused as refused:
        sys.exit(f"ERROR: {refused}")
