"""Engines of others on this machine, for tests: where they are, and how a server is told so. Nothing is fetched: tests/tools/peers gets them.

others.py FOLDER    prints the words behind --engine for llama-server (what has to be made for it comes into FOLDER), or exits 3 and says why not"""
import re
import subprocess
import sys
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]


def peer(name):
    """What `peers find` says, or (None, why not)."""
    found = subprocess.run([TOP / "tests/tools/peers", "find", name], capture_output=True, text=True)
    if found.returncode:
        return None, found.stderr.strip()
    return dict(line.split("=", 1) for line in found.stdout.splitlines()), None


def llama_server(folder):
    """The words behind --engine, or (None, why not). A build of another distribution comes with a script around it that starts programs, which a sandbox does not allow:
    the last line of it alone will do."""
    there, why = peer("llama.cpp")
    program = Path(there["bin"]) / "llama-server" if there else None
    if not program or not program.is_file():
        return None, why or "llama-server is not built"
    if program.read_bytes()[:2] != b"#!":
        return f"llama-server={program}", None
    line = next(x for x in program.read_text().splitlines() if "exec" in x)
    own = folder / "llama-server"
    own.write_text("#!/bin/sh\n" + line.replace('"${args[@]}"', '"$@"') + "\n")
    own.chmod(0o755)
    whole = re.search(r'(/[^ "]*/debian-[^/]*)/', line).group(1)
    return f"llama-server={own}:{whole}", None


if __name__ == "__main__":
    words, why = llama_server(Path(sys.argv[1]))
    print(words or why)
    sys.exit(0 if words else 3)
