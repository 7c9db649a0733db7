#!/usr/bin/env python3
"""The architecture holds: a module compiles with what its row grants and with nothing else. Prints TAP.

layering.py BUILD    reads BUILD/compile_commands.json for the flags that each module is really compiled with"""
import json
import re
import shlex
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "tools"))
import importlib.machinery
import importlib.util

loader = importlib.machinery.SourceFileLoader("architecture", str(TOP / "tools/architecture"))
spec = importlib.util.spec_from_loader("architecture", loader)
architecture = importlib.util.module_from_spec(spec)
loader.exec_module(architecture)

# which library a system header belongs to; headers of libc and the kernel stand in no row
LIBRARIES = [("event2/", "libevent"), ("curl/", "libcurl"), ("openssl/", "openssl"), ("jansson", "jansson"), ("sqlite3", "sqlite3"), ("pcre2", "libpcre2-8"),
             ("utf8proc", "libutf8proc"), ("hwloc", "hwloc"), ("seccomp.h", "libseccomp"), ("cmocka", "cmocka"), ("nghttp2/", "libnghttp2"), ("libpq", "libpq"), ("liburing", "liburing")]


def flags(build):
    """module -> (compiler, include flags) of its first source."""
    found = {}
    for entry in json.loads((Path(build) / "compile_commands.json").read_text()):
        file = (Path(entry["directory"]) / entry["file"]).resolve()
        if TOP / "src" not in file.parents or file.parent == TOP / "src":
            continue
        words = shlex.split(entry["command"])
        words = words[1:] if words[0].endswith("ccache") else words
        include = [w for w in words if w.startswith("-I")]
        found.setdefault(file.relative_to(TOP / "src").parts[0], (words[0], include, entry["directory"]))
    return found


def compiles(compiler, include, folder, header):
    done = subprocess.run([compiler, "-std=c17", "-D_GNU_SOURCE", "-fsyntax-only", "-x", "c", *include, "-"], cwd=folder, input=f'#include "{header}"\n', text=True,
                          capture_output=True)
    return done.returncode == 0, done.stderr


def headers(module):
    root = TOP / "src" / module / "include"
    return [str(h.relative_to(root)) for h in sorted(root.rglob("*.h"))]


def sources(module):
    return [f for f in sorted((TOP / "src" / module).rglob("*.[ch]"))]


def includes(file):
    return re.findall(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]', file.read_text(), re.M)


def included(module):
    for file in sources(module):
        for name in includes(file):
            yield file, name


def needed(module, names):
    """The modules whose headers it includes, and those that these headers include in turn."""
    found, seen, left = set(), set(), [name for _, name in included(module)]
    while left:
        name = left.pop()
        owner = name.split("/")[0]
        header = TOP / "src" / owner / "include" / name
        if name in seen or owner not in names or not header.is_file():
            continue
        seen.add(name)
        found.add(owner)
        left += includes(header)
    return found - {module}


def main(build):
    rows = architecture.table()
    names = [r[1] for r in rows]
    built = flags(build)
    results = []

    def say(ok, text, why=""):
        results.append(ok)
        print(f"{'ok' if ok else 'not ok'} {len(results)} - {text}")
        for line in why.strip().splitlines()[:8]:
            print("#", line)

    jobs = [(name, other, header) for _, name, used, _ in rows if name in built for other in names if other != name for header in headers(other)]
    with ThreadPoolExecutor() as pool:
        outcome = list(pool.map(lambda j: compiles(*built[j[0]], j[2]), jobs))
    for _, name, used, _ in rows:
        if name not in built:
            continue
        leaks = [h for (n, o, h), (ok, _) in zip(jobs, outcome) if n == name and o not in used and ok and h == headers(o)[0]]  # not all: sys/file.h is libc's too
        reached = {o for (n, o, _), (ok, _) in zip(jobs, outcome) if n == name and ok}
        out_of_reach = [o for o in used if o not in reached]  # a header that stands on a module which is not granted is not for it; one of the others is
        say(not leaks, f"{name} cannot include what it was not granted", "it can include: " + " ".join(leaks))
        say(not out_of_reach, f"{name} can include what it was granted", "it can include no header of: " + " ".join(out_of_reach))
    for _, name, used, libraries in rows:
        unused = [u for u in used if u not in needed(name, names)]
        say(not unused or name not in built, f"{name} uses all that it was granted", "granted and not used: " + " ".join(unused))
        foreign = sorted({f"{f.relative_to(TOP)} includes {n} ({lib})" for f, n in included(name) for prefix, lib in LIBRARIES if n.startswith(prefix) and lib not in libraries
                          and not (lib == "libevent" and "libevent_pthreads" in libraries)})
        say(not foreign, f"{name} includes headers of its own libraries only", "\n".join(foreign))
    order = {name: layer for layer, name, _, _ in rows}
    up = [f"{name} -> {u}" for layer, name, used, _ in rows for u in used if order[u] > layer]
    say(not up, "arrows go down only", "\n".join(up))
    say(subprocess.run([str(TOP / "tools/architecture"), "--check"]).returncode == 0, "docs/ARCHITECTURE.md shows the table of src/meson.build",
        "run tools/architecture --write")
    print(f"1..{len(results)}")
    return 0 if all(results) else 1


sys.exit(main(sys.argv[1]))
