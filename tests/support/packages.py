"""Debian packages that a test needs, installed where that may be done."""
import fcntl
import os
import shutil
import subprocess
import tempfile
from pathlib import Path


def install(packages, are_here):
    """Does nothing where it may not be done, or they are here by the time it is this test's turn: others may install at once, and apt-get refuses all but one."""
    if are_here() or os.geteuid() != 0 or not shutil.which("apt-get"):
        return
    with (Path(tempfile.gettempdir()) / "freehold-tests-packages.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if are_here():
            return
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        for words in (["update", "-qq"], ["install", "-y", "-qq", "--no-install-recommends", *packages]):
            subprocess.run(["apt-get", *words], env=environment, stdin=subprocess.DEVNULL, capture_output=True, timeout=600)
