"""blocks.py PAGE FOLDER COMMAND...: writes the page's blocks into FOLDER, as SECTION-BLOCK.sh, and each section's title as SECTION.title.

Section 0 is the page's beginning. Fails if the page has a block that is not a shell's, or if its text names other commands
(`aws ...`, `az ...`, `gcloud ...`, `vault ...`, `sudo ...`) than COMMAND...: those are run one by one.
"""

import pathlib
import re
import sys


def main():
    page, folder, *commands = sys.argv[1:]
    text = pathlib.Path(page).read_text()
    sections = re.split(r"^## ", text, flags=re.MULTILINE)
    count = 0
    for number, section in enumerate(sections):
        (pathlib.Path(folder) / f"{number}.title").write_text(section.splitlines()[0].removeprefix("# ") + "\n")
        for block, lines in enumerate(re.findall(r"^```sh\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)):
            (pathlib.Path(folder) / f"{number}-{block}.sh").write_text(lines)
            count += 1
    fences = len(re.findall(r"^ *```", text, re.MULTILINE))
    assert fences == 2 * count, f"{fences} fences, {count} blocks of sh"
    prose = re.sub(r"^```sh\n.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    named = re.findall(r"`((?:aws|az|gcloud|vault|sudo) [^`]+)`", prose)
    assert sorted(named) == sorted(commands), f"the page names {named}"


if __name__ == "__main__":
    main()
