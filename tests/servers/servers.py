"""Starts, checks and stops the test servers: see start.sh, check.sh, stop.sh and README.md.

This file uses only the standard library, so that `stop` works with any Python. `start` and `check` import provision.py, which
needs the SDKs.
"""

import contextlib
import fcntl
import json
import os
import pathlib
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
OUT = ROOT / "target" / "servers"
RUN = OUT / "run"
READY_SECONDS = 90
TRIES = 4


def say(text):
    print(f"servers: {text}", flush=True)


def free_port():
    """Returns a port that was free a moment ago. Another process may take it, so launch() tries again."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def secret_file(path, text):
    with open(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)


# The servers. Each function returns the command, its environment, the URL that answers when the server is ready, and the facts
# for servers.json.


def ministack(home):
    port = free_port()
    return {
        "command": [OUT / "ministack/bin/ministack"],
        # AUTH=true checks SigV4 and IAM. IOT_MTLS_ENABLED=0 turns off the MQTT listener, which would open another port.
        "env": {"SERVICES": "kms,sts,iam,acm", "GATEWAY_PORT": str(port), "BIND_HOST": "127.0.0.1",
                "IOT_MTLS_ENABLED": "0", "AUTH": "true"},
        "ready": f"http://127.0.0.1:{port}/_localstack/health",
        "facts": {"cloud": "aws", "independent": True, "endpoint": f"http://127.0.0.1:{port}", "region": "us-east-1"},
    }


# LocalStack's web server expects that the thread has an event loop. Since Python 3.14, asyncio no longer creates one implicitly.
LOCALSTACK = """
import asyncio
from localstack.runtime.main import main
asyncio.set_event_loop(asyncio.new_event_loop())
main()
"""


def localstack(home):
    port = free_port()
    return {
        "command": [OUT / "localstack/bin/python", "-c", LOCALSTACK],
        # The default server (Twisted) ignores the host in GATEWAY_LISTEN and listens on every address; hypercorn does not.
        # DNS_ADDRESS=0 turns off the DNS server on port 53.
        "env": {"SERVICES": "kms", "GATEWAY_LISTEN": f"127.0.0.1:{port}", "GATEWAY_SERVER": "hypercorn",
                "DNS_ADDRESS": "0", "DISABLE_EVENTS": "1", "SKIP_SSL_CERT_DOWNLOAD": "1",
                "LOCALSTACK_VOLUME_DIR": str(home)},
        "ready": f"http://127.0.0.1:{port}/_localstack/health",
        "facts": {"cloud": "aws", "independent": True, "endpoint": f"http://127.0.0.1:{port}", "region": "us-east-1"},
    }


def own(home, cloud, facts):
    """The project's own emulator, which is not independent (README.md). `facts` returns the facts for an address."""
    program = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "debug" / "cloud-kms-emulator"
    port = free_port()
    return {
        "command": [program, "--port", str(port), "--ca-file", home / "ca.pem", "--ready-file", home / "ready.json"],
        "env": {},
        "ready": f"http://127.0.0.1:{port}/_control/counts",
        "facts": {"cloud": cloud, "independent": False, "control": f"http://127.0.0.1:{port}/_control",
                  **facts(f"127.0.0.1:{port}")},
    }


def emulator(home):
    """The only Azure server."""
    def facts(place):
        url = f"https://{place}"
        return {"vault_url": url, "authority_host": url, "ca_bundle": str(home / "ca.pem"),
                # The challenge names vault.azure.net, as the real service's does. 127.0.0.1 is not in that domain.
                "verify_challenge_resource": False}
    return own(home, "azure", facts)


def emulator_kms(home):
    """The only AWS server that has ML-DSA."""
    return own(home, "aws", lambda place: {"endpoint": f"http://{place}", "region": "eu-central-1"})


def emulator_google(home):
    """The only server of Google Cloud KMS."""
    return own(home, "google", lambda place: {"endpoint": f"http://{place}", "ca_bundle": str(home / "ca.pem")})


def vault(home):
    """A real Vault, which is built from its own packages (vault-server/main.go)."""
    import vault
    port, files = free_port(), vault.files(home)
    command = [OUT / "bin/vault-server", str(port), files["server"], files["server_key"], files["ca"], home / "ready.json"]
    return {
        "command": command,
        "env": {},
        "ready": f"https://127.0.0.1:{port}/v1/sys/health",
        "ca": files["ca"],
        # With the command, a test starts a server of its own, which it can seal.
        "facts": {"cloud": "vault", "independent": True, "address": f"https://127.0.0.1:{port}", "ca_bundle": str(files["ca"]),
                  "command": [str(word) for word in command]},
    }


SERVERS = {"ministack": ministack, "localstack": localstack, "emulator": emulator, "emulator-kms": emulator_kms,
           "emulator-google": emulator_google, "vault": vault}


def installed():
    """All servers; Vault only if install.sh could build it."""
    return [name for name in SERVERS if name != "vault" or (OUT / "bin/vault-server").exists()]


