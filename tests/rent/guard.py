#!/usr/bin/env python3
"""The cost guard, `freehold guard`, as a process beside a real server that rents of fake accounts whose machines really run: the server is killed, and the guard ends what it
left; limits pass; others' machines stay; and what the server says before it rents. Prints TAP."""
import json
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

from rented import KEY, LAG, PATIENCE, Renting
from freehold import PROGRAM, Tap, need_starter

SILENCE = 4  # seconds
AT_ONCE = 3  # servers


class Guarded(Renting):
    """A server that rents, and what a guard elsewhere has: a key of its own, a folder, the account's key."""

    def __enter__(self):
        super().__enter__()
        self.guard_key = self.folder / "guard.key"
        self.guard_key.write_text(self.json("POST", "/api/v1/keys", {"name": "guard", "scope": "guard"})["key"])
        self.guard_key.chmod(0o600)
        self.guards = []
        return self

    def __exit__(self, *args):
        for g in self.guards:
            g.kill()
            g.wait()
        super().__exit__(*args)

    def command(self, *flags, folder="guard", provider="cloud"):
        account = [] if self.kind == "skypilot" else ["--url", self.cloud.url, "--key-file", str(self.account_key)]
        return [str(PROGRAM), "guard", provider, "--kind", self.kind, *account, "--server", self.url, "--data", str(self.folder / folder), "--silence", f"{SILENCE}s", *flags]

    def env(self):
        return {**self.environment(), "FREEHOLD_KEY_FILE": str(self.guard_key)}

    def once(self, *flags, **more):
        """What one round says, as JSON; and its exit status."""
        done = subprocess.run(self.command("--once", "--json", *flags, **more), capture_output=True, text=True, env=self.env(), timeout=PATIENCE)
        assert KEY not in done.stdout + done.stderr
        return (json.loads(done.stdout) if done.stdout else {"stderr": done.stderr}), done.returncode

    def watch(self, *flags):
        g = subprocess.Popen(self.command("--every", "1s", *flags), stdout=open(self.folder / "guard.out", "ab"), stderr=subprocess.STDOUT, env=self.env())
        self.guards.append(g)
        return g

    def said(self):
        return (self.folder / "guard.out").read_text()

    def rented(self, **limit):
        name = self.order(**limit)
        self.wait(lambda: self.cloud.living() and any(a["phase"] == "held" for r in self.rentals() for a in r["acts"]), "nothing is rented")
        time.sleep(LAG)  # every list shows it from now on
        return name

    def wait_gone(self, patience=PATIENCE):
        until = time.monotonic() + patience
        while self.cloud.living() and time.monotonic() < until:
            time.sleep(0.1)
        return self.cloud.check()


def a_dead_server():
    """Lambda's machines cannot end themselves: without the guard they would run on."""
    with Guarded("lambda") as s:
        quote = s.json("POST", "/api/v1/rentals/quote", {"model": "smollm2", "place": "provider/cloud"})
        assert quote["guarded_s"] is None and "the bill goes on" in quote["text"], quote
        s.watch()
        s.wait(lambda: "the server is heard" in s.said(), "the guard does not hear the server")
        quote = s.json("POST", "/api/v1/rentals/quote", {"model": "smollm2", "place": "provider/cloud"})
        assert quote["guarded_s"] == SILENCE and not quote["ends_itself"] and f"a guard ends it when this server was not heard for {SILENCE} s" in quote["text"], quote
        told = s.json("POST", "/api/v1/plans", {"model": "glm-5.3"})["providers"][0]
        assert "a guard ends them" in told["note"], told
        name = s.rented()
        time.sleep(SILENCE + 2)  # a server that is heard keeps its machine
        assert s.cloud.living() and not any(w in s.said() for w in ("is ended", "not heard")), s.said()
        begun = time.monotonic()
        s.kill()
        s.wait_gone()
        took = time.monotonic() - begun
        assert took > SILENCE - 1.5, took
        s.wait(lambda: "is ended: its server was not heard" in s.said(), "the guard does not say what it did")
        s.start()  # it sees that, and goes on
        s.wait(lambda: s.cloud.living(), "no other machine is rented")
        s.json("DELETE", f"/api/v1/deployments/{name}")
        s.wait_over()
        s.cloud.check(machines=2)
        s.bills()
        s.no_key_about()
        return f"{took:.1f} s after the server was killed"


