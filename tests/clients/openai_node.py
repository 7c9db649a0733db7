#!/usr/bin/env python3
"""Starts a server and runs openai_node.mjs against it with the official openai package for Node, which npm puts into the cache. Prints TAP."""
import os
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from freehold import Server, need_starter
from node import package


def main():
    need_starter()
    entry = package("openai", "7.57.0", "index.mjs")
    with Server() as server:
        server.deploy()
        done = subprocess.run(["node", str(Path(__file__).with_name("openai_node.mjs"))], env={**os.environ, "OPENAI_PACKAGE": str(entry), "BASE_URL": server.url + "/v1", "KEY": server.key})
    sys.exit(done.returncode)


main()
