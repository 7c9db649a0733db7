#!/usr/bin/env python3
"""Imports that are stopped, and servers that die while one runs: what is left behind (nothing). Prints TAP."""
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from freehold import PATIENCE, PROGRAM, STARTER, Server, Tap, need_starter

GIGABYTES = 4  # of nothing behind the weights: sparse on the disk, and long enough to read and hash that a signal comes in the middle


def left(data):
    return [p.name for folder in ("import", "weights") if (data / folder).is_dir() for p in (data / folder).iterdir() if p.name.startswith((".staged-", ".tmp-"))]


def until(what, ready, seconds=PATIENCE):
    for _ in range(seconds * 100):
        if ready():
            return
        time.sleep(0.01)
    raise AssertionError(f"not within {seconds} s: {what}")


def main():
    need_starter()
    tap = Tap()
    with Server(start=False) as s:
        long = s.folder / "long.gguf"
        with open(long, "wb") as f:
            f.write(STARTER.read_bytes())
            f.truncate(GIGABYTES << 30)
        s.start()

        def begin(*flags):
            p = subprocess.Popen([str(PROGRAM), "import", str(long), *flags], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=s.environment())
            until("something is copied", lambda: any((s.data / "weights").glob(".tmp-*/*")) or p.poll() is not None)
            assert p.poll() is None, p.communicate()
            return p

        def stopped(p, number):
            p.send_signal(number)
            out, err = p.communicate(timeout=PATIENCE)
            assert p.returncode == 1 and "was stopped" in err and not out, (p.returncode, out, err)
            assert not left(s.data), left(s.data)

        def by_a_signal():
            for number in (signal.SIGINT, signal.SIGTERM):
                p = begin()
                assert [n for n in left(s.data) if n.startswith(".staged-")] == [f".staged-{p.pid}"], left(s.data)
                stopped(p, number)
            assert s.cli("import", str(STARTER)).returncode == 0, "the next one is not refused"

        def by_request():
            inside = s.data / "import/long.gguf"
            os.link(long, inside)
            job = s.json("POST", "/api/v1/weights", {"path": str(inside)})
            assert s.json("DELETE", "/api/v1/weights/imports/" + job["id"])["id"] == job["id"]
            until("it has ended", lambda: s.json("GET", "/api/v1/weights/imports/" + job["id"])["state"] == "failed")
            assert "stopped" in s.json("GET", "/api/v1/weights/imports/" + job["id"])["error"] and inside.exists() and not left(s.data)
            inside.unlink()

        def by_a_crash():
            p = begin()
            s.kill()
            p.kill()
            p.communicate()
            assert len(left(s.data)) == 2, left(s.data)
            (s.data / "import/.staged-mine").mkdir()
            s.start()
            assert left(s.data) == [".staged-mine"], left(s.data)
            (s.data / "import/.staged-mine").rmdir()
            s.stop()

        def without_a_server():
            stopped(begin("--data", str(s.data)), signal.SIGINT)

        for fn, text in [(by_a_signal, "a signal stops an import, here and in the server, and clears away"), (by_request, "an import is stopped by request"),
                         (by_a_crash, "what client and server left when both were killed goes with the next start"), (without_a_server, "a signal clears away without a server too")]:
            tap.check(text, fn)
    tap.end()


if __name__ == "__main__":
    main()
