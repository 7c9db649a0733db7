#!/usr/bin/env python3
"""Writes dequant_fixture.h: one block of every type with random bytes, and what the format's own reader (gguf, PyPI) makes of it; then, of
many blocks of random bytes all through (so scales are anything: infinite, no number, subnormal), a hash of what it makes of them.

Run: python3 make_dequant_fixture.py > dequant_fixture.h   (needs gguf and numpy; 0.19.0 was used)"""
import gguf
import numpy as np

TYPES = (
    "F16 BF16 Q4_0 Q4_1 Q5_0 Q5_1 Q8_0 Q4_K Q5_K Q6_K Q2_K Q3_K IQ4_NL IQ4_XS MXFP4 TQ1_0 TQ2_0 "
    "IQ2_XXS IQ2_XS IQ2_S IQ3_XXS IQ3_S IQ1_S IQ1_M".split()
)
SCALE_AT = {"Q6_K": 208, "Q2_K": 80, "Q3_K": 108, "TQ1_0": 52, "TQ2_0": 64}  # elsewhere a block begins with its scale
WITH_MIN = ("Q4_1", "Q5_1", "Q4_K", "Q5_K", "Q2_K")
BLOCKS = 512  # that are hashed
rng = np.random.default_rng(20261124)


def half(value):
    return np.array([value], dtype=np.float16).view(np.uint8)


def block(name):
    quant = gguf.GGMLQuantizationType[name]
    elems, size = gguf.GGML_QUANT_SIZES[quant]
    raw = rng.integers(0, 256, size=size, dtype=np.uint8)
    if name == "F16":
        raw = half(-0.333)
    elif name == "BF16":
        raw = np.array([0x5A, 0xBE], dtype=np.uint8)
    elif name == "MXFP4":
        raw[0] = 120
    elif name == "IQ1_M":  # its half float lies in four parts
        for i, digit in enumerate((0xE, 0x6, 0x4, 0x2)):
            raw[49 + 2 * i] = raw[49 + 2 * i] & 15 | digit << 4
    else:
        at = SCALE_AT.get(name, 0)
        raw[at : at + 2] = half(0.0173)
        if name in WITH_MIN:
            raw[at + 2 : at + 4] = half(-0.271)
    return raw, values_of(name, raw), elems


def values_of(name, raw):
    """Bits of the floats."""
    with np.errstate(all="ignore"):
        if name == "F16":
            values = raw.view(np.float16).astype(np.float32)
        else:
            values = gguf.quants.dequantize(raw.reshape(1, -1), gguf.GGMLQuantizationType[name])
    return values.reshape(-1).view(np.uint32)


def hash_of(name):
    """FNV-1a of the floats' bits; what is no number counts as one such. The bytes come from the generator of the test."""
    quant, seed, hashed, raw = gguf.GGMLQuantizationType[name], 88172645463325252, 0xCBF29CE484222325, bytearray()
    for _ in range(BLOCKS * gguf.GGML_QUANT_SIZES[quant][1]):
        seed = (seed ^ seed << 13) & 2**64 - 1
        seed ^= seed >> 7
        seed = (seed ^ seed << 17) & 2**64 - 1
        raw.append(seed >> 24 & 255)
    bits = values_of(name, np.frombuffer(bytes(raw), dtype=np.uint8).copy())
    bits = np.where(bits & 0x7FFFFFFF > 0x7F800000, 0x7FC00000, bits)
    for b in bits:
        hashed = (hashed ^ int(b)) * 0x100000001B3 & 2**64 - 1
    return hashed


def rows(items, form, width):
    text = [form.format(int(i)) for i in items]
    return ",\n     ".join(", ".join(text[i : i + width]) for i in range(0, len(text), width))


print("/* Made by make_dequant_fixture.py from the gguf Python package. */\n/* clang-format off */")
print("static const struct {\n    fh_type type;\n    size_t elems;\n    uint8_t bytes[210];\n    uint32_t floats[256]; /* bits */\n} dequant_fixture[] = {")
for name in TYPES:
    raw, values, elems = block(name)
    print(f"    {{FH_TYPE_{name}, {elems},\n     {{{rows(raw, '{}', 32)}}},\n     {{{rows(values, '0x{:08x}', 12)}}}}},")
print("};")
print(f"#define HASHED_BLOCKS {BLOCKS}")
print("static const struct {\n    fh_type type;\n    uint64_t hash;\n} dequant_hashes[] = {")
for name in TYPES:
    print(f"    {{FH_TYPE_{name}, 0x{hash_of(name):016x}}},")
print("};")
