#!/usr/bin/env python3
"""notices.py TARGET: prints the notices and licences of all crates whose code is in the module or in the tool.

Texts that several crates share are printed once. A crate without a file of its licence is printed with this project's copy of the
licence, if the crate may be used under Apache-2.0 or MIT; otherwise this fails.
"""
import json
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
PACKAGES = ["cloud-kms-pkcs11", "cloud-kms-pkcs11-cli"]
IS_NOTICE = re.compile(r"(licen[cs]e|copying|copyright|notice|unlicense)", re.IGNORECASE)
# Which of our files has the text.
FALLBACKS = {"Apache-2.0": "LICENSE-APACHE", "MIT": "LICENSE-MIT"}


def metadata(target):
    command = ["cargo", "metadata", "--locked", "--format-version=1", "--filter-platform", target]
    return json.loads(subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout)


def linked(graph):
    """Returns the packages whose code is linked: what the packages need for more than building and testing."""
    packages = {package["id"]: package for package in graph["packages"]}
    nodes = {node["id"]: node for node in graph["resolve"]["nodes"]}
    own = [package["id"] for package in graph["packages"] if package["name"] in PACKAGES]
    assert len(own) == len(PACKAGES), own
    found, waiting = set(), own
    while waiting:
        current = waiting.pop()
        if current not in found:
            found.add(current)
            normal = [dependency["pkg"] for dependency in nodes[current]["deps"]
                      if any(kind["kind"] is None for kind in dependency["dep_kinds"])]
            waiting = waiting + [package for package in normal if not is_macro(packages[package])]
    return sorted((packages[package] for package in found if packages[package]["source"]),
                  key=lambda package: (package["name"], package["version"]))


def is_macro(package):
    """Whether the crate runs in the compiler only."""
    return any("proc-macro" in target["kind"] for target in package["targets"])


def notices(package):
    """Returns the texts of a crate. The C library inside aws-lc-sys has notices of its own, one level deeper."""
    folder = pathlib.Path(package["manifest_path"]).parent
    files = sorted(path for pattern in ("*", "*/*") for path in folder.glob(pattern)
                   if path.is_file() and IS_NOTICE.match(path.name) and path.suffix not in (".rs", ".html", ".yml"))
    if named := package["license_file"]:
        files = sorted({*files, folder / named})
    texts = [path.read_text("utf-8", "replace").strip() for path in files]
    if not texts:
        fallbacks = [file for name, file in FALLBACKS.items() if name in re.split(r"[ /()]+", package["license"])]
        if not fallbacks:
            sys.exit(f"{package['name']} has no licence file, and its licence is {package['license']}")
        texts = [(ROOT / fallbacks[0]).read_text().strip()]
    return texts


def main():
    packages = linked(metadata(sys.argv[1]))
    users, rows = {}, []
    for package in packages:
        name = f"{package['name']} {package['version']}"
        rows.append(f"{name}  {package['license']}  {package['repository'] or ''}".rstrip())
        for text in notices(package):
            users.setdefault(" ".join(text.split()), (text, []))[1].append(name)
    print(f"The module and the tool of cloud-kms-pkcs11 contain code of Rust's standard library (MIT OR Apache-2.0)\n"
          f"and of these {len(rows)} crates.\n")
    print("\n".join(rows))
    for text, names in users.values():
        print(f"\n{'=' * 80}\n{', '.join(dict.fromkeys(names))}\n{'-' * 80}\n{text}")


main()
