#!/usr/bin/env python3
"""Starts a server and runs openai_node.mjs against it with the official openai package for Node, which npm puts into the cache. Prints TAP."""
import os
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from freehold import Server, Tap, need_starter

VERSION = "7.57.0"


def package():
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / f"freehold/node-openai-{VERSION}"
    entry = cache / "node_modules/openai/index.mjs"
    if not entry.is_file():
        cache.mkdir(parents=True, exist_ok=True)
        done = subprocess.run(["npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", str(cache), f"openai@{VERSION}"], capture_output=True, text=True)
        if done.returncode:
            Tap.skip_all("npm could not install openai: " + (done.stderr.strip().splitlines() or ["?"])[-1])
    return entry


def main():
    need_starter()
    entry = package()
    with Server() as server:
        server.deploy()
        done = subprocess.run(["node", str(Path(__file__).with_name("openai_node.mjs"))], env={**os.environ, "OPENAI_PACKAGE": str(entry), "BASE_URL": server.url + "/v1", "KEY": server.key})
    sys.exit(done.returncode)


main()
