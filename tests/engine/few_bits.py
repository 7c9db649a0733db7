#!/usr/bin/env python3
"""Whole models in types of few bits: small-text as llama.cpp's own llama-quantize makes it, the serving path held against `--exact` of the same file on each instruction set. The bounds
are what llama.cpp (0.3.36's interface, Debian's build) showed against the same exact logits of the same 1,000 tokens. few_bits.py [--whole]: all types, not just those that are made in a
second. Prints TAP.

FREEHOLD_SMALL_TEXT: the folder of small-text-f16.gguf; without it, shared/data/small-text beside the repository."""
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import gguf
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from freehold import PROGRAM, TOP, Tap

SMALL_TEXT = Path(os.environ.get("FREEHOLD_SMALL_TEXT") or TOP.parent / "shared/data/small-text")
F16 = SMALL_TEXT / "small-text-f16.gguf"
TOKENS = 1000
QUICK = ("Q2_K", "TQ1_0", "TQ2_0", "MXFP4_MOE")
BOUNDS = {  # mean KL divergence of llama.cpp, and in how many of the positions it has the same top token
    "Q2_K": (0.000349, 0.979),
    "Q3_K_S": (0.000309, 0.986),
    "IQ4_NL": (0.000095, 0.985),
    "IQ4_XS": (0.000286, 0.985),
    "IQ3_S": (0.000319, 0.985),
    "IQ3_XXS": (0.000299, 0.978),
    "TQ1_0": (0.000886, 0.957),
    "TQ2_0": (0.000886, 0.957),
    "MXFP4_MOE": (0.000096, 0.985),
    "IQ2_XXS": (0.000357, 0.985),
    "IQ2_XS": (0.000342, 0.985),
}


def peer():
    found = subprocess.run([TOP / "tests/tools/peers", "find", "llama.cpp"], capture_output=True, text=True)
    program = Path(found.stdout.partition("bin=")[2].partition("\n")[0]) / "llama-quantize"
    return program if found.returncode == 0 and program.is_file() else None


def importance(to):
    """The smallest types want to know which columns matter: all the same."""
    writer = gguf.GGUFWriter(to, "")
    writer.add_type("imatrix")
    writer.add_array("imatrix.datasets", ["none"])
    writer.add_uint32("imatrix.chunk_count", 1)
    writer.add_uint32("imatrix.chunk_size", 512)
    for t in gguf.GGUFReader(F16).tensors:
        if len(t.shape) == 2:
            writer.add_tensor(t.name + ".in_sum2", np.ones((1, int(t.shape[0])), dtype=np.float32))
            writer.add_tensor(t.name + ".counts", np.ones((1, 1), dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def log_softmax(x):
    x = x - x.max(axis=1, keepdims=True)
    return x - np.log(np.exp(x).sum(axis=1, keepdims=True))


class Lab:
    def __init__(self, folder, quantize):
        self.folder, self.quantize = folder, quantize
        text = (SMALL_TEXT / "held-out.txt").read_bytes()[:6000]
        ids = subprocess.run([PROGRAM, "tokenize", "--model", F16], input=text, capture_output=True, check=True).stdout.split()[:TOKENS]
        (folder / "tokens").write_bytes(b" ".join(ids))
        importance(folder / "importance.gguf")

    def logits(self, model, exact, isa):
        out = self.folder / "logits"
        subprocess.run([PROGRAM, "eval", "--model", model, "--tokens", self.folder / "tokens", "--logits", out] + ["--exact"] * exact,
                       env={**os.environ, "FREEHOLD_ISA": isa}, stdout=subprocess.DEVNULL, check=True)
        return np.fromfile(out, dtype=np.float32).reshape(TOKENS, -1).astype(np.float64)

    def hold(self, kind):
        model, (most, least) = self.folder / f"{kind}.gguf", BOUNDS[kind]
        subprocess.run([self.quantize, "--imatrix", self.folder / "importance.gguf", "--pure", F16, model, kind], check=True, capture_output=True)
        exact = log_softmax(self.logits(model, True, ""))
        said = []
        for isa in [i for i in ("avx2", "avx512_vnni") if subprocess.run([PROGRAM, "eval", "--model", model, "--text", os.devnull], env={**os.environ, "FREEHOLD_ISA": i},
                                                                          capture_output=True).stderr.find(b"this processor lacks it") < 0]:
            fast = log_softmax(self.logits(model, False, isa))
            mean, same = (np.exp(exact) * (exact - fast)).sum(axis=1).mean(), (exact.argmax(axis=1) == fast.argmax(axis=1)).mean()
            said.append(f"{isa}: mean KL {mean:.6f}, same top token {100 * same:.1f} %")
            assert mean <= most and same >= least, f"{said[-1]}; bounds are {most} and {100 * least} %"
        model.unlink()
        return "; ".join(said)


def main():
    quantize = peer()
    if not F16.is_file():
        Tap.skip_all(f"{F16} is not here: FREEHOLD_SMALL_TEXT names its folder")
    if not quantize:
        Tap.skip_all("no llama-quantize of llama.cpp here: tests/tools/peers says how to get llama.cpp")
    tap = Tap()
    with tempfile.TemporaryDirectory() as folder:
        lab = Lab(Path(folder), quantize)
        for kind in BOUNDS if "--whole" in sys.argv[1:] else QUICK:
            tap.check(f"{kind}: the serving path is as near to the exact one as llama.cpp's", lab.hold, kind)
    tap.end()


main()
