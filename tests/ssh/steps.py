#!/usr/bin/env python3
"""kill -9 of the server at every step that it does on a box, before the step and when it is done there: one agent at most, in the end it serves, and nothing is left. The box's
`sh` is a program of the test's, which holds a step until the server is dead. Prints TAP."""
import os
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from boxes import PATIENCE, Box, Home, Tap
from freehold import STARTER, need_starter

HOLD = """
step=; [ "${3:-}" = freehold-box ] && step=$4
held() { echo "$1 $step" >>"$D/held"; n=0; while [ "$(cat "$D/at")" = "$1 $step" ] && [ $n -lt 600 ]; do sleep 0.1; n=$((n+1)); done; }
[ -n "$step" ] || exec /bin/sh "$@"
[ "$(cat "$D/at")" = "before $step" ] && { held before; exit 1; }
if [ "$step" = hold ]; then exec /bin/sh "$@"; fi
/bin/sh "$@"
rc=$?
[ "$(cat "$D/at")" = "after $step" ] && held after
exit $rc"""
STARTING = ["look", "claim", "copy", "keep", "try", "port", "hold", "start", "watch"]


class Steps:
    def __init__(self, home, box):
        self.home, self.box = home, box
        self.at, self.held = box.folder / "at", box.folder / "held"
        self.pause("")
        self.held.write_text("")
        box.program("sh", HOLD.replace("$D", str(box.folder)))

    def pause(self, at):
        part = self.at.with_suffix(".part")
        part.write_text(at)
        part.rename(self.at)

    def kill_at(self, at, act=None, *args):
        """The server is killed while the box is there; then the box goes on."""
        seen = len(self.held.read_text().splitlines())
        self.pause(at)
        if act:
            act(*args)
        until = time.monotonic() + PATIENCE
        while len(self.held.read_text().splitlines()) == seen:
            assert time.monotonic() < until, f"it never comes to {at}: {self.home.deployment('steps')}\n{self.home.output()[-3000:]}"
            time.sleep(0.02)
        self.home.kill()
        assert len(self.box.agents()) <= 1, self.box.agents()
        self.pause("")
        self.home.start_pool()


def set_up(steps):
    home, box = steps.home, steps.box
    home.added("box", box)
    home.post("provider/box", "steps")
    for step in STARTING:
        for when in ("before", "after"):
            if (when, step) != ("after", "hold"):
                steps.kill_at(f"{when} {step}")
    home.wait_state("steps", "ready")
    assert len(box.agents()) == 1 and len(box.folders()) == 1, box.running()
    return f"killed {2 * len(STARTING) - 1} times"


def ended(steps):
    home, box = steps.home, steps.box
    steps.kill_at("before end", home.stop_deployment, "steps")
    steps.kill_at("after end")
    box.wait_clean()
    until = time.monotonic() + PATIENCE
    while (home.data / "ssh/box/order").exists():
        assert time.monotonic() < until, f"the order is not over: {home.output()[-3000:]}"
        time.sleep(0.05)


def main():
    need_starter()
    tap = Tap()
    with Home(STARTER) as home, Box(home.folder) as box:
        steps = Steps(home, box)
        tap.check("kill -9 of the server at every step of setting up", set_up, steps)
        tap.check("kill -9 of the server at the step that ends it all", ended, steps)
    tap.end()


main()
