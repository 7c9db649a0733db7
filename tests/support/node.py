"""Packages for Node that tests need: npm puts each into the cache, in its version. Python's standard library only."""
import os
import subprocess
from pathlib import Path

from freehold import Tap


def package(name, version, entry):
    """Path of the package's entry file; skips the whole program, with npm's reason, when it cannot be had."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / f"freehold/node-{name.strip('@').replace('/', '-')}-{version}"
    file = cache / "node_modules" / name / entry
    if not file.is_file():
        cache.mkdir(parents=True, exist_ok=True)
        done = subprocess.run(["npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", str(cache), f"{name}@{version}"], capture_output=True, text=True)
        if done.returncode:
            Tap.skip_all(f"npm could not install {name}: " + (done.stderr.strip().splitlines() or ["?"])[-1])
    return file
