"""table.py [--write | --check]: what ran, from the logs of run.sh (target/clients/logs, target/clients/RELEASE/logs).

Prints docs/clients/table.md: ten clients in short, then for each script the clients' versions and its operations, in each
release, with keys of each cloud.
--write puts it there, and the number of its checks into README.md.
--check compares without any log: the table has the scripts that there are, each with a page that docs/clients/README.md lists;
the table's sums and README's number are those of the table's own cells; no cell says FAILED.
"""

import collections
import functools
import itertools
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
README = ROOT / "README.md"
# The clients of the short table.
FIRST = ["openssl-provider", "openssl", "ml-dsa", "nginx", "ssh", "pkcs11-tool", "p11tool", "java", "osslsigncode", "firefox"]
# Scripts of other pages than those of docs/clients.
OTHERS = ("quick-start", "readme")
# A key's label begins with its cloud.
CHECK = re.compile(r"^(ok|FAILED) +(?:(aws|azure|vault|google)-\S+ )?(.*)$")
CLOUDS = {"aws": "AWS", "azure": "Azure", "vault": "Vault", "google": "Google", None: "all"}


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
    sections = {name: "\n".join(section(name)) for name in scripts()}
    return document(sections)


def document(sections):
    """The whole document, from the sections of the scripts."""
    lines = [
        "# What ran",
        "",
        "Made by `tests/clients/table.py --write` from what [the scripts](README.md) printed. For each script, the first rows are the versions",
        "of the clients. Each further row is an operation, with the number of checks that passed with keys of each cloud. A cell is empty if",
        "the release has no such client or the operation is not tried there. AWS, Azure and Google are emulated, Azure and Google by this",
        "project's own emulator. Vault is real.",
        "",
        f"{len(sections)} scripts, {total(sections):,} checks passed.",
        "",
        *short(sections),
        "",
    ]
    return "\n".join(lines) + "\n" + "\n\n".join(text.rstrip() for text in sections.values()) + "\n"


def cells(text):
    """The cells of each operation in a section, a list for each row."""
    rows = [line for line in text.splitlines() if line.startswith("| ") and not line.startswith("| *")]
    return [row.split("|")[-1 - len(RELEASES) : -1] for row in rows[1:]]


def counts(column):
    found = collections.Counter()
    for cell in column:
        for cloud, name in CLOUDS.items():
            found[cloud] += sum(map(int, re.findall(rf"{name} (\d+)", cell)))
    return found


def total(sections):
    return sum(counts(itertools.chain(*cells(text))).total() for text in sections.values())


def short(sections):
    """The sums of the ten clients that most readers look for."""
    yield "| client | " + " | ".join(RELEASES.values()) + " |"
    yield "|---" * (len(RELEASES) + 1) + "|"
    for name in FIRST:
        columns = zip(*cells(sections[name]))
        sums = ["FAILED" if any("FAILED" in cell for cell in column) else told(counts(column)) for column in columns]
        yield f"| [{page(name)}]({name}.md) | " + " | ".join(sums) + " |"


def script_of(section):
    found = re.search(rf"^\| (?:\[([^]]+)\]\(\1\.md\)|({'|'.join(OTHERS)})) \|", section, re.MULTILINE)
    return found[1] or found[2]


def written_sections(text):
    """The sections of a document that was written before, by script."""
    return {script_of(part): f"## {part}" for part in text.rstrip().split("\n## ")[1:]}


CHECKS_IN_README = re.compile(r"\[([0-9,]+) checks\]\(docs/clients/table\.md\)")


def write():
    TABLE.write_text(table())
    number = f"[{total(written_sections(TABLE.read_text())):,} checks](docs/clients/table.md)"
    README.write_text(CHECKS_IN_README.sub(number, README.read_text()))


def check():
    wrong = []
    text = TABLE.read_text()
    sections = written_sections(text)
    if set(sections) != set(scripts()):
        wrong.append(f"docs/clients/table.md is not of these scripts, but for {sorted(set(sections) ^ set(scripts()))}: table.py --write")
    elif text != document(sections):
        wrong.append("docs/clients/table.md: its beginning does not follow from its cells: table.py --write")
    wrong += [f"docs/clients/table.md: {name} has a FAILED cell" for name, text in sections.items() if "FAILED" in text]
    shown = CHECKS_IN_README.search(README.read_text())
    if not shown or shown[1] != f"{total(sections):,}":
        wrong.append(f"README.md: the table has {total(sections):,} checks: table.py --write")
    listed = (PAGES / "README.md").read_text()
    wrong += [f"docs/clients/README.md: {path.name} is missing" for path in PAGES.glob("*.md")
              if path.name != "README.md" and f"]({path.name})" not in listed]
    wrong += [f"{name} has no page in docs/clients" for name in scripts() if name not in OTHERS and not page(name)]
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
