"""table.py [--write | --check]: what ran, from the logs of run.sh (target/clients/logs, target/clients/RELEASE/logs).

Prints docs/clients/table.md: for each script the clients' versions and its operations, in each release, with keys of each cloud.
--write puts it there, and ten lines of it between the README's markers.
--check fails if these documents have other scripts than there are (their figures may differ), or a script has no page.
"""

import collections
import functools
import pathlib
import re
import subprocess
import sys

CLIENTS = pathlib.Path(__file__).resolve().parent
ROOT = CLIENTS.parents[1]
LOGS = ROOT / "target" / "clients"
PAGES = ROOT / "docs" / "clients"
TABLE = PAGES / "table.md"
RELEASES = {"bookworm": "Debian 12", "trixie": "Debian 13", "sid": "sid"}
# What README shows of them.
FIRST = ["openssl-provider", "openssl", "ml-dsa", "nginx", "ssh", "pkcs11-tool", "p11tool", "java", "osslsigncode", "firefox"]
# A key's label begins with its cloud.
CHECK = re.compile(r"^(ok|FAILED) +(?:(aws|azure)-\S+ )?(.*)$")
CLOUDS = {"aws": "AWS", "azure": "Azure", None: "both"}


class Run:
    """What one script printed in one release."""

    def __init__(self, release, text):
        told = re.search(r"^release (\S+)$", text, re.MULTILINE)
        if not told or told[1] != release:
            sys.exit(f"a log of {release} says that it is of {told and told[1]}")
        self.versions = dict(re.findall(r"^client +(\S+) (.+)$", text, re.MULTILINE))
        self.operations = collections.defaultdict(collections.Counter)
        self.failed = set()
        for line in text.splitlines():
            if found := CHECK.match(line):
                outcome, cloud, operation = found.groups()
                self.operations[operation][cloud] += 1
                if outcome == "FAILED":
                    self.failed.add(operation)

    def cell(self, operation):
        counts = self.operations.get(operation)
        if not counts:
            return ""
        if operation in self.failed:
            return "FAILED"
        return told(counts)

    def sum(self):
        if self.failed:
            return "FAILED"
        return told(sum(self.operations.values(), collections.Counter()))


def told(counts):
    return " · ".join(f"{name} {counts[cloud]}" for cloud, name in CLOUDS.items() if counts[cloud])


@functools.cache
def scripts(release=""):
    """All, or those of that release."""
    command = ["bash", "-c", 'clients=$0; . "$0/scripts.bash"; scripts "$1"', CLIENTS, release]
    return subprocess.run(command, capture_output=True, check=True, text=True).stdout.split()


def runs(name):
    """By release. What has never run in one, because the release has no such client, is not there."""
    found = {}
    for release in RELEASES:
        folder = LOGS / release / "logs" if (LOGS / release / "logs" / f"{name}.log").exists() else LOGS / "logs"
        log = folder / f"{name}.log"
        if log.exists() and name in scripts(release):
            text = log.read_text(errors="replace")
            if folder != LOGS / "logs" or f"release {release}\n" in text:
                found[release] = Run(release, text)
    return found


def page(name):
    path = PAGES / f"{name}.md"
    return path.read_text().splitlines()[0].removeprefix("# ") if path.exists() else None


def section(name):
    found = runs(name)
    title = page(name)
    yield f"## {title or name}"
    yield ""
    head = f"[{name}]({name}.md)" if title else name
    yield f"| {head} | " + " | ".join(RELEASES.values()) + " |"
    yield "|---" * (len(RELEASES) + 1) + "|"
    for what, cell in (("versions", lambda run, row: run.versions.get(row, "")), ("operations", Run.cell)):
        names = dict.fromkeys(row for run in found.values() for row in getattr(run, what))
        for row in names:
            cells = [cell(found[release], row) if release in found else "" for release in RELEASES]
            yield f"| {'*' + row + '*' if what == 'versions' else row} | " + " | ".join(cells) + " |"
    yield ""


def table():
    lines = [
        "# What ran",
        "",
        "Made by `tests/clients/table.py --write` from what [the scripts](README.md) printed: for each of them first the versions of the",
        "clients, then each operation, with how many keys of each cloud it passed. An empty cell: this release has no such client, or the",
        "operation is not tried there. Both clouds are emulated, Azure by this project's own emulator.",
        "",
    ]
    for name in scripts():
        lines += section(name)
    return "\n".join(lines)


def first():
    yield "| client | " + " | ".join(RELEASES.values()) + " |"
    yield "|---" * (len(RELEASES) + 1) + "|"
    for name in FIRST:
        found = runs(name)
        cells = [found[release].sum() if release in found else "" for release in RELEASES]
        yield f"| [{page(name)}](docs/clients/{name}.md) | " + " | ".join(cells) + " |"


def between(text):
    return re.compile(r"(?<=<!-- clients:begin -->\n).*(?=<!-- clients:end -->)", re.DOTALL).search(text)


def write():
    TABLE.write_text(table())
    readme = (ROOT / "README.md").read_text()
    place = between(readme)
    (ROOT / "README.md").write_text(readme[: place.start()] + "\n".join(first()) + "\n" + readme[place.end() :])


def check():
    wrong = []
    written = set(re.findall(r"^\| (?:\[([^]]+)\]\(\1\.md\)|(readme)) \|", TABLE.read_text(), re.MULTILINE))
    written = {one or two for one, two in written}
    if written != set(scripts()):
        wrong.append(f"docs/clients/table.md is not of these scripts, but for {sorted(written ^ set(scripts()))}: table.py --write")
    shown = re.findall(r"docs/clients/(\S+)\.md\)", between((ROOT / "README.md").read_text())[0])
    if shown != FIRST:
        wrong.append("README.md shows other clients: table.py --write")
    listed = (PAGES / "README.md").read_text()
    wrong += [f"docs/clients/README.md: {path.name} is missing" for path in PAGES.glob("*.md")
              if path.name != "README.md" and f"]({path.name})" not in listed]
    wrong += [f"{name} has no page in docs/clients" for name in scripts() if name != "readme" and not page(name)]
    sys.exit("\n".join(wrong) or 0)


if __name__ == "__main__":
    match sys.argv[1:]:
        case []:
            print(table())
        case ["--write"]:
            write()
        case ["--check"]:
            check()
        case _:
            sys.exit(__doc__)