# Processes.


def started_at(pid):
    """Returns the start time of the process, or None if it has ended. With the pid it identifies a process: the kernel reuses pids."""
    try:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] == "Z" else fields[19]


def running(name):
    try:
        pid, started = (RUN / f"{name}.pid").read_text().split()
    except (OSError, ValueError):
        return None
    return int(pid) if started_at(pid) == started else None


def wait_until(condition, seconds):
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True


def end(pid, name):
    """Ends a server and its child processes: each server leads a process group."""
    def gone():
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)
        return started_at(pid) is None

    for sign, seconds in ((signal.SIGTERM, 15), (signal.SIGKILL, 10)):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, sign)
        if wait_until(gone, seconds):
            return
    sys.exit(f"servers: {name} (pid {pid}) is still running after SIGKILL")


def stop(name):
    pid = running(name)
    if pid:
        end(pid, name)
        say(f"{name} stopped")
    (RUN / f"{name}.pid").unlink(missing_ok=True)


def answers(plan):
    context = ssl.create_default_context(cafile=plan.get("ca"))
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context))
    try:
        with opener.open(plan["ready"], timeout=2) as reply:
            return reply.status == 200
    except OSError:
        return False


def launch(name):
    """Starts the server on a free port. If it ends before it is ready, tries again on another port."""
    home = RUN / name
    home.mkdir(parents=True, exist_ok=True)
    for _ in range(TRIES):
        plan = SERVERS[name](home)
        # A new environment: the caller's credentials, profiles and proxies must not affect the server.
        env = {"PATH": os.environ["PATH"], "HOME": str(home), "TMPDIR": str(home), "LANG": "C.UTF-8", **plan["env"]}
        with open(RUN / f"{name}.log", "wb") as log:
            child = subprocess.Popen([str(part) for part in plan["command"]], env=env, cwd=home, stdout=log,
                                     stderr=log, stdin=subprocess.DEVNULL, start_new_session=True)
        (RUN / f"{name}.pid").write_text(f"{child.pid} {started_at(child.pid)}\n")
        wait_until(lambda: child.poll() is not None or answers(plan), READY_SECONDS)
        # The process must be alive too: if another server took the port, that server has answered.
        if child.poll() is None and answers(plan):
            return {**plan["facts"], "pid": child.pid, "log": str(RUN / f"{name}.log")}
        stop(name)
    sys.exit(f"servers: {name} did not start in {TRIES} tries: see {RUN / (name + '.log')}")


# The files that the tests read.


def load():
    try:
        return json.loads((OUT / "servers.json").read_text())["servers"]
    except (OSError, ValueError, KeyError):
        return {}


def save(servers):
    """Replaces servers.json atomically, so that a reader never sees a partial file."""
    alive = {name: facts for name, facts in servers.items() if running(name) == facts["pid"]}
    partial = OUT / "servers.json.new"
    secret_file(partial, json.dumps({"servers": alive}, indent=2) + "\n")
    partial.rename(OUT / "servers.json")
    lines = ["# Written by tests/servers/start.sh: the addresses and credentials of the servers, as shell variables."]
    for name, facts in alive.items():
        for key, value in facts.items():
            if isinstance(value, (str, int)) and not isinstance(value, bool):
                lines.append(f"export {name.upper().replace('-', '_')}_{key.upper()}='{value}'")
    secret_file(OUT / "env.sh", "\n".join(lines) + "\n")


def start(names):
    import provision
    servers = load()
    for name in names:
        stop(name)
        facts = launch(name)
        try:
            provision.fill(name, facts, OUT, SERVERS)
        except BaseException:
            stop(name)
            raise
        servers[name] = facts
        save(servers)
        say(f"{name} runs at {facts.get('endpoint') or facts.get('vault_url') or facts['address']}, {len(facts['keys'])} keys")


def main():
    command, names = sys.argv[1], sys.argv[2:]
    missing = names[:1] == ["--missing"]
    names = names[missing:] or installed()
    for name in names:
        if name not in SERVERS:
            sys.exit(f"servers: unknown server {name!r}: use one of {', '.join(SERVERS)} (tests/servers/README.md says why there are no others)")
        if command == "start" and name not in installed():
            sys.exit(f"servers: {name} is not installed: tests/servers/install.sh says why")
    RUN.mkdir(parents=True, exist_ok=True)
    # One command at a time: two concurrent starts would not see each other's servers.
    with open(RUN / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if command == "start":
            # Checked under the lock, so that two concurrent starts don't restart each other's servers.
            known = load()
            start([name for name in names if not missing or name not in known or running(name) != known[name]["pid"]])
        elif command == "stop":
            for name in names:
                stop(name)
            save(load())
        elif command == "check":
            import provision
            provision.check(load())
        else:
            sys.exit(f"servers: unknown command {command!r}: use start, stop or check")


if __name__ == "__main__":
    main()
