#!/usr/bin/env python3
"""conformance.py KIND [--whole]: one suite that every adapter passes against its fake, over real HTTP: a machine is rented, runs, and is given back, whatever call fails and however, and
wherever the process is killed. What must hold each time: never two machines at once, none left, none of others touched, each bill between what was and what may have been, and
the account's key nowhere but in its header. Prints TAP."""
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE / "fakes"), str(HERE.parent / "support")]
from account import KEY
from freehold import PATIENCE, TOP, Tap

KIND = sys.argv[1]
RENTER = os.environ.get("RENT_RENTER", str(TOP / "build/tests/rent/rent_renter"))
FAKES = {"runpod": "runpod.py", "vast": "vast.py", "lambda": "lambda_cloud.py", "skypilot": "skypilot.py"}
SPEED = 60 if KIND == "skypilot" else 200  # of both clocks: two minutes of waiting for a lost reply are less than a second here; commands take their time


class Fake:
    def __enter__(self):
        self.began = time.time_ns()
        self.process = subprocess.Popen([sys.executable, str(HERE / "fakes" / FAKES[KIND]), "--speed", str(SPEED), "--began", str(self.began)], stdout=subprocess.PIPE, text=True)
        self.url = f"http://127.0.0.1:{int(self.process.stdout.readline())}"
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def tell(self, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(urllib.request.Request(self.url + path, data, {"Content-Type": "application/json"})) as r:
            return json.loads(r.read())

    def fault(self, call, kind, count=1):
        self.tell("/_fault", {"call": call, "kind": kind, "count": count})

    def truth(self):
        return self.tell("/_truth")


class Case:
    """One fake account, one database; the renter may be started several times."""

    def __enter__(self):
        self.stack = contextlib.ExitStack()
        self.folder = Path(self.stack.enter_context(tempfile.TemporaryDirectory(prefix="fh-rent-")))
        self.fake = self.stack.enter_context(Fake())
        self.key_file = self.folder / "key"
        self.key_file.write_text(KEY + "\n")
        self.key_file.chmod(0o600)
        (self.folder / ".fake-sky").write_text(self.fake.url)
        self.said = ""
        return self

    def __exit__(self, *_):
        self.stack.close()

    def run(self, kill_at=0):
        """Until it is done; None when it was killed."""
        env = {**os.environ, "HOME": str(self.folder), "PATH": f"{HERE / 'fakes/bin'}:{os.environ['PATH']}", "RENTER_BEGAN": str(self.fake.began), **({"RENTER_KILL_AT": str(kill_at)} if kill_at else {})}
        done = subprocess.run([RENTER, KIND, self.fake.url, str(self.key_file), str(self.folder / "db"), str(SPEED)], capture_output=True, text=True, timeout=600, env=env)
        self.said += done.stdout + done.stderr
        if done.returncode == -9:
            return None
        assert done.returncode == 0, (done.returncode, done.stderr[-2000:])
        return [json.loads(line) for line in done.stdout.splitlines()]

    def check(self, acts, machines=None):
        truth = self.fake.truth()
        ours = [m for m in truth["machines"] if not m["foreign"]]
        assert all(m["gone"] is None for m in truth["machines"] if m["foreign"]), "a machine of others was ended"
        assert all(m["gone"] is not None for m in ours), f"left running: {ours}"
        for a, b in zip(ours, ours[1:]):
            assert a["gone"] <= b["made"], f"two at once: {a} {b}"
        if machines is not None:
            assert len(ours) == machines, ours
        by_machine = {a["machine"]: a for a in acts if a["machine"]}
        for m in ours:
            act, lived = by_machine.pop(m["tag"] if KIND == "skypilot" else m["id"]), m["gone"] - m["made"]
            assert act["phase"] == "over" and act["least_s"] <= lived + 1 and lived <= act["most_s"] + 1, (act, lived)
            assert act["hour_micro"] == round(m["price"] * 1e6) and act["amount_micro"] == -(-act["most_s"] * act["hour_micro"] // 3600), act
            assert "it runs" in m["setup"]["script"], m
        assert not by_machine, f"bills for machines that never were: {by_machine}"
        for file in self.folder.rglob("*"):
            assert file == self.key_file or not file.is_file() or KEY.encode() not in file.read_bytes(), f"the key stands in {file.name}"
        assert KEY not in self.said
        return ours


def plain():
    with Case() as c:
        ours = c.check(c.run(), machines=1)
        script = ours[0]["setup"]["script"]
        assert KIND == "lambda" or "sleep" in script.splitlines()[0], "no timer was set at rental"


def one_fault(call, kind):
    def test():
        with Case() as c:
            c.fake.fault(call, kind)
            c.check(c.run())
    return test


def several_faults():
    with Case() as c:
        for call, kind in (("rent", "lost"), ("list", "500"), ("list", "before"), ("end", "lost"), ("end", "500"), ("offers", "busy"), ("rent", "500-done")):
            c.fake.fault(call, kind)
        c.check(c.run())


def killed_at_each_step():
    at, acts = 0, None
    while acts is None:
        at += 1
        with Case() as c:
            acts = c.run(kill_at=at)
            time.sleep(0.05 * (at % 3))
            c.check(c.run() if acts is None else acts)
    assert at > 5, f"only {at - 1} steps were recorded"
    return f"{at - 1} recorded steps"


def killed_with_lost_replies():
    for at in range(1, 6):
        with Case() as c:
            c.fake.fault("rent", "lost")
            c.fake.fault("end", "lost")
            acts = c.run(kill_at=at)
            c.check(c.run() if acts is None else acts)


def a_wrong_key_is_told_of():
    with Case() as c:
        c.key_file.write_text("another\n")
        c.key_file.chmod(0o644)
        done = subprocess.run([RENTER, KIND, c.fake.url, str(c.key_file), str(c.folder / "db"), str(SPEED)], capture_output=True, text=True, timeout=PATIENCE, env={**os.environ, "RENTER_BEGAN": "0"})
        assert done.returncode == 1 and "others can read the key" in done.stderr, done.stderr


def main():
    tap = Tap()
    RENTS = ("capacity", "stuck", "taken") if KIND == "skypilot" else ("capacity", "stuck", "dearer", "taken")  # it does not say what one costs
    tap.check("a machine is rented, runs and is given back", plain)
    some = KIND == "skypilot" and "--whole" not in sys.argv  # each of its calls is a process
    for call in () if some else ("offers", "rent", "list", "end"):
        kinds = ("before", "lost", "500", "busy", "garbled") if call in ("offers", "list") else ("before", "lost", "500", "500-done", "busy", "garbled")
        for kind in kinds + (RENTS if call == "rent" else ()):
            tap.check(f"{call}: {kind}", one_fault(call, kind))
    tap.check("faults at several calls", several_faults)
    if some:
        tap.check("rent: capacity", one_fault("rent", "capacity"))
    else:
        tap.check("killed at each recorded step", killed_at_each_step)
        tap.check("killed at recorded steps with lost replies", killed_with_lost_replies)
    if KIND != "skypilot":  # which has no key
        tap.check("a key file that others can read is refused", a_wrong_key_is_told_of)
    tap.end()


main()
