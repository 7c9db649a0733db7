#!/usr/bin/env python3
"""Starts a server and runs anthropic_node.mjs against it with the official @anthropic-ai/sdk package for Node, which npm puts into the cache. Prints TAP."""
import os
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from freehold import Server, need_starter
from node import package


def main():
    need_starter()
    entry = package("@anthropic-ai/sdk", "1.12.0", "index.mjs")
    with Server() as server:
        server.deploy()
        done = subprocess.run(["node", str(Path(__file__).with_name("anthropic_node.mjs"))], env={**os.environ, "ANTHROPIC_PACKAGE": str(entry), "BASE_URL": server.url, "KEY": server.key})
    sys.exit(done.returncode)


main()
