#!/usr/bin/env python3
"""The server tests of llama.cpp, as they are, pointed at a freehold with the starter model: llama_cpp.py [--write]. llama_cpp.toml says which of them fail, with what words and why
that is no defect; a test that fails otherwise, or passes where it says so, fails here. --write puts the table into docs/CONFORMANCE.md, which must not differ from it. Their source is
what `tests/tools/peers get llama.cpp-source` gets; nothing is copied into the tree. Run with the interpreter of tests/tools/python-env. Prints TAP."""
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
import xml.etree.ElementTree as tree
from collections import Counter
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "support"))
import page
from freehold import Server, Tap, need_starter

try:
    import pytest  # noqa: F401, run as a program
except ImportError:
    Tap.skip_all("pytest is not installed: run with the interpreter of tests/tools/python-env")

NAME = "tests/conformance/llama_cpp.py"
SUITES = ["chat_completion", "completion", "embedding", "tokenize", "template", "stream", "compat_oai_responses", "compat_anthropic", "security"]


def source():
    found = subprocess.run([HERE.parent / "tools/peers", "find", "llama.cpp-source"], capture_output=True, text=True)
    if found.returncode:
        Tap.skip_all(found.stderr.strip())
    return Path(found.stdout.strip().removeprefix("src="))


def run(theirs):
    """[(suite, function, parameters, message or None)] of what ran, and pytest's output."""
    with tempfile.TemporaryDirectory(prefix="fh-conformance-") as folder, Server() as server:
        server.deploy()
        tests = Path(folder) / "tools/server/tests"  # what they write stays here
        shutil.copytree(theirs / "tools/server/tests", tests)
        told = {"DEBUG_EXTERNAL": "1", "PORT": str(server.port), "FREEHOLD_KEY": server.key, "FREEHOLD_MODEL": "smollm2", "PYTHONPATH": str(HERE), "PYTHONDONTWRITEBYTECODE": "1"}
        report = Path(folder) / "report.xml"
        done = subprocess.run([sys.executable, "-m", "pytest", "-q", "-p", "pointed", "-p", "no:cacheprovider", "-m", "not slow", "--tb=short", f"--junitxml={report}",
                               *[f"unit/test_{s}.py" for s in SUITES]], cwd=tests, env={**os.environ, **told}, capture_output=True, text=True)
        return read(report) if report.is_file() else [], done.stdout + done.stderr


def read(report):
    cases = []
    for case in tree.parse(report).getroot().iter("testcase"):
        if case.find("skipped") is not None:
            continue
        bad = next((e for e in map(case.find, ("failure", "error")) if e is not None), None)
        function, _, parameters = case.get("name").partition("[")
        cases.append((case.get("classname").rsplit("test_", 1)[1], function, parameters.removesuffix("]"), None if bad is None else bad.get("message")))
    return cases


class Expected:
    def __init__(self):
        doc = tomllib.loads((HERE / "llama_cpp.toml").read_text())
        self.reasons, self.rows = doc["reasons"], doc["case"]
        self.met = set()

    def of(self, suite, function, parameters):
        """The first row that means this case; None: it passes, and says something."""
        for i, row in enumerate(self.rows):
            if row["test"] == f"{suite}::{function}" and re.fullmatch(row.get("with", ".*"), parameters, re.S):
                self.met.add(i)
                return row

    def check(self, suite, function, parameters, message):
        """What is wrong with that outcome, or None."""
        row = self.of(suite, function, parameters)
        case = f"{function}[{parameters}]" if parameters else function
        if row is None or "said" not in row:
            return message and f"{case} fails: {message}"
        if message is None:
            return None if row.get("drawn") else f"{case} passes, and llama_cpp.toml says that it fails"
        return None if re.search(row["said"], message, re.S) else f"{case} fails with other words than llama_cpp.toml says: {message}"

    def outcome(self, suite, function, parameters):
        """As the page says it: one whose words are drawn counts as what it usually does."""
        row = self.of(suite, function, parameters)
        if row is None:
            return "passes"
        return f"{'fails' if 'said' in row else 'says nothing'}: {self.reasons[row['why']]}"

    def unmet(self):
        return [row["test"] for i, row in enumerate(self.rows) if i not in self.met]


def table(cases, expected):
    """Rows of the page: a function of theirs each, and one more where its cases come out in several ways."""
    said = [(suite, function, expected.outcome(suite, function, parameters)) for suite, function, parameters, _ in cases]
    rows = []
    for suite in SUITES:
        groups = Counter((function, outcome) for s, function, outcome in said if s == suite)
        passed = sum(n for (_, outcome), n in groups.items() if outcome == "passes")
        rows += ["", f"### {suite}: {passed} of {sum(groups.values())} pass", "", "| test | cases | outcome |", "| --- | --- | --- |"]
        rows += [f"| `{function}` | {n} | {outcome} |" for (function, outcome), n in groups.items()]
    passed = sum(outcome == "passes" for *_, outcome in said)
    return [f"{passed} of {len(cases)} cases pass. The others fail for the reason beside them, or pass without having asked anything that is here.", *rows]


def main():
    need_starter()
    tap, expected = Tap(), Expected()
    cases, said = run(source())

    def function_is_as_expected(suite, function):
        wrong = [w for s, f, p, m in cases if (s, f) == (suite, function) and (w := expected.check(s, f, p, m))]
        assert not wrong, "\n".join(wrong)

    def all_ran():
        assert {s for s, *_ in cases} == set(SUITES), said[-3000:]
        assert not expected.unmet(), f"llama_cpp.toml speaks of what there is not: {expected.unmet()}"
    for suite, function in dict.fromkeys((s, f) for s, f, *_ in cases):
        tap.check(f"{suite}: {function}", function_is_as_expected, suite, function)
    tap.check("all of it ran", all_ran)
    if not tap.failed:
        if "--write" in sys.argv:
            page.write(NAME, table(cases, expected))
        tap.check("the page says so", page.check, NAME, table(cases, expected))
    tap.end()


if __name__ == "__main__":
    main()
