#!/usr/bin/env python3
"""Stands in for the command `vault`: the subcommands of docs/quick-start-vault.md, with the options that the page uses.

Everything else fails: an unknown subcommand, an unknown option, an option after the path, `write` without data and without -f. The
requests are those of the real command. `server -dev` runs the real Vault of tests/servers on free ports, with the token that
-dev-root-token-id names: without TLS, as the real command does, and beside that with TLS.

VAULT_ADDR, VAULT_TOKEN, VAULT_CACERT, VAULT_NAMESPACE   as for the real command
VAULT_SERVER   the program of `server -dev`; VAULT_HOME has its certificates (tests/servers/vault.py), and gets the files `address`
               and `tls_address`
"""

import json
import os
import pathlib
import socket
import ssl
import sys
import time
import urllib.error
import urllib.request

# The options of each subcommand, and how many words follow them; None: any number, but at least one.
COMMANDS = {
    "auth enable": ((), 1),
    "delete": ((), 1),
    "policy write": ((), 2),
    "read": (("-field", "-format"), 1),
    "secrets enable": (("-path",), 1),
    "server": (("-dev", "-dev-root-token-id"), 0),
    "write": (("-f", "-field", "-format"), None),
}


class Refused(Exception):
    """What the command prints before it exits."""


def require(condition, message):
    if not condition:
        raise Refused(message)


def arguments(words):
    """The subcommand's name, its options and its other words."""
    name = next((name for name in COMMANDS if words[: len(name.split())] == name.split()), None)
    require(name, f"'{' '.join(words)}' is not a command of this stand-in, see {__file__}")
    known, count = COMMANDS[name]
    words, options = words[len(name.split()):], {}
    while words and words[0].startswith("-") and words[0] != "-":
        option, _, value = words.pop(0).partition("=")
        require(option in known, f"flag provided but not defined: {option}")
        options[option] = value
    require(not any(word.startswith("-") for word in words), "Command flags must be provided before positional arguments")
    require(len(words) == count if count is not None else words, f"wrong number of arguments: {words}")
    return name, options, words


def request(method, path, fields=None, token=None):
    headers = {"X-Vault-Request": "true", "X-Vault-Token": token or os.environ["VAULT_TOKEN"], "Content-Type": "application/json"}
    if "VAULT_NAMESPACE" in os.environ:
        headers["X-Vault-Namespace"] = os.environ["VAULT_NAMESPACE"]
    body = None if fields is None else json.dumps(fields).encode()
    url = f"{os.environ['VAULT_ADDR']}/v1/{path}"
    context = ssl.create_default_context(cafile=os.environ.get("VAULT_CACERT"))
    # Python 3.13 requires extensions that neither Vault nor the module asks for.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context))
    try:
        with opener.open(urllib.request.Request(url, body, headers, method=method), timeout=20) as reply:
            text = reply.read()
    except urllib.error.HTTPError as error:
        raise Refused(f"Error making API request.\n\nURL: {method} {url}\nCode: {error.code}. {error.read().decode()}") from error
    return json.loads(text) if text else None


def show(reply, options, done):
    """Prints what the user asked for of a reply; the table of the real command is not imitated."""
    form, field = options.get("-format", "table"), options.get("-field")
    require(form in ("table", "json"), f"-format={form}: not a format of this stand-in")
    data = (reply or {}).get("data")
    if field is not None:
        require(field in (data or {}), f'Field "{field}" not present in secret')
        # A terminal gets a line feed as well.
        print(json.dumps(data[field]) if form == "json" else data[field], end="")
    elif form == "json":
        print(json.dumps(reply, indent=2))
    else:
        print(done if data is None else "\n".join(f"{name}    {value}" for name, value in sorted(data.items())))


def read(options, path):
    show(request("GET", path), options, "")


def write(options, path, *pairs):
    require(pairs or "-f" in options, "Must supply data or use -force")
    require(all("=" in pair for pair in pairs), f"invalid key/value pair in {pairs}")
    show(request("PUT", path, dict(pair.split("=", 1) for pair in pairs)), options, f"Success! Data written to: {path}")


def delete(options, path):
    request("DELETE", path)
    print(f"Success! Data deleted (if it existed) at: {path}")


def secrets_enable(options, kind):
    path = options.get("-path", kind)
    request("POST", f"sys/mounts/{path}", {"type": kind})
    print(f"Success! Enabled the {kind} secrets engine at: {path}/")


def auth_enable(options, kind):
    request("POST", f"sys/auth/{kind}", {"type": kind})
    print(f"Success! Enabled {kind} auth method at: {kind}/")


def policy_write(options, name, file):
    request("PUT", f"sys/policies/acl/{name}", {"policy": pathlib.Path(file).read_text()})
    print(f"Success! Uploaded policy: {name}")


def server(options):
    """Becomes the server. A child process waits until the server is ready, creates the token, and writes the address."""
    require("-dev" in options and options.get("-dev-root-token-id"), "server: only -dev -dev-root-token-id=TOKEN")
    home = pathlib.Path(os.environ["VAULT_HOME"])
    ready = home / "ready.json"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    if os.fork() != 0:
        program = os.environ["VAULT_SERVER"]
        os.execv(program, [program, str(port), *(str(home / name) for name in ("server.pem", "server.key", "ca.pem")), str(ready)])
    until = time.monotonic() + 60
    while not (ready.exists() and ready.stat().st_size):
        require(time.monotonic() < until, "the server is not ready after a minute")
        time.sleep(0.05)
    facts = json.loads(ready.read_text())
    os.environ["VAULT_ADDR"] = facts["plain_address"]
    # Both ports are open before the file exists, so the server answers as soon as it serves them.
    request("POST", "auth/token/create", {"id": options["-dev-root-token-id"], "policies": ["root"], "no_parent": True}, facts["root_token"])
    (home / "tls_address").write_text(f"https://127.0.0.1:{port}")
    (home / "address.new").write_text(facts["plain_address"])
    (home / "address.new").rename(home / "address")


def main():
    name, options, words = arguments(sys.argv[1:])
    globals()[name.replace(" ", "_")](options, *words)


if __name__ == "__main__":
    try:
        main()
    except Refused as refused:
        sys.exit(f"Error: {refused}")
