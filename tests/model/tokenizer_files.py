#!/usr/bin/env python3
"""The makers' own files of tokenizers: tokenizer.json against the `tokenizers` library that wrote it, tiktoken files against `tiktoken`.
tokenizer_files.py PROGRAM, the encode_lines that was built. Prints TAP."""
import base64
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import tiktoken
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from tokenizer_library import FEWER, GPT4O, HERE, KIMI, LLAMA3, QWEN2, STARTER, Tap, bpe, compare, contents, differing, gguf_bytes, ours

BLANK = "\u2581"
FILES = ("gpt-2", "smollm", "falcon", "llama-bpe", "chatglm-bpe", "qwen2", "qwen35", "gpt-4o", "tekken", "deepseek-v3", "deepseek-coder")  # whose steps are known in tokenizer.json
BYTE_LEVEL = {"gpt-2": [pre_tokenizers.ByteLevel(add_prefix_space=False)], "smollm": [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]}


def in_hub_form(way, vocab):
    """As the hub's files have it: GPT-2's own pattern is ByteLevel's, and characters stand for themselves."""
    t = bpe(vocab, way)
    if way in BYTE_LEVEL:
        steps = BYTE_LEVEL[way]
        t.pre_tokenizer = steps[0] if len(steps) == 1 else pre_tokenizers.Sequence(steps)
    t.decoder = decoders.ByteLevel()
    return Tokenizer.from_str(re.sub(r"\\\\x\{([0-9a-f]+)\}", lambda m: chr(int(m[1], 16)), t.to_str()))


def byte_level(tap, program, folder, vocab, texts):
    for way in FILES:
        t = in_hub_form(way, vocab)
        path = folder / f"{way}.json"
        t.save(str(path), pretty=way == "smollm")
        compare(tap, program, f"tokenizer.json that splits as {way}", path, t, texts)
    removed = json.loads((folder / "llama-bpe.json").read_text())
    removed["pre_tokenizer"]["pretokenizers"][0].update(behavior="Removed", invert=True)
    removed["model"]["merges"] = [" ".join(m) for m in removed["model"]["merges"]]  # as files of before 2024 have them
    path = folder / "removed.json"
    path.write_text(json.dumps(removed))
    compare(tap, program, "tokenizer.json with matches kept and merges as strings", path, Tokenizer.from_file(str(path)), texts)


def with_tokens(tap, program, folder, vocab, texts):
    """Added tokens and the token before a text, where the caller allows them."""
    t = in_hub_form("llama-bpe", vocab)
    names = [p for i, p in enumerate(vocab["tokens"]) if vocab["token_type"][i] == 3]
    t.add_special_tokens([AddedToken(n, special=True, normalized=False) for n in names])
    t.add_tokens([AddedToken("<tool_call>", normalized=False), AddedToken("the inn", normalized=False)])
    t.post_processor = processors.Sequence([processors.ByteLevel(trim_offsets=False), processors.TemplateProcessing(single=f"{names[0]} $A", special_tokens=[(names[0], t.token_to_id(names[0]))])])
    path = folder / "tokens.json"
    t.save(str(path))
    mixed = [x.decode() + names[i % len(names)] + " the inn <tool_call>" + texts[i - 1].decode() for i, x in enumerate(texts)]
    want = [e.ids for e in t.encode_batch(mixed, add_special_tokens=True)]
    notes = differing(ours(program, path, [m.encode() for m in mixed], "special", "bos"), want, [m.encode() for m in mixed])
    tap.say(not notes, "added tokens, and the one before a text", notes)


def trained(texts):
    """A small vocabulary over characters, with a token for each byte."""
    t = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    t.pre_tokenizer = pre_tokenizers.Metaspace(replacement=BLANK, prepend_scheme="always")
    names = ["<unk>", "<s>", "</s>"]
    t.train_from_iterator([x.decode() for x in texts], trainers.BpeTrainer(vocab_size=3000, limit_alphabet=300, show_progress=False, special_tokens=names + [f"<0x{b:02X}>" for b in range(256)]))
    doc = json.loads(t.to_str())
    doc["added_tokens"] = [a for a in doc["added_tokens"] if a["content"] in names]
    return doc


def over_characters(tap, program, folder, texts):
    doc = trained(texts)
    replace = {"type": "Replace", "pattern": {"String": " "}, "content": BLANK}
    metaspace = lambda scheme, split: {"type": "Metaspace", "replacement": BLANK, "prepend_scheme": scheme, "split": split}
    cases = {
        "Llama 2": ({"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": BLANK}, replace]}, None),
        "Gemma": (replace, {"type": "Split", "pattern": {"String": " "}, "behavior": "MergedWithPrevious", "invert": False}),
        "Mistral": (None, metaspace("first", False)),
        "Metaspace, always": (None, metaspace("always", True)),
        "Metaspace, never": (None, metaspace("never", True)),
    }
    for name, (normalizer, pre) in cases.items():
        path = folder / "chars.json"
        path.write_text(json.dumps({**doc, "normalizer": normalizer, "pre_tokenizer": pre}))
        library = Tokenizer.from_file(str(path))
        compare(tap, program, f"tokenizer.json over characters as {name}", path, library, texts)
        mixed = [t.decode() + "<s>" + texts[i - 1].decode() + "</s> x" for i, t in enumerate(texts)]
        want = [e.ids for e in library.encode_batch(mixed, add_special_tokens=False)]
        notes = differing(ours(program, path, [m.encode() for m in mixed], "special"), want, [m.encode() for m in mixed])
        tap.say(not notes, f"special tokens over characters as {name}", notes)
    for change, name in (({"byte_fallback": False}, "unknown characters become one token"), ({"byte_fallback": False, "fuse_unk": False}, "each unknown character becomes a token")):
        path.write_text(json.dumps({**doc, "normalizer": None, "pre_tokenizer": metaspace("always", True), "model": {**doc["model"], **change}}))
        compare(tap, program, f"tokenizer.json over characters: {name}", path, Tokenizer.from_file(str(path)), texts)


