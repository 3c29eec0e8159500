"""findings.py DOCUMENT REPORT...: compares the findings of pkcs11-check with the table in the document.

A report is pytest's log (--report-log). The table, between <!-- findings:begin --> and <!-- findings:end -->, has a row for each kind
of finding. The second column is a regular expression that matches the texts of these findings. The text of a finding is the name of
its test, the message of the test, and the lines of the module's log. Fails if a finding has no row, if a row has no finding (except
rows that begin with "(sometimes)"), if a report is incomplete, or if no test has passed.
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
    """Returns the text of the finding in an entry of the log, or None."""
    if entry.get("$report_type") != "TestReport" or (entry["outcome"] != "failed" and "wasxfail" not in entry):
        return None
    name = entry["nodeid"].partition("testcases/")[2]
    log = "\n".join(text for _, text in entry["sections"])
    return "\n".join([name, entry.get("wasxfail", ""), json.dumps(entry["longrepr"]), log])


def read(report):
    """Returns the number of tests that passed, and the findings."""
    entries = [json.loads(line) for line in pathlib.Path(report).read_text().splitlines()]
    if entries[-1].get("$report_type") != "SessionFinish":
        sys.exit(f"{report} is incomplete: pytest has not finished")
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
            wrong.append(f"{report}: no test passed")
        for text in found:
            row = next((row for row in known.values() if row[0].search(text)), None)
            if row:
                row[1] += 1
            else:
                wrong.append(f"the document has no row for this finding: {text[:1500]}\n")
    wrong += [f"the document has a row without a finding: {title}" for title, (_, count) in known.items()
              if not count and not title.startswith("(sometimes)")]
    for title, (_, count) in known.items():
        print(f"{count:6} {title}")
    print("\n".join(wrong))
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
