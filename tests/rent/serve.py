#!/usr/bin/env python3
"""serve.py KIND [--whole]: machines rented by the real server of a fake account, whose machines really run the script that they are rented with: they join the pool by freehold's own node,
serve, and are given back. Whatever call fails and whenever the server is killed: never two machines at once, none left, none of others touched, each bill explained. Prints TAP."""
import contextlib
import http.server
import json
import shutil
import sqlite3
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from rented import PATIENCE, Renting
from freehold import PROGRAM, Skip, Tap, need_starter

KIND = sys.argv[1]
ASK = {"model": "smollm2", "messages": [{"role": "user", "content": "What is a lighthouse for?"}], "temperature": 0, "max_tokens": 16}
AT_ONCE = 3  # servers


def ready(s, name):
    def is_ready():
        d = s.deployment(name)
        assert d["state"] != "failed", d
        return d["state"] == "ready" and d
    return s.wait(is_ready, "not ready")


def chat(s):
    status, headers, body = s.request("POST", "/v1/chat/completions", ASK)
    assert status == 200, body
    return headers["x-freehold-place"]


def stop(s, name):
    s.json("DELETE", f"/api/v1/deployments/{name}")
    s.wait_over()


# ---- as it should go ----

def dearest(s, most):
    """Of the offers that would do, and cost no more an hour."""
    plans = [p for p in s.json("POST", "/api/v1/plans", {"model": "smollm2"})["plans"] if p["place"] == "provider/cloud" and p["hour_nusd"] <= most * 1e9]
    return max(plans, key=lambda p: p["hour_nusd"])


def an_offer_is_picked(s, ask, offer):
    """By the name that plans have for it, and with its price."""
    table = s.cli("plan", "smollm2").stdout
    assert "OFFER" in table and offer["name"] in table, table
    said = s.cli(*ask, "--offer", offer["name"], timeout=PATIENCE)
    assert said.returncode == 4 and f"${offer['hour_nusd'] / 1e9:.2f} an hour" in said.stderr, said
    said = s.cli(*ask, "--offer", "no-such-offer", "--yes", timeout=PATIENCE)
    assert said.returncode == 3 and "did not offer 'no-such-offer'" in said.stderr, said
    said = s.cli("run", "smollm2", "Hello.", "--offer", offer["name"])
    assert said.returncode == 2 and "--on provider/NAME" in said.stderr, said
    dear = s.cli(*[w if w != "2" else "0.01" for w in ask], "--offer", offer["name"], timeout=PATIENCE)
    assert dear.returncode == 3 and "costs more" in dear.stderr, dear
    assert not s.deployments(), s.deployments()


def plain():
    with Renting(KIND, settings=["bill=1"]) as s:
        ask = ["run", "smollm2", "Say hello.", "--on", "provider/cloud", "--max-hour", "2", "--hours", "1"]
        said = s.cli(*ask, timeout=PATIENCE)
        assert said.returncode == 4 and "an hour (1 x" in said.stderr and "at most 1 h, $2.00; start-up about $" in said.stderr, said
        assert ("the bill goes on" in said.stderr) == (KIND == "lambda") and not s.deployments(), said
        offer = dearest(s, 2)
        an_offer_is_picked(s, ask, offer)
        said = s.cli(*ask, "--offer", offer["name"], "--yes", timeout=PATIENCE)
        assert said.returncode == 0, said
        assert "start-up" not in s.cli(*ask, timeout=PATIENCE).stderr  # it runs: nothing new is rented
        assert "of 2.00 USD spent" in " ".join(s.cli("ps").stdout.split()), s.cli("ps").stdout
        d = s.deployments()[0]
        assert chat(s) == d["place"] and d["place"].startswith("node/"), d
        m = d["machine"]
        assert m["hour_micro"] * 1000 == offer["hour_nusd"], (m, offer)
        assert m["provider"] == "provider/cloud" and m["hour_micro"] == round(s.cloud.living()[0]["price"] * 1e6) and m["spent_micro"] > 0 and m["ends"], m
        assert s.request("POST", "/v1/chat/completions", ASK, headers={"x-freehold-trust": "own"})[0] == 403
        r = s.rentals()[0]
        assert r["state"] == "wanted" and r["joined"] and r["limit_s"] == 3600 and r["limit_micro"] == 2_000_000, r
        done = s.cli("provider", "remove", "cloud")
        assert done.returncode != 0 and "still has a machine" in done.stderr, done
        assert s.cli("stop", d["name"]).returncode == 0
        s.wait_over()
        s.cloud.check(machines=1)
        s.bills()
        s.no_key_about()
        if KIND in ("runpod", "vast"):  # the others do not say what they charged
            s.wait(lambda: s.rentals()[0]["acts"][0]["charged_micro"] is not None, "what it was charged is not asked")
            assert "which is between" in s.rentals()[0]["acts"][0]["bill"], s.rentals()
        text = s.cli("provider", "rentals").stdout
        assert "rented " in text and "before it ran" in text, text
        return text.splitlines()[-1].strip()


