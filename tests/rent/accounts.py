#!/usr/bin/env python3
"""Accounts that machines are rented of, by the real server: added, checked, in plans, removed; their key nowhere but in its file and in the requests to the provider. The
providers are fakes. Prints TAP."""
import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE / "fakes"), str(HERE.parent / "support")]
from account import KEY
from freehold import Server, Tap, need_starter

FAKES = {"runpod": ("runpod.py", 36), "vast": ("vast.py", 6), "lambda": ("lambda_cloud.py", 4)}


class Accounts:
    def __init__(self, server):
        self.server, self.fakes = server, {}
        self.key = server.folder / "account.key"
        self.key.write_text(KEY + "\n")
        self.key.chmod(0o600)
        for kind, (file, _) in FAKES.items():
            process = subprocess.Popen([sys.executable, str(HERE / "fakes" / file)], stdout=subprocess.PIPE, text=True)
            self.fakes[kind] = (process, f"http://127.0.0.1:{int(process.stdout.readline())}")

    def stop(self):
        for process, _ in self.fakes.values():
            process.kill()
            process.wait()
            process.stdout.close()

    def body(self, kind, **more):
        return {"name": f"my-{kind}", "kind": kind, "url": self.fakes[kind][1], "key_file": str(self.key), **more}

    def post(self, path, body):
        status, _, reply = self.server.request("POST", path, body)
        return status, json.loads(reply)

    def refused(self, field, **more):
        status, said = self.post("/api/v1/providers", {**self.body("runpod"), **more})
        assert status in (400, 403, 404) and (field is None or said.get("param") == field or field in said["detail"]), (status, said)
        return said

    def are_added_and_checked(self):
        for kind, (_, offers) in FAKES.items():
            done = self.server.cli("provider", "add", f"my-{kind}", "--kind", kind, "--url", self.fakes[kind][1], "--key-file", str(self.key))
            assert f"my-{kind} is added: {offers} offers" in done.stdout, done
            assert f"my-{kind} answers: {offers} offers" in self.server.cli("provider", "check", f"my-{kind}").stdout
        listed = json.loads(self.server.cli("provider", "list", "--json").stdout)["items"]
        assert {p["name"]: p["offers"] for p in listed} == {f"my-{k}": n for k, (_, n) in FAKES.items()}, listed
        assert all(p["key_file"] == str(self.key) and p["trust"] == "rented" and p["models"] == [] for p in listed), listed

    def bad_input_is_told(self):
        self.refused("key", key="abc")
        self.refused("key_file", key_file="relative")
        self.refused("key_file", key_file=None)
        self.refused("url", url="https://example.com")
        self.refused("kind", kind="amazon")
        self.refused(None, key_file=str(self.server.folder / "none"))
        self.key.chmod(0o644)
        assert "chmod 600" in json.dumps(self.refused(None, name="other"))
        self.key.chmod(0o600)
        wrong = self.server.folder / "wrong.key"
        wrong.write_text("wrong\n")
        wrong.chmod(0o600)
        status, said = self.post("/api/v1/providers", self.body("vast", name="other", key_file=str(wrong)))
        assert status == 502 and "401" in said["detail"] and "wrong" not in said["detail"], (status, said)

    def stand_in_plans(self):
        status, said = self.post("/api/v1/plans", {"model": "glm-5.3", "context_tok": 131072, "streams": 4})
        assert status == 200, said
        of = lambda place: [p for p in said["plans"] if p["place"] == f"provider/my-{place}"]
        eight = next(p for p in of("vast") if p["name"] == "71001")
        assert eight["hour_nusd"] == 27_500_000_000 and eight["host"] == "8 x H200 SXM 141 GB" and eight["region"] == "Sweden, SE", eight
        assert [p["hour_nusd"] for p in of("runpod") if p["name"] == "NVIDIA H200|SECURE|8"] == [31_933_889_000], of("runpod")
        told = {p["name"]: p for p in said["providers"]}
        assert [told["my-vast"][k] for k in ("offers", "planned", "error", "note")] == [6, 5, None, None], told
        assert "the bill goes on" in told["my-lambda"]["note"] and told["my-lambda"]["planned"] == 4, told
        text = self.server.cli("plan", "glm-5.3", "--context", "131072").stdout
        assert "provider/my-vast" in text and "without 1 of the 6 offers of provider/my-vast" in text, text

    def one_that_does_not_answer_is_told(self):
        process, _ = self.fakes["vast"]
        process.kill()
        process.wait()
        self.server.stop()
        self.server.start()  # offers that are a moment old would do
        status, said = self.post("/api/v1/plans", {"model": "glm-5.3"})
        told = {p["name"]: p for p in said["providers"]}
        assert status == 200 and told["my-vast"]["offers"] is None and "does not answer" in told["my-vast"]["error"] and told["my-lambda"]["offers"] == 4, (status, told)

    def leave_no_key_behind(self):
        for kind in FAKES:
            assert self.server.cli("provider", "remove", f"my-{kind}").returncode == 0
        self.server.stop()
        with sqlite3.connect(self.server.data / "freehold.db") as db:
            assert db.execute("SELECT count(*) FROM providers").fetchone()[0] == 0
        for file in self.server.folder.rglob("*"):
            if file.is_file() and file != self.key:
                assert KEY.encode() not in file.read_bytes(), f"the key stands in {file}"
        self.server.start()


def main():
    need_starter()
    tap = Tap()
    with Server() as server:
        accounts = Accounts(server)
        try:
            tap.check("accounts are added and checked", accounts.are_added_and_checked)
            tap.check("bad input is told by its field", accounts.bad_input_is_told)
            tap.check("what they offer stands in plans, at its prices", accounts.stand_in_plans)
            tap.check("an account that does not answer is told of", accounts.one_that_does_not_answer_is_told)
            tap.check("the key is nowhere but in its file", accounts.leave_no_key_behind)
        finally:
            accounts.stop()
    tap.end()


main()
