#!/usr/bin/env python3
"""Golden files: what every command prints. A case is a folder here with `cmd` (shell lines, one command a line) and `expected`: each line, its standard output,
its standard error behind "! ", and its exit status when that is not 0. Prints TAP.

run.py [--update] [CASE...]

Lines run one after another in one folder with `freehold` on the PATH. A case whose first line is `# server` has a server of its own; `# starter` has a server and the starter
model imported; `# folder` has the starter model imported and no server. What differs from run to run (ports, folders, keys, times, sizes of this machine) is replaced by a word in
capitals before it is compared."""
import difflib
import os
import re
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "support"))
from freehold import PROGRAM, STARTER, Server, Tap

VERSION = (HERE.parents[1] / "VERSION").read_text().strip()
RULES = [
    (r"freehold " + re.escape(VERSION), "freehold VERSION"), (r'"version": "' + re.escape(VERSION) + '"', '"version": "VERSION"'),
    (r"version " + re.escape(VERSION), "version VERSION"),
    (r"fh_[a-z0-9]{8}_[A-Za-z0-9_-]{43}", "KEY"), (r"#code=[A-Za-z0-9_-]{43}", "#code=CODE"),
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d\.\d+Z)?", "TIME"),
    (r"[\d,.]+ [kMGT]B of the [\d,.]+ [MGT]B here", "SIZE of the SIZE here"), (r"this machine has [\d,.]+ [MGT]B", "this machine has SIZE"),
    (r'("has_bytes"|"missing_bytes"|"pid"|"rss_bytes"|"created"|"changed"|"restarts"|"imported"): [^,\n]+', r"\1: VALUE"),
    (r'"load": (null|\{[^}]*\})', '"load": LOAD'),
    (r"after \d+ ms", "after N ms"), (r"(?m) +\d+s$", "  AGE"),
    (r"too large|family not yet known|weights not here", "HERE"),
]


def tidy(text, words):
    for word, name in words:
        text = text.replace(word, name)
    for pattern, name in RULES:
        text = re.sub(pattern, name, text)
    return text


def transcript(lines, folder, environment, words):
    out = []
    for line in lines:
        if not line or line.startswith("#"):
            continue
        done = subprocess.run(["bash", "-c", line], cwd=folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)
        out.append("$ " + line)
        out += tidy(done.stdout, words).splitlines()
        out += ["! " + l for l in tidy(done.stderr, words).splitlines()]
        if done.returncode:
            out.append(f"[exit {done.returncode}]")
        out.append("")
    return "\n".join(out)


def run_case(case):
    """What it printed, or None when it needs the starter model and that is not here."""
    lines = (case / "cmd").read_text().splitlines()
    kind = lines[0].lstrip("# ") if lines[0].startswith("#") else ""
    if kind in ("starter", "folder") and not STARTER.is_file():
        return None
    server = Server(start=False)
    work, tools = server.folder / "work", server.folder / "bin"
    work.mkdir()
    tools.mkdir()
    (tools / "freehold").symlink_to(PROGRAM)
    try:
        if kind in ("starter", "folder"):
            server.cli_local("import", str(STARTER))
        if kind in ("starter", "server"):
            server.start()
        environment = {**server.environment(), "PATH": f"{tools}:{os.environ['PATH']}", "DATA": str(server.data), "STARTER": str(STARTER), "PORT": str(server.port)}
        if kind in ("folder", ""):
            del environment["FREEHOLD_URL"], environment["FREEHOLD_KEY_FILE"]
        return transcript(lines, work, environment, [(str(server.folder), "FOLDER"), (str(STARTER), "STARTER"), (str(server.port), "PORT")])
    finally:
        server.__exit__()


def main():
    update = "--update" in sys.argv
    wanted = [a for a in sys.argv[1:] if not a.startswith("-")]
    tap = Tap()
    for case in sorted(p.parent for p in HERE.glob("*/cmd")):
        if wanted and case.name not in wanted:
            continue
        said = run_case(case)
        if said is None:
            tap.skip(case.name, "the starter model is not here: run tools/fetch-starter")
            continue
        if update:
            (case / "expected").write_text(said)

        def compare():
            expected = (case / "expected").read_text()
            if said != expected:
                raise AssertionError("\n".join(difflib.unified_diff(expected.splitlines(), said.splitlines(), "expected", "printed", lineterm="", n=1)))
        tap.check(case.name, compare)
    tap.end()


if __name__ == "__main__":
    if not PROGRAM.is_file():
        Tap.skip_all(f"{PROGRAM} is not built: run make")
    main()
