"""docs/CONFORMANCE.md holds tables that its tests make. Each keeps its own: changed(name, lines) says whether the page differs from them, write(name, lines) puts them there."""
import re
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "docs/CONFORMANCE.md"


def split(name):
    """What stands before, in and behind the part of that name."""
    text = PAGE.read_text()
    found = re.fullmatch(rf"(.*<!-- made by {re.escape(name)} -->\n)(.*?)(<!-- end -->.*)", text, re.S)
    assert found, f"{PAGE} has no part that is made by {name}"
    return found.groups()


def changed(name, lines):
    return split(name)[1] != "".join(f"{line}\n" for line in lines)


def write(name, lines):
    before, _, behind = split(name)
    PAGE.write_text(before + "".join(f"{line}\n" for line in lines) + behind)


def check(name, lines):
    """A check of Tap."""
    assert not changed(name, lines), f"docs/CONFORMANCE.md says something else: run {name} --write"
