"""findings.py DOCUMENT REPORT...: compares what pkcs11-check found with what the document says of it.

A report is pytest's log (--report-log). The document's table, between <!-- findings:begin --> and <!-- findings:end -->, has a
row for each kind of finding, whose second column is a regular expression: it stands for the findings in whose text it is
found. The text of a finding: its test, what the test says, and the lines of the module's log. Fails for a finding without a row,
for a row without a finding (but for those that begin with "(sometimes)"), and for a report that ends early or in which nothing
passed.
"""

import json
import pathlib
import re
import sys


def rows(document):
    table = document.split("<!-- findings:begin -->")[1].split("<!-- findings:end -->")[0]
    for line in table.strip().splitlines()[2:]:
        title, pattern, _ = (cell.strip() for cell in re.split(r"(?<!\\) ?\| ?", line.strip().strip("|")))
        yield title, re.compile(pattern.strip("`").replace("\\|", "|"), re.DOTALL)


def finding(entry):
    """What is wrong by an entry of the log, or nothing."""
    if entry.get("$report_type") != "TestReport" or (entry["outcome"] != "failed" and "wasxfail" not in entry):
        return None
    name = entry["nodeid"].partition("testcases/")[2]
    log = "\n".join(text for _, text in entry["sections"])
    return "\n".join([name, entry.get("wasxfail", ""), json.dumps(entry["longrepr"]), log])


def read(report):
    """How many tests passed, and the findings."""
    entries = [json.loads(line) for line in pathlib.Path(report).read_text().splitlines()]
    if entries[-1].get("$report_type") != "SessionFinish":
        sys.exit(f"{report} ends early")
    passed = sum(entry.get("when") == "call" and entry["outcome"] == "passed" for entry in entries)
    return passed, [text for text in map(finding, entries) if text]


def main():
    document, *reports = sys.argv[1:]
    known = {title: [pattern, 0] for title, pattern in rows(pathlib.Path(document).read_text())}
    wrong = []
    for report in reports:
        passed, found = read(report)
        print(f"{pathlib.Path(report).stem}: {passed} tests passed, {len(found)} findings")
        if not passed:
            wrong.append(f"{report}: nothing passed")
        for text in found:
            row = next((row for row in known.values() if row[0].search(text)), None)
            if row:
                row[1] += 1
            else:
                wrong.append(f"not in the document: {text[:1500]}\n")
    wrong += [f"found no more: {title}" for title, (_, count) in known.items()
              if not count and not title.startswith("(sometimes)")]
    for title, (_, count) in known.items():
        print(f"{count:6} {title}")
    print("\n".join(wrong))
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
