#!/usr/bin/env python3
"""How many instructions kernels take, held against what they took before: a check of speed that needs no clock. The reference and AVX2 run under callgrind; AVX-512 and AMX, which it cannot run,
are counted where they lie: in the innermost loops that gcc made; so is NEON, where cross.py has built it. Bounds are those of one compiler and its release build, and nothing is held against them of others. Prints TAP.

instructions.py [--write] [PROGRAM]: --write makes instructions.txt anew from what is built. PROGRAM: build/tests/kernel/kernel_one_of_each, of that build's folder."""
import collections
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from freehold import TOP, Skip, Tap

KEPT = Path(__file__).resolve().with_suffix(".txt")
COMPILER = "GCC 12"
SLACK, SLACK_MORE = 0.03, 1  # patch versions of a compiler choose a move more or less: 3 % and one instruction
RUN = ("ref", "avx2")
# Loops are known by how often they have an instruction: object, functions, instruction, how many of it a block has for each row of activations, name of what they do.
LOOPS = {
    "avx512_vnni": (
        ("avx512", "x86_product_avx512", r"product_(\w+)", "vpdpbusd", 8, "product {} x{}"),
        ("avx512", "lanes_product_float", r"stretch", "vfmadd", 4, "product of floats, {1} times 4 fma"),
        ("avx512", "lanes_vector_ops", r"fh_avx512_quantise", "vpmovsdb", 2, "quantise, {1} block"),
        ("avx512", "lanes_attend", r"fh_avx512_attend", "vfmadd", 4, "attend, {1} times 4 fma"),
    ),
    "amx": (
        ("amx", "x86_product_amx", r"expand_(\w+)", "vcvtne2ps2bf16", 16, "expand {}, {} block"),
        ("amx", "x86_product_amx", r"multiply", "tdpbf16ps", 2, "tiles of 2 groups x{1}"),
    ),
    "neon_dot": (("neon", "arm_product_neon", r"product_(\w+)", "sdot", 32, "product {} x{}"), ("neon", "lanes_attend", r"fh_neon_attend", "fmla", 4, "attend, {1} times 4 fma")),
}
HERE = ("avx512_vnni", "amx")
OBJECT = {"neon_dot": "tests/cross/libfh_kernel_{}.a.p/.._.._src_kernel_{}.c.o"}
PREFIX = {"neon_dot": "aarch64-linux-gnu-"}  # of the tools that read its objects


# ---- run ----

def executed(program, isa):
    """Instructions a block of each operation: what the longer of two runs takes more, so that what comes before and after does not count."""
    if not shutil.which("valgrind"):
        raise Skip("no valgrind here: apt-get install valgrind")
    environment = {**os.environ, "FREEHOLD_ISA": isa, "LD_BIND_NOW": "1"}
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out"
        ran = subprocess.run(["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", "--toggle-collect=counted", "--dump-after=counted", program],
                             env=environment, capture_output=True, text=True)
        if "this processor lacks it" in ran.stderr:
            raise Skip("this processor lacks it")
        assert ran.returncode == 0, ran.stderr[-1000:]
        runs = [line.split("\t") for line in ran.stdout.splitlines()]
        totals = [int(re.search(r"^totals: (\d+)", Path(f"{out}.{i + 1}").read_text(), re.M)[1]) for i in range(len(runs))]
    counts = {}
    for i in range(0, len(runs), 2):
        (name, short), (same, long) = runs[i], runs[i + 1]
        assert name == same
        counts[name] = (totals[i + 1] - totals[i]) / (int(long) - int(short))
    return counts


# ---- read ----

def functions(objdump, path):
    """(name, its instructions as (address, text)) of an object file."""
    said = subprocess.run([objdump, "-d", "--no-show-raw-insn", path], capture_output=True, text=True, check=True).stdout
    code = []
    for line in said.splitlines():
        if begins := re.match(r"[0-9a-f]+ <(.+)>:$", line):
            code = []
            yield begins[1], code
        elif instruction := re.match(r"\s*([0-9a-f]+):\s+(.+)$", line):
            code.append((int(instruction[1], 16), instruction[2]))


def innermost_loops(code):
    """The instructions of each loop that has none inside: from where a branch leads back to, to that branch."""
    ends = set()
    for address, text in code:
        branch = re.match(r"(?:j\w+|b|b\.\w+|cbn?z|tbn?z)\s(?:.*, )?\s*([0-9a-f]+) <", text)
        if branch and int(branch[1], 16) <= address:
            ends.add((int(branch[1], 16), address))
    for first, last in sorted(ends):
        if not any((a, b) != (first, last) and first <= a and b <= last for a, b in ends):
            yield [text for address, text in code if first <= address <= last]