def what_is_refused():
    with Renting(KIND) as s:
        def refused(limit, word):
            status, _, said = s.request("POST", "/api/v1/deployments", {"model": "smollm2", "place": "provider/cloud", "name": f"no-{word}", "limit": limit})
            said = json.loads(said)
            why = said["detail"] if status >= 400 else s.wait(lambda: s.deployment(said["name"])["state"] == "failed" and s.deployment(said["name"])["reason"], "not refused")
            assert word in why, why
        refused({"hour_micro": 1_000_000, "currency": "EUR"}, "USD")
        refused({"seconds": 3600}, "money")
        body = {"model": "smollm2", "place": "provider/cloud"}
        quote = s.json("POST", "/api/v1/rentals/quote", body)
        limit = quote["limit"]
        assert limit["seconds"] == 24 * 3600 and quote["hour_micro"] <= limit["hour_micro"] <= quote["hour_micro"] * 2 and limit["cost_micro"] == limit["hour_micro"] * 24, quote
        assert quote["start_micro"] > 0 and quote["ends_itself"] == (KIND != "lambda"), quote
        assert "before it is ready" not in quote["text"], quote
        quote = s.json("POST", "/api/v1/rentals/quote", {**body, "limit": {**limit, "seconds": 1}})
        assert "so that it would end before it is ready; " in quote["text"], quote
        status, _, said = s.request("POST", "/api/v1/rentals/quote", {**body, "limit": {"hour_micro": 1000, "currency": "USD"}})
        assert status == 404 and b"at that price" in said, said
        assert s.request("POST", "/api/v1/rentals/quote", {**body, "place": "here"})[0] == 404
        assert not s.rows("SELECT * FROM rent_acts") and not s.cloud.machines()


# ---- what goes wrong at the provider ----

def faults():
    """All of them with one server: a machine is rented and given back each time."""
    with Renting(KIND) as s:
        for call, kind in (("rent", "lost"), ("rent", "500-done"), ("rent", "before"), ("rent", "capacity"), ("list", "500"), ("end", "lost")):
            s.cloud.fault(call, kind)
            name = s.order()
            ready(s, name)
            stop(s, name)
        s.cloud.check()
        s.bills()


def never_starts():
    with Renting(KIND, settings=["start=25"]) as s:
        s.cloud.fault("rent", "stuck")
        name = s.order()
        ready(s, name)
        stop(s, name)
        first, second = s.cloud.check(machines=2)
        reasons = [a["reason"] for r in s.rentals() for a in r["acts"]]
        assert "it did not start in time" in reasons, reasons


def taken_away():
    with Renting(KIND) as s:
        name = s.order()
        ready(s, name)
        s.cloud.tell("/_end", {"id": s.cloud.living()[0]["id"]})
        s.wait(lambda: s.deployment(name)["state"] == "ready" and len(s.cloud.machines()) == 2 and s.cloud.living(), "no other machine is there")
        chat(s)
        stop(s, name)
        s.cloud.check(machines=2)
        s.bills()
        orders = s.rows("SELECT count(*) FROM rentals WHERE order_id <> 0")
        assert orders == [(2,)], orders


class Program(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", str(PROGRAM.stat().st_size))
        self.end_headers()
        self.wfile.write(PROGRAM.read_bytes())

    def log_message(self, *_):
        pass


def gets_the_program():
    """A machine without freehold gets it from where the account's settings say."""
    if not shutil.which("curl"):
        raise Skip("curl is not here")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Program) as there:
        threading.Thread(target=there.serve_forever, daemon=True).start()
        with Renting(KIND, settings=[f"program-url=http://127.0.0.1:{there.server_address[1]}/freehold"], freehold=False) as s:
            name = s.order()
            ready(s, name)
            assert list(s.cloud.folder.glob("machines/*/freehold/freehold")), "it came from elsewhere"
            stop(s, name)
            s.cloud.check(machines=1)
        there.shutdown()


def ends_itself():
    """The server is gone: a machine that can ends by the timer that was set at rental."""
    if KIND == "lambda":
        raise Skip("Lambda's cannot: plans say so")
    with Renting(KIND) as s:
        name = s.order(seconds=25)
        ready(s, name)
        s.kill()
        until = time.monotonic() + PATIENCE
        while s.cloud.living() and time.monotonic() < until:
            time.sleep(0.2)
        m = s.cloud.check(machines=1)[0]
        return f"ended after {m['gone'] - m['made']:.0f} s of at most 25"


# ---- kill -9 ----

STEPS = ("SELECT r.id, r.wanted, r.over, r.arrived, a.id, a.phase, a.running_utc_ns > 0, o.wanted, o.over_utc_ns > 0 FROM machine_orders o LEFT JOIN rentals r "
         "ON r.order_id = o.id LEFT JOIN rent_acts a ON a.rental = r.id ORDER BY o.id, a.id")


