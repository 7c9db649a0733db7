#!/usr/bin/env python3
"""Writes books.c: the codebooks and grids that define GGUF's types of few bits, as the format's own reader (gguf, PyPI) has them.

Run: python3 make-books.py > books.c   (needs gguf and numpy; 0.19.0 was used)"""
from gguf import quants

BOOK = 16  # entries of a codebook, so that one shuffle of bytes looks them up


def rows(items, width):
    text = [str(int(i)) for i in items]
    return ",\n    ".join(", ".join(text[i : i + width]) for i in range(0, len(text), width))


def book(name, values):
    values = [int(v) for v in values]
    print(f"    [FH_BOOK_{name}] = {{{rows(values + [0] * (BOOK - len(values)), BOOK)}}},")


def with_signs(values):
    """Codes are a place in the grid's map, then the sign as the next bit."""
    half = [int(v) for v in values]
    half += [0] * (4 - len(half) if len(half) < 4 else 0)
    return half + [-v for v in half]


def grid(name, reader):
    """Each row of the grid as one number: the places of its values in the map, 2 bits each where there are eight values, 3 where there are four."""
    reader.init_grid()
    shape, places = reader.grid_shape, {float(v): i for i, v in enumerate(reader.grid_map)}
    values = reader.grid.reshape(shape)
    bits = 2 if shape[1] == 8 else 3
    numbers = [sum(places[float(v)] << bits * i for i, v in enumerate(row)) for row in values]
    print(f"const uint16_t fh_grid_{name}[{shape[0]}] = {{\n    {rows(numbers, 20)},\n}};")


print("/* Made by make-books.py from the gguf Python package, whose notice is in NOTICE. */\n/* clang-format off */")
print('#include "codes.h"\n')
print(f"const int8_t fh_books[FH_BOOK_COUNT][{BOOK}] = {{")
book("IQ4", quants.IQ4_NL.kvalues)
book("MXFP4", quants.MXFP4.kvalues)
book("TERNARY", [-1, 0, 1, 2])
book("IQ2", with_signs(quants.IQ2_XXS.grid_map))
book("IQ3_XXS", with_signs(quants.IQ3_XXS.grid_map))
book("IQ3_S", with_signs(quants.IQ3_S.grid_map))
shift = int(8 * quants.IQ1_S.delta)  # eighths: up in the first half, down in the second
book("IQ1", [8 * v + shift for v in quants.IQ1_S.grid_map] + [0] + [8 * v - shift for v in quants.IQ1_S.grid_map])
print("};\n")
for name in ("IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ3_XXS", "IQ3_S", "IQ1_S"):
    grid("iq1" if name == "IQ1_S" else name.lower(), getattr(quants, name))
