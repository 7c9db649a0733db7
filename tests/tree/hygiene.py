#!/usr/bin/env python3
"""What must not be in the tree, and what must agree with it. Prints TAP."""
import re
import subprocess
import sys
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]


def tracked():
    names = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=TOP, capture_output=True, text=True).stdout.split("\0")
    return [TOP / n for n in names if n and (TOP / n).is_file()]


def text_of(file):
    try:
        return file.read_text()
    except UnicodeDecodeError:
        return ""


def main():
    files = tracked()
    if not files:
        print("1..0 # SKIP not a git checkout")
        return 0
    results = []

    def say(found, title):
        results.append(not found)
        print(f"{'not ok' if found else 'ok'} {len(results)} - {title}")
        for line in found[:10]:
            print("#", line)

    say([str(f.relative_to(TOP)) for f in files if f.stat().st_size > 1 << 20], "no file above 1 MiB")
    limits = subprocess.run([str(TOP / "tools/limits-doc"), "--check"], capture_output=True, text=True)
    say([limits.stdout + limits.stderr] if limits.returncode else [], "docs/LIMITS.md lists the limits of base/limits.h")
    errors = subprocess.run([str(TOP / "tools/errors-doc"), "--check"], capture_output=True, text=True)
    say([errors.stdout + errors.stderr] if errors.returncode else [], "docs/ERRORS.md lists the errors of base/err.h")
    marks = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")
    mine = Path(__file__).resolve()
    say([f"{f.relative_to(TOP)}:{n}" for f in files if f.suffix in {".c", ".h", ".ts", ".tsx", ".py", ".sh", ""} and f != mine for n, line in
         enumerate(text_of(f).splitlines(), 1) if marks.search(line)], "no unfinished marks")
    say([f"src/{m.name}" for m in sorted((TOP / "src").iterdir()) if m.is_dir() and not (m / "README.md").is_file()], "every module says what it is for")
    bare = re.compile(r"(?<![\w.>])(malloc|calloc|realloc|strdup|strndup|asprintf|strcpy|strcat|sprintf|gets|atoi|atol|strtok|alloca)\s*\(")
    allowed = {"src/base/mem.c", "src/base/err.c"}
    say([f"{f.relative_to(TOP)}:{n}: {line.strip()}" for f in files if f.suffix in {".c", ".h"} and (TOP / "src") in f.parents and str(f.relative_to(TOP)) not in allowed
         for n, line in enumerate(text_of(f).splitlines(), 1) if bare.search(re.sub(r'"(\\.|[^"\\])*"|//.*|/\*.*?\*/|^\s*\*.*', "", line))],
        "no bare allocation or unbounded string function")
    say([str(f.relative_to(TOP)) for f in files if (TOP / "tests/unit") in f.parents and f.suffix == ".c" and f.stem[5:] not in text_of(f.parent / "meson.build")],
        "every unit test is listed")
    verbs = {name for f in files if f.parent == TOP / "src/cli" for name in re.findall(r'const fh_cli_verb fh_verb_\w+ = \{\s*\.name = "([^"]+)"', text_of(f))}
    typed = re.compile(r"`freehold ([a-z][a-z-]*)(?: ([a-z][a-z-]*))?(?![^`]*\"$)")
    say([f"{f.relative_to(TOP)}:{n}: {m[0]}`" for f in files if f.suffix in {".c", ".h", ".ts", ".tsx", ".md"} and f.name != "CHANGELOG.md" and (TOP / "tests") not in f.parents
         for n, line in enumerate(text_of(f).splitlines(), 1) for m in typed.finditer(line) if not {m[1], f"{m[1]} {m[2]}"} & verbs],
        "every command that is named in backquotes exists")
    print(f"1..{len(results)}")
    return 0 if all(results) else 1


sys.exit(main())
