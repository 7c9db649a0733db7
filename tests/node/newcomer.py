#!/usr/bin/env python3
"""The newcomer's path: the commands of the README's pool of two, read out of it and typed as they stand there, on machines with networks, homes and installations of their
own. How long each takes. Prints TAP."""
import contextlib
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import hosts
from machines import PATIENCE, PROGRAM, Tap
from freehold import STARTER, TOP, need_starter

LINE = re.compile(r"^(server|den|attic)\$ +(\S.*)$", re.M)
JOIN = re.compile(r"^echo fh_join_\S+ \| freehold node join https://10\.99\.0\.1:8471$")
MOST, WIDE = 10, 100


class Person:
    """At one machine's shell: a home, and system folders that are this machine's own."""

    def __init__(self, folder, host=None):
        self.inside = host.inside if host else []
        self.home = folder / (host.name if host else "server")
        self.home.mkdir()
        for system in ("/usr/local", "/etc") if host else ():
            upper, work = (self.home / f"{part}{system.replace('/', '-')}" for part in ("upper", "work"))
            upper.mkdir()
            work.mkdir()
            host.do("mount", "-t", "overlay", "overlay", "-o", f"lowerdir={system},upperdir={upper},workdir={work}", system)
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("FREEHOLD_", "XDG_", "MAKE", "MFLAGS"))}
        self.environment = {**kept, "HOME": str(self.home), "FREEHOLD_STARTER_GGUF": str(STARTER), "BUILD": os.path.relpath(PROGRAM.parents[1], TOP)}

    def type(self, line):
        """The build that is tested stands where the README has build/."""
        line = line.removeprefix("sudo ").replace("build/freehold", str(PROGRAM))
        return subprocess.Popen([*self.inside, "sh", "-c", f"cd {TOP}; {line}"], env=self.environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                text=True)


def until_ended(person, line):
    done = person.type(line)
    said = done.communicate(timeout=PATIENCE * 5)[0]
    assert done.returncode == 0, f"{line}: {said}"
    return said


def until_joined(person, line):
    said = []
    for text in person.type(line).stdout:
        said.append(text)
        if " is in the pool of " in text:
            return "".join(said)
    raise AssertionError(f"{line}: {''.join(said)}")


def walk(people, commands, taken):
    """Types them one after another; a machine's join line as the server has printed it."""
    printed = said = ""
    for who, line in commands:
        begun, typed = time.monotonic(), line
        if line.startswith("echo fh_join_"):
            typed, printed = printed.strip(), ""
            assert JOIN.match(typed) and re.sub(r"fh_join_\S+", "fh_join_...", typed) == line, (typed, line)
        said = (until_joined if typed != line else until_ended)(people[who], typed)
        if line.endswith("--line"):
            printed = said
        taken.append((time.monotonic() - begun, who, line))
    return said


def the_path(people, commands):
    taken = []
    answer = walk(people, commands, taken)
    assert len(answer.split()) > 3, answer
    for seconds, who, line in taken:
        print(f"# {seconds:6.1f} s  {who}$ {line}")
    return f"{sum(t[0] for t in taken):6.1f} s  {len(taken)} commands, with what is built and fetched already"


def it_runs_there(people):
    said = until_ended(people["server"], "build/freehold ps --json")
    assert re.search(r'"place": ?"node/(den|attic)"', said), said
    listed = until_ended(people["server"], "build/freehold node list")
    assert "den" in listed and "attic" in listed, listed


def short_enough(commands):
    assert 0 < len(commands) < MOST, commands
    for _, line in commands:
        assert len(line) <= WIDE, line


def main():
    need_starter()
    why = hosts.enter()
    if why:
        Tap.skip_all(why)
    tap, commands = Tap(), LINE.findall((TOP / "README.md").read_text())
    with tempfile.TemporaryDirectory(prefix="fh-newcomer-") as folder, contextlib.ExitStack() as stack:
        people = {"server": Person(Path(folder))}
        stack.callback(until_ended, people["server"], "make down")
        for number, name in enumerate(("den", "attic"), 2):
            host = hosts.Host(name, number)
            stack.callback(host.end)
            people[name] = Person(Path(folder), host)
        tap.check(f"the README's path is under {MOST} commands, none longer than a line", short_enough, commands)
        tap.check("it leads from nothing to a model on a pool of two", the_path, people, commands)
        tap.check("the model runs on one of the two", it_runs_there, people)
    tap.end()


main()