def a_guard_that_is_started_again():
    """By cron: each round is a process of its own, and what it knows is in its file. It knows nothing of a server that it never heard."""
    with Guarded("lambda") as s:
        s.rented()
        said, _ = s.once()
        assert said["server"] == "heard" and [m["state"] for m in said["machines"]] == ["left"] and said["others"] == 3, said
        assert "its limit is reached in" in said["machines"][0]["why"], said
        s.kill()
        said, status = s.once()
        assert said["server"] == "silent" and [m["state"] for m in said["machines"]] == ["left"], said
        time.sleep(1.5)
        for wait in (1.5, 1.5):
            said, status = s.once()
            time.sleep(wait)
        said, status = s.once("--dry-run")
        assert [m["state"] for m in said["machines"]] == ["would end"] and s.cloud.living(), said
        text = subprocess.run(s.command("--once", folder="other"), capture_output=True, text=True, env=s.env(), timeout=PATIENCE)
        assert "was never heard" in text.stdout and "machines: 0 of its own, 4 of others" in text.stdout and s.cloud.living(), text
        said, status = s.once()
        assert status == 0 and [m["state"] for m in said["machines"]] == ["ended"], said
        said, status = s.once()  # the list is behind, and shows it still
        assert [m["state"] for m in said["machines"]] in ([], ["left"]), said
        time.sleep(LAG)
        s.cloud.check(machines=1)
        assert s.once()[0]["machines"] == []


def faults_of_the_provider():
    with Guarded("lambda") as s:
        s.rented()
        s.once()
        s.kill()
        for _ in range(4):
            s.once("--dry-run")
            time.sleep(1.5)
        for call, kind in (("list", "500"), ("list", "garbled"), ("end", "before"), ("end", "busy"), ("end", "500")):
            s.cloud.fault(call, kind)
            said, status = s.once()
            assert status != 0 and said["error"] and s.cloud.living(), (call, kind, said)
        s.cloud.fault("end", "lost")  # it was ended, and nobody said so
        said, status = s.once()
        assert status != 0 and [m["state"] for m in said["machines"]] == ["failed"] and not s.cloud.living(), said
        s.once()
        time.sleep(LAG)
        assert s.once()[0]["machines"] == []
        s.cloud.check(machines=1)


def a_limit_that_the_server_does_not_keep():
    """Silence alone would be too short to end it."""
    with Guarded("lambda") as s:
        s.rented(seconds=600)
        said, _ = s.once("--silence", "7d")
        assert said["machines"][0]["why"].startswith("its limit is reached in"), said
        s.kill()
        memory = s.folder / "guard" / "cloud" / "memory.json"
        known = json.loads(memory.read_text())
        assert 0 < known["machines"][0]["ends_utc_ns"] - time.time_ns() < 600 * 10**9, known
        known["machines"][0]["ends_utc_ns"] = time.time_ns() - 115 * 10**9  # two minutes are long
        memory.write_text(json.dumps(known))
        until = time.monotonic() + PATIENCE
        while s.cloud.living() and time.monotonic() < until:
            said, _ = s.once("--silence", "7d")
            time.sleep(1)
        assert said["machines"][0]["why"].startswith("its limit was reached"), said
        s.cloud.check(machines=1)


def by_a_program():
    """SkyPilot's machines: the guard has a `sky` of its own, and no key."""
    with Guarded("skypilot") as s:
        s.rented()
        said, status = s.once()
        assert status == 0 and [m["state"] for m in said["machines"]] == ["left"], said
        s.kill()
        s.watch()
        s.wait(lambda: not s.cloud.living(), "its machine is not ended")
        s.cloud.check(machines=1)


def other_installations():
    """Two servers with one account: each one's guard ends its own machines alone."""
    with Guarded("vast") as s, Guarded("vast") as other:
        other.cloud.stop()
        other.cloud, own = s.cloud, other.cloud
        assert other.cli("provider", "remove", "cloud").returncode == 0
        other.account_key.write_text(KEY)
        other.add_account()
        try:
            s.rented()
            mine = s.cloud.living()[0]["id"]
            other.order()
            s.wait(lambda: len(s.cloud.living()) == 2, "the other rents nothing")
            s.watch()
            s.wait(lambda: "machines: 1 of its own, 4 of others" in s.said(), f"it does not know its own: {s.said()}")
            s.kill()
            s.wait(lambda: all(m["id"] != mine for m in s.cloud.living()), "its machine is not ended")
            time.sleep(SILENCE)
            assert len(s.cloud.living()) == 1 and all(m["gone"] is None for m in s.cloud.tell("/_truth")["machines"] if m["foreign"])
            other.json("DELETE", f"/api/v1/deployments/{other.deployments()[0]['name']}")
            other.wait_over()
        finally:
            other.cloud = own