def disassembled(build, isa):
    """Instructions of each loop: of several that are known by the same, in the order of their length."""
    found = collections.defaultdict(list)
    for library, source, name, instruction, per_row, label in LOOPS[isa]:
        path = build / OBJECT.get(isa, "src/libfh_kernel_{}.a.p/kernel_{}.c.o").format(library, source)
        if not path.is_file():
            raise Skip("this build has no code for it")
        if (by := compiler_of(path)) != COMPILER:
            raise Skip(f"bounds are kept for {COMPILER}, this was compiled by {by}")
        for function, code in list(functions(PREFIX.get(isa, "") + "objdump", path)):
            match = re.fullmatch(name, function)
            for body in innermost_loops(code) if match else ():
                times = sum(text.startswith(instruction) for text in body)
                if times and times % per_row == 0:
                    found[label.format(*(match.groups() or ("",)), times // per_row)].append(len(body))
    return {name + (f" ({i + 1})" if i else ""): count for name, counts in sorted(found.items()) for i, count in enumerate(sorted(counts))}


# ---- hold ----

def measure(program, isa):
    return executed(program, isa) if isa in RUN else disassembled(program.parents[2], isa)


def measure_all(program, kept):
    """Of what is not built here, what is kept."""
    counts = {isa: measure(program, isa) for isa in (*RUN, *HERE)}
    try:
        counts["neon_dot"] = disassembled(program.parents[2] / "cross-aarch64", "neon_dot")
    except Skip:
        counts["neon_dot"] = kept["neon_dot"]
    return counts


def compiler_of(program):
    said = subprocess.run(["readelf", "-p", ".comment", program], capture_output=True, text=True).stdout
    by = re.search(r"(GCC|clang)[^.\n]*?(\d+)\.", said)
    return f"{by[1]} {by[2]}" if by else "an unknown compiler"


def foreign(program):
    """Why the bounds do not hold here, or None."""
    options = {o["name"]: o["value"] for o in json.loads((program.parents[2] / "meson-info/intro-buildoptions.json").read_text())}
    if options["buildtype"] != "release" or options["b_sanitize"] != "none":
        return "bounds are kept for release builds"
    by = compiler_of(program)
    return None if by == COMPILER else f"bounds are kept for {COMPILER}, this was compiled by {by}"


def read_kept():
    kept = collections.defaultdict(dict)
    for line in KEPT.read_text().splitlines() if KEPT.exists() else ():
        if line and not line.startswith("#"):
            isa, count, name = line.split(maxsplit=2)
            kept[isa][name] = float(count)
    return kept


def write_kept(program):
    lines = ["# Instructions a block of 32 columns (products: of 16 rows) or of 32 keys, with as many rows of activations or queries as stand behind x; of a loop for AVX-512, AMX and NEON, whose further loops for the",
             f"# same have a number. {COMPILER}, release build. Made by tests/kernel/instructions.py --write; held by that without --write."]
    for isa, counts in measure_all(program, read_kept()).items():
        lines += [f"{isa:11} {count:9.1f}  {name}" for name, count in counts.items()]
    KEPT.write_text("\n".join(lines) + "\n")


def hold(isa, measure_isa, *args):
    kept, now = read_kept()[isa], measure_isa(*args)
    wrong = [(name, bound, now.get(name)) for name, bound in kept.items() if name not in now or now[name] > bound * (1 + SLACK) + SLACK_MORE]
    new = [(name, None, count) for name, count in now.items() if name not in kept]
    if wrong or new:
        print(f"# {isa:40} {'kept':>9} {'now':>9}")
        for name, bound, count in wrong + new:
            print(f"# {name:40} {'none' if bound is None else f'{bound:.1f}':>9} {'none' if count is None else f'{count:.1f}':>9}")
    assert not wrong, f"{len(wrong)} of {len(kept)} take more instructions than are kept, or are not there: say why in the commit that runs tests/kernel/instructions.py --write, or mend them"
    assert not new, f"{len(new)} are not kept: tests/kernel/instructions.py --write"
    fewer = sum(now[name] < bound * (1 - SLACK) - SLACK_MORE for name, bound in kept.items())
    return f"{len(kept)} counts" + (f"; {fewer} are lower than kept: tests/kernel/instructions.py --write holds them there" if fewer else "")


def main():
    words = [w for w in sys.argv[1:] if w != "--write"]
    program = Path(words[0] if words else TOP / "build/tests/kernel/kernel_one_of_each").resolve()
    why = foreign(program) if shutil.which("objdump") else "no objdump and readelf here: apt-get install binutils"
    if "--write" in sys.argv[1:]:
        if why:
            sys.exit(f"instructions.py: {why}")
        write_kept(program)
        return
    if why:
        Tap.skip_all(why)
    tap = Tap()
    for isa in (*RUN, *HERE):
        tap.check(f"{isa}: no kernel takes more instructions than it did", hold, isa, measure, program, isa)
    tap.end()


if __name__ == "__main__":
    main()
