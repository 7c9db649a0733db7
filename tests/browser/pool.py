#!/usr/bin/env python3
"""Runs pool.mjs in a network of its own, with two more machines on it (tests/node/hosts.py). Prints TAP."""
import json
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "node"))
sys.path.insert(0, str(HERE.parent / "support"))
import hosts
from freehold import Tap


def main():
    subprocess.run([HERE.parent / "tools/node-packages", "browser"], capture_output=True)  # inside there is no registry; what fails here is told there
    why = hosts.enter()
    if why:
        Tap.skip_all(why)
    machines = [hosts.Host(name, number) for number, name in enumerate(("cheap", "dear"), 2)]
    inside = {host.name: host.inside for host in machines}
    done = subprocess.run([HERE / "run", "pool.mjs"], env={**os.environ, "FREEHOLD_HOSTS": json.dumps(inside), "FREEHOLD_POOL": hosts.SERVER})
    for host in machines:
        host.end()
    sys.exit(done.returncode)


main()