def who_may_ask():
    with Guarded("runpod") as s:
        def ask(key, **body):
            status, _, said = s.request("POST", "/api/v1/rentals/guard", {"provider": "cloud", **body}, key=key)
            return status, json.loads(said)
        key = s.guard_key.read_text()
        status, said = ask(key)
        assert status == 200 and said["machines"] == [] and len(said["epochs"]) == 1 and said["kind"] == "runpod", said
        assert ask(s.key, silence_s=60)[0] == 200
        assert ask(key, provider="other")[0] == 404 and ask(key, silence_s=0)[0] == 400 and ask(key, silence=1)[0] == 400
        assert ask(s.json("POST", "/api/v1/keys", {"name": "u", "scope": "use"})["key"])[0] == 403
        for path in ("/api/v1/rentals", "/api/v1/providers", "/api/v1/deployments"):
            assert s.request("GET", path, key=key)[0] == 403, path
        said, status = s.once(provider="other")  # it is there, and says that it knows no such account
        assert status == 4 and said["server"] == "never heard" and "nothing is rented of a provider 'other'" in said["says"], (status, said)
        used = s.json("GET", "/api/v1/keys")["items"]
        gone = next(k["id"] for k in used if k["name"] == "guard")
        assert s.once()[0]["server"] == "heard"
        s.request("DELETE", f"/api/v1/keys/{gone}")
        said, status = s.once()
        assert status == 4 and said["server"] == "refuses" and said["silent_s"] == 0, (status, said)


def bad_words():
    with Guarded("lambda") as s:
        def wrong(status, word, *flags):
            done = subprocess.run([str(PROGRAM), "guard", *flags], capture_output=True, text=True, env=s.env(), timeout=PATIENCE)
            assert done.returncode == status and word in done.stderr, (flags, done)
        key = ["--key-file", str(s.account_key)]
        wrong(2, "PROVIDER")
        wrong(2, "of which kind", "cloud", *key)
        wrong(2, "of which kind", "cloud", "--kind", "amazon", *key)
        wrong(2, "the account's key is wanted", "cloud", "--kind", "lambda")
        wrong(2, "--url is not needed", "cloud", "--kind", "lambda", *key, "--url", "https://example.com")
        wrong(2, "--url is not needed", "cloud", "--kind", "lambda", *key, "--url", "http://example.com")
        wrong(2, "more often", "cloud", "--kind", "lambda", *key, "--every", "1h")
        wrong(2, "--silence wants a time", "cloud", "--kind", "lambda", *key, "--silence", "8d")
        wrong(2, "at least 1s", "cloud", "--kind", "lambda", *key, "--silence", "0s")
        s.account_key.chmod(0o644)
        wrong(4, "chmod 600", "cloud", "--kind", "lambda", *key, "--once")
        s.account_key.chmod(0o600)
        g = s.watch()
        s.wait(lambda: (s.folder / "guard.out").exists() and "the server is heard" in s.said(), "the guard does not start")
        said, status = s.once()
        assert status != 0 and "another `freehold guard`" in said["stderr"], said
        g.terminate()
        assert g.wait(PATIENCE) == 0
        memory = s.folder / "guard" / "cloud" / "memory.json"
        assert oct(memory.stat().st_mode & 0o777) == "0o600"
        memory.write_text('{"installation": 7')
        said, status = s.once()
        assert status != 0 and "memory.json" in said["stderr"], said


CHECKS = (("a server is killed, and its guard ends what it left", a_dead_server),
          ("a guard that is started for each round goes on with what it knew", a_guard_that_is_started_again),
          ("what fails at the provider is told, and tried again", faults_of_the_provider),
          ("a machine whose limit has passed is ended", a_limit_that_the_server_does_not_keep),
          ("machines that a program rents are guarded too", by_a_program),
          ("other installations' machines are not touched", other_installations),
          ("who may ask as a guard, and what for", who_may_ask),
          ("bad words are told of", bad_words))


def main():
    need_starter()
    tap = Tap()
    with ThreadPoolExecutor(AT_ONCE) as pool:  # they wait most of the time
        for name, done in [(name, pool.submit(check)) for name, check in CHECKS]:
            tap.check(name, done.result)
    tap.end()


if __name__ == "__main__":
    main()