class Killer(threading.Thread):
    """Kills the server as soon as the database shows its Nth state since the beginning."""

    def __init__(self, s, at):
        super().__init__(daemon=True)
        self.process, self.at, self.seen, self.over = s.process, at, [], False
        self.path = f"file:{s.data}/freehold.db?mode=ro"

    def run(self):
        with contextlib.closing(sqlite3.connect(self.path, uri=True, timeout=10, isolation_level=None)) as db:
            version = None
            while not self.over:
                now = db.execute("PRAGMA data_version").fetchone()
                if now != version:
                    version = now
                    self.look(db.execute(STEPS).fetchall())
                time.sleep(0.0003)

    def look(self, state):
        if not state or (self.seen and self.seen[-1] == state):
            return
        self.seen.append(state)
        if len(self.seen) == self.at:
            self.process.kill()

    def end(self):
        self.over = True
        self.join()


def killed_at(at):
    """How many states there were, and whether the server was killed; at: of them, the one that it does not survive."""
    with Renting(KIND) as s:
        s.cloud.tell("/_set", {"latency": 0.2})
        k, killed = Killer(s, at), []

        def again():
            if s.process.poll() is not None and not killed:
                killed.append(s.kill())
                s.start()

        def is_ready(name):
            again()
            return s.deployment(name)["state"] == "ready"

        def is_over():
            again()
            return not s.cloud.living() and all(r["state"] == "over" for r in s.rentals())

        k.start()
        name = s.order()
        s.wait(lambda: is_ready(name), f"killed at {at}: not ready")
        s.json("DELETE", f"/api/v1/deployments/{name}")
        s.wait(is_over, f"killed at {at}: not over")
        k.end()
        again()
        s.cloud.check()
        s.bills()
        return len(k.seen), bool(killed)


def killed_at_each_step():
    states, _ = killed_at(1 << 30)
    assert states >= 6, f"only {states} states were seen"
    with ThreadPoolExecutor(AT_ONCE) as pool:
        done = list(pool.map(killed_at, range(1, states + 1)))
    killed = sum(k for _, k in done)
    assert killed >= states - 2, f"{killed} kills of {states}"
    return f"{killed} kills at {states} recorded states"


# ---- copies of the database ----

def copied():
    """A copy of the data at another place leaves alone what the first rented, and its clusters, until it is told that it goes on."""
    with Renting(KIND) as s:
        assert s.cli("provider", "add", "cluster", "--kind", "slurm").returncode == 0
        name = s.order()
        ready(s, name)
        machine = s.cloud.living()[0]["id"]
        s.kill()
        copy = s.folder / "copy"
        shutil.copytree(s.data, copy, symlinks=True, ignore=lambda d, names: [n for n in names if n.endswith(".sock") or n == "run"])
        s.data = copy
        s.start()
        s.wait(lambda: s.rentals()[0]["state"] == "former", "the rental is not known as another's")
        time.sleep(15)  # lists and sweeps pass by
        assert [m["id"] for m in s.cloud.living()] == [machine], s.cloud.machines()
        assert "cluster is left alone: this is a copy" in s.output(), s.output()[-3000:]
        said = s.cli("provider", "add", "another", "--kind", "slurm")
        assert said.returncode == 1 and "freehold provider take-over" in said.stderr, said
        said = s.cli("provider", "take-over")
        assert said.returncode == 0 and "goes on" in said.stdout, said
        s.wait(lambda: s.rentals()[0]["state"] == "wanted", "the rental is not taken over")
        assert "nothing to take over" in s.cli("provider", "take-over").stdout
        assert s.cli("provider", "add", "another", "--kind", "slurm").returncode == 0
        assert s.cli("provider", "remove", "cluster").returncode == 0
        stop(s, name)
        s.cloud.check()


CHECKS = (("a machine is rented, joins, serves and is given back; its bill is explained", plain),
          ("limits that cannot be kept are refused", what_is_refused),
          ("faults at every call", faults),
          ("a machine that never starts is given back, and the next-best is rented", never_starts),
          ("a machine that is taken away is followed by another", taken_away),
          ("a machine without freehold gets it from where it is told", gets_the_program),
          ("a machine whose server is gone ends itself", ends_itself),
          ("a copied database leaves machines alone until it is told to go on", copied))


def main():
    need_starter()
    tap = Tap()
    some = KIND == "skypilot" and "--whole" not in sys.argv  # what the others show for each provider
    with ThreadPoolExecutor(AT_ONCE) as pool:  # they wait most of the time, each for a cloud of its own
        for name, done in [(name, pool.submit(check)) for name, check in CHECKS if not some or check in (plain, ends_itself)]:
            tap.check(name, done.result)
    if not some:
        tap.check("kill -9 at each recorded step", killed_at_each_step)
    tap.end()


if __name__ == "__main__":
    main()
