"""Writes small GGUF files from plain values: strings, bools, numbers, lists. For tests; the layout is that of gguf.md."""
import struct

U32, I32, F32, BOOL, STRING, ARRAY, U64 = 4, 5, 6, 7, 8, 9, 10


def text(value):
    raw = value if isinstance(value, bytes) else value.encode("utf-8", "surrogateescape")
    return struct.pack("<Q", len(raw)) + raw


def typed(value):
    """(type, payload) of a value; lists are typed by their first element."""
    if isinstance(value, bool):
        return BOOL, struct.pack("<?", value)
    if isinstance(value, int):
        return U32, struct.pack("<I", value)
    if isinstance(value, float):
        return F32, struct.pack("<f", value)
    if isinstance(value, (str, bytes)):
        return STRING, text(value)
    first = value[0] if value else ""
    kind = I32 if isinstance(first, int) else typed(first)[0]
    pack = {I32: lambda v: struct.pack("<i", v), F32: lambda v: struct.pack("<f", v), STRING: text}[kind]
    return ARRAY, struct.pack("<IQ", kind, len(value)) + b"".join(map(pack, value))


def write(path, keys, tensors=()):
    """tensors: (name, dims, type id, data)."""
    out = [b"GGUF", struct.pack("<IQQ", 3, len(tensors), len(keys))]
    for key, value in keys.items():
        kind, payload = typed(value)
        out += [text(key), struct.pack("<I", kind), payload]
    offset = 0
    for name, dims, kind, data in tensors:
        out += [text(name), struct.pack("<I", len(dims)), struct.pack(f"<{len(dims)}Q", *dims), struct.pack("<IQ", kind, offset)]
        offset += len(data) + -len(data) % 32
    head = b"".join(out)
    with open(path, "wb") as f:
        f.write(head + b"\0" * (-len(head) % 32))
        for _, _, _, data in tensors:
            f.write(data + b"\0" * (-len(data) % 32))