def tiktoken_files(tap, program, folder, vocab, texts):
    back = {c: b for b, c in gguf_bytes().items()}
    ranks = {bytes(back[c] for c in p): i for i, p in enumerate(vocab["tokens"]) if vocab["token_type"][i] == 1}
    ranks = {**{bytes([b]): len(vocab["tokens"]) + b for b in range(256)}, **ranks}  # the starter's vocabulary lacks some bytes, which no file of tiktoken does
    kinds = {"cl100k_base.tiktoken": (LLAMA3, {"<|endoftext|>": 100257}), "o200k_base.tiktoken": (GPT4O, {"<|endoftext|>": 199999}), "qwen.tiktoken": (QWEN2, {"<|im_start|>": 151644}),
             "tokenizer.model": (LLAMA3, {"<|begin_of_text|>": 128000}), "tiktoken.model": (KIMI, {"[BOS]": 163584}),
             "r50k_base.tiktoken": (r"""'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s""", {"<|endoftext|>": 50256})}
    for name, (pattern, special) in kinds.items():
        path = folder / name
        path.write_bytes(b"".join(base64.b64encode(token) + b" %d\n" % rank for token, rank in ranks.items()))
        library = tiktoken.Encoding(name, pat_str=pattern, mergeable_ranks=ranks, special_tokens=special)
        lines = [t for t in texts if name != "qwen.tiktoken" or t.isascii()]  # its program takes text in normal form C first
        notes = differing(ours(program, path, lines), [library.encode_ordinary(t.decode()) for t in lines], lines)
        tap.say(not notes, f"{name}: {len(lines)} lines give the ids of tiktoken", notes)
        word = next(iter(special))
        mixed = [t + word.encode() + b"x" for t in lines[:200]]
        notes = differing(ours(program, path, mixed, "special"), [library.encode(t.decode(), allowed_special="all") for t in mixed], mixed)
        tap.say(not notes, f"{name}: special tokens", notes)


def refused(tap, program, folder, vocab):
    """What we do not do is refused, with the field's name."""
    good = json.loads(in_hub_form("llama-bpe", vocab).to_str())
    chars = {**good, "pre_tokenizer": None, "normalizer": {"type": "Replace", "pattern": {"String": " "}, "content": BLANK}}
    split = good["pre_tokenizer"]["pretokenizers"]
    added = {"id": len(vocab["tokens"]), "content": "<x>", "single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    cases = {
        "model.type": {**good, "model": {"type": "Unigram", "vocab": []}},
        "dropout": {**good, "model": {**good["model"], "dropout": 0.1}},
        "continuing_subword_prefix": {**good, "model": {**good["model"], "continuing_subword_prefix": "##"}},
        "Lowercase": {**good, "normalizer": {"type": "Lowercase"}},
        "this way of splitting text": {**good, "pre_tokenizer": {"type": "Sequence", "pretokenizers": [{**split[0], "pattern": {"Regex": "(a+)+b"}}, split[1]]}},
        "add_prefix_space": {**good, "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": True, "use_regex": True, "trim_offsets": True}},
        "BertPreTokenizer": {**good, "pre_tokenizer": {"type": "BertPreTokenizer"}},
        "BertProcessing": {**good, "post_processor": {"type": "BertProcessing", "sep": ["<x>", 1], "cls": ["<x>", 1]}},
        "lstrip": {**good, "added_tokens": [{**added, "lstrip": True}]},
        "truncation": {**good, "truncation": {"max_length": 8, "strategy": "LongestFirst", "stride": 0, "direction": "Right"}},
        "byte_fallback": {**chars, "model": {**good["model"], "ignore_merges": False, "byte_fallback": True}},
        "two tokens with the id": {**good, "added_tokens": [{**added, "id": 5}]},
        "joins or makes what is no token": {**good, "model": {**good["model"], "merges": [["<no such>", "token"]]}},
    }
    for word, doc in cases.items():
        path = folder / "refused.json"
        path.write_text(json.dumps(doc))
        done = subprocess.run([program, str(path)], input="", capture_output=True, text=True)
        tap.say(done.returncode == 1 and word in done.stderr and str(path) in done.stderr, f"refused: {word}", [done.stderr.strip()[:300]])
    unknown = folder / "mine.tiktoken"
    unknown.write_bytes(b"IQ== 0\n")
    done = subprocess.run([program, str(unknown)], input="", capture_output=True, text=True)
    tap.say(done.returncode == 1 and "known name" in done.stderr, "a tiktoken file of an unknown name is refused", [done.stderr.strip()])


def main():
    program = sys.argv[1]
    tap = Tap()
    if not STARTER.is_file():
        print("1..0 # SKIP no starter model: tools/fetch-starter")
        return 0
    made = subprocess.run([sys.executable, str(HERE.parent / "tools/tokenizer-lines"), str(FEWER)], capture_output=True, text=True, check=True)
    texts = [bytes.fromhex(line) for line in made.stdout.split()]
    vocab = contents(STARTER)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        byte_level(tap, program, folder, vocab, texts)
        with_tokens(tap, program, folder, vocab, texts)
        over_characters(tap, program, folder, texts)
        tiktoken_files(tap, program, folder, vocab, texts)
        refused(tap, program, folder, vocab)
    print(f"1..{tap.count}")
    return 1 if tap.failed else 0


if __name__ == "__main__":
    sys.exit(main())
