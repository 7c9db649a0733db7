#!/usr/bin/env python3
"""Writes dequant_fixture.h: one block of every type with random bytes, and what the format's own reader (gguf, PyPI) makes of it.

Run: python3 make_dequant_fixture.py > dequant_fixture.h   (needs gguf and numpy; 0.19.0 was used)"""
import gguf
import numpy as np

TYPES = "F16 BF16 Q4_0 Q4_1 Q5_0 Q5_1 Q8_0 Q4_K Q5_K Q6_K".split()
WITH_MIN = ("Q4_1", "Q5_1", "Q4_K", "Q5_K")
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
    else:
        at = 208 if name == "Q6_K" else 0
        raw[at : at + 2] = half(0.0173)
        if name in WITH_MIN:
            raw[2:4] = half(-0.271)
    values = raw.view(np.float16).astype(np.float32) if name == "F16" else gguf.quants.dequantize(raw.reshape(1, -1), quant)
    return raw, values.reshape(-1).view(np.uint32), elems


def rows(items, form, width):
    text = [form.format(int(i)) for i in items]
    return ",\n     ".join(", ".join(text[i : i + width]) for i in range(0, len(text), width))


print("/* Made by make_dequant_fixture.py from the gguf Python package. */\n/* clang-format off */")
print("static const struct {\n    fh_type type;\n    size_t elems;\n    uint8_t bytes[210];\n    uint32_t floats[256]; /* bits */\n} dequant_fixture[] = {")
for name in TYPES:
    raw, values, elems = block(name)
    print(f"    {{FH_TYPE_{name}, {elems},\n     {{{rows(raw, '{}', 32)}}},\n     {{{rows(values, '0x{:08x}', 12)}}}}},")
print("};")
