#!/usr/bin/env python3
"""Reads CHANGELOG.md.

changelog.py section VERSION         prints what the changelog says about a version (`Unreleased` is one)
changelog.py package-version VERSION prints the version as packages have it: 1.0.0~rc1 for 1.0.0-rc.1, so that 1.0.0 is newer
changelog.py deb VERSION CONTACT     prints the whole changelog in the format of Debian. What is unreleased has this version, and
                                     the date of SOURCE_DATE_EPOCH
changelog.py rpm VERSION CONTACT     prints it in the format of rpm
changelog.py release VERSION DATE    gives what is unreleased this version and date, in the file itself
"""
import datetime
import os
import pathlib
import re
import sys
import textwrap

FILE = pathlib.Path(__file__).resolve().parent.parent / "CHANGELOG.md"
HEADING = re.compile(r"^## \[(?P<version>[^]]+)\](?: - (?P<date>\d{4}-\d\d-\d\d))?$", re.MULTILINE)


def sections():
    """Yields version, date (None if it is unreleased) and text, the newest first."""
    text = FILE.read_text()
    headings = list(HEADING.finditer(text))
    ends = [heading.start() for heading in headings[1:]] + [len(text)]
    for heading, end in zip(headings, ends):
        yield heading["version"], heading["date"], text[heading.end():end].strip()


def section(version):
    found = [text for name, _, text in sections() if name == version]
    if not found or not found[0]:
        sys.exit(f"CHANGELOG.md says nothing about {version}")
    return found[0]


def package_version(version):
    return re.sub(r"-([a-z]+)\.?(\d*)$", r"~\1\2", version)


def entries(text):
    """Yields the items of the lists, each as one line without links."""
    for item in re.split(r"^\* ", text, flags=re.MULTILINE)[1:]:
        item = re.split(r"\n\n|\n#", item)[0]
        yield re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", " ".join(item.split())).replace("`", "")


def releases(version):
    """Yields version, time and items of each release, in which what is unreleased has this version."""
    now = datetime.datetime.fromtimestamp(int(os.environ["SOURCE_DATE_EPOCH"]), datetime.timezone.utc)
    for name, date, text in sections():
        time = datetime.datetime.fromisoformat(f"{date}T12:00:00+00:00") if date else now
        if items := list(entries(text)):
            yield package_version(version if name == "Unreleased" else name), time, items


def wrapped(items, first, following):
    return [textwrap.fill(item, 76, initial_indent=first, subsequent_indent=following) for item in items]


def deb(version, contact):
    for name, time, items in releases(version):
        lines = "\n".join(wrapped(items, "  * ", "    "))
        print(f"cloud-kms-pkcs11 ({name}) unstable; urgency=medium\n\n{lines}\n\n -- {contact}  {time:%a, %d %b %Y %H:%M:%S +0000}\n")


def rpm(version, contact):
    for name, time, items in releases(version):
        lines = "\n".join(wrapped(items, "- ", "  "))
        print(f"* {time:%a %b %d %Y} {contact} - {name}-1\n{lines}\n")


def release(version, date):
    section("Unreleased")
    if any(name == version for name, _, _ in sections()):
        sys.exit(f"CHANGELOG.md has {version} already")
    text = FILE.read_text()
    FILE.write_text(text.replace("## [Unreleased]\n", f"## [Unreleased]\n\n## [{version}] - {date}\n", 1))


COMMANDS = {
    "section": lambda version: print(section(version)),
    "package-version": lambda version: print(package_version(version)),
    "deb": deb,
    "rpm": rpm,
    "release": release,
}
if len(sys.argv) < 3 or sys.argv[1] not in COMMANDS:
    sys.exit(__doc__)
COMMANDS[sys.argv[1]](*sys.argv[2:])
