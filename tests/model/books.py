#!/usr/bin/env python3
"""Tables that define GGUF's types, and the fixtures that the kernels are held against, are what their scripts make of the format's own reader."""
import subprocess
import sys
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
MADE = {
    "src/kernel/ref/books.c": "src/kernel/ref/make-books.py",
    "tests/unit/kernel/dequant_fixture.h": "tests/unit/kernel/make_dequant_fixture.py",
}
print(f"1..{len(MADE)}")
failed = False
for n, (made, script) in enumerate(MADE.items(), 1):
    out = subprocess.run([sys.executable, TOP / script], capture_output=True)
    same = out.returncode == 0 and out.stdout == (TOP / made).read_bytes()
    failed |= not same
    print(f"{'ok' if same else 'not ok'} {n} - {made} is what {script} writes")
    if out.returncode:
        print("# " + out.stderr.decode(errors="replace").strip().replace("\n", "\n# "))
sys.exit(failed)
