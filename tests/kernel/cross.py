#!/usr/bin/env python3
"""The kernels of arm64, which this machine is not: they and their unit tests are cross-compiled and run by qemu's emulation of a processor, once of one with NEON's dot products, once of one
without, where the reference must be taken. Bounds are those of all other paths. What is emulated says nothing of speed. Prints TAP.

cross.py [FOLDER]: builds there (default: build-cross beside the sources)."""
import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
import instructions
from freehold import TOP, Tap

LIBC = Path("/usr/aarch64-linux-gnu")
PROGRAMS = ("product", "ops", "experts", "speed", "dequant", "layouts")  # the longest first
MISSING = {"aarch64-linux-gnu-gcc": "gcc-aarch64-linux-gnu", "qemu-aarch64": "qemu-user", "meson": "meson", "ninja": "ninja-build"}


def missing():
    packages = [package for program, package in MISSING.items() if not shutil.which(program)]
    return packages + (["libc6-dev-arm64-cross"] if not (LIBC / "include/stdio.h").is_file() else [])


def call(*words):
    environment = {name: value for name, value in os.environ.items() if name not in ("CC", "CFLAGS", "LDFLAGS")}
    ran = subprocess.run(words, cwd=TOP, env=environment, capture_output=True, text=True)
    assert ran.returncode == 0, f"{ran.stdout[-1500:]}\n{ran.stderr[-500:]}"


def build(folder):
    if not (folder / "build.ninja").is_file():
        call("meson", "setup", folder, "--buildtype=release", f"--cross-file={TOP}/tests/cross/aarch64.ini", "-Donly=kernel")
    call("ninja", "-C", folder)


def emulate(folder, name, processor):
    """Its output; what was not right is raised, with the lines that say so."""
    ran = subprocess.run(["qemu-aarch64", "-cpu", processor, "-L", LIBC, folder / f"tests/cross/test_{name}"], capture_output=True, text=True)
    wrong = re.findall(r"^(?:# .*\n)*not ok .*$", ran.stdout, re.M)
    passed, planned = len(re.findall(r"^ok ", ran.stdout, re.M)), re.search(r"^1\.\.(\d+)$", ran.stdout, re.M)
    assert ran.returncode == 0 and planned and passed == int(planned[1]), "\n".join(wrong) or f"status {ran.returncode}: {ran.stdout[-500:]} {ran.stderr[-500:]}"
    return ran.stdout


def passes(running):
    return f"{len(re.findall('^ok ', running.result(), re.M))} tests"


def has_dot_products(running):
    assert "# neon_dot: tested" in running.result(), running.result()


def falls_back(folder):
    said = emulate(folder, "layouts", "cortex-a53") + emulate(folder, "dequant", "cortex-a53") + emulate(folder, "speed", "cortex-a53")
    assert "# neon_dot: not here" in said, said


def main():
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else TOP / "build-cross").resolve()
    if packages := missing():
        Tap.skip_all(f"not here: {', '.join(packages)} (apt-get install {' '.join(packages)})")
    tap = Tap()
    tap.check("the kernels and their tests compile for arm64", build, folder)
    if not tap.failed:
        tap.check("neon_dot: no kernel takes more instructions than it did", instructions.hold, "neon_dot", instructions.disassembled, folder, "neon_dot")
        with ThreadPoolExecutor(2) as two:
            running = [(name, two.submit(emulate, folder, name, "max")) for name in PROGRAMS]
            for name, output in running:
                tap.check(f"arm64 with dot products: {name}", passes, output)
        tap.check("arm64 with dot products: it was their kernels that were tested", has_dot_products, dict(running)["ops"])
        tap.check("arm64 without dot products runs the reference", falls_back, folder)
    tap.end()


main()
