#!/usr/bin/env python3
"""Our tokenizers against the `tokenizers` library: tokenizer_library.py PROGRAM, the encode_lines that was built. Prints TAP.

Each way of splitting text that we know is tried on the starter model's vocabulary (written into a small file that names it), and on the vocabularies that
llama.cpp publishes where they are on this machine; those are also held against the token ids that llama.cpp publishes for them. The patterns below are in
the notation of the makers' tokenizer.json files."""
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent

import gguf
import gguf_file
from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers

FEWER = 1000  # for the many vocabularies besides the starter model's and Llama's
LINES = int(os.environ.get("FREEHOLD_TOKENIZER_LINES", "10000"))
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
STARTER = Path(os.environ.get("FREEHOLD_STARTER_GGUF") or CACHE / "freehold/starter/SmolLM2-135M-Instruct.Q4_1.gguf")
PEERS = sorted(Path(os.environ.get("FREEHOLD_PEERS") or CACHE / "freehold-peers").glob("llama.cpp-*/src/models"))

GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
LLAMA3 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
QWEN2 = LLAMA3.replace("{1,3}", "")
QWEN35 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
UPPER, LOWER = r"\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}", r"\p{Ll}\p{Lm}\p{Lo}\p{M}"
CONTRACTION = "(?i:'s|'t|'re|'ve|'m|'ll|'d)?"


def cased(upper, lower, end):
    return rf"[^\r\n\p{{L}}\p{{N}}]?[{upper}]*[{lower}]+{end}|[^\r\n\p{{L}}\p{{N}}]?[{upper}]+[{lower}]*{end}"


GPT4O = cased(UPPER, LOWER, CONTRACTION) + r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
TEKKEN = cased(UPPER, LOWER, "") + r"|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
KIMI = r"[\p{Han}]+|" + cased(UPPER + r"&&[^\p{Han}]", LOWER + r"&&[^\p{Han}]", CONTRACTION) + r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
DEEPSEEK3 = [r"\p{N}{1,3}", "[一-龥぀-ゟ゠-ヿ]+",
             r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"""]
DEEPSEEK_LLM = [r"[\r\n]",
                r"\s?[A-Za-z\x{b5}\x{c0}-\x{d6}\x{d8}-\x{f6}\x{f8}-\x{1ba}\x{1bc}-\x{1bf}\x{1c4}-\x{293}\x{295}-\x{2af}\x{370}-\x{373}\x{376}\x{377}\x{37b}-\x{37d}\x{37f}\x{386}\x{388}-\x{38a}\x{38c}\x{38e}-\x{3a1}\x{3a3}-\x{3f5}\x{3f7}-\x{481}\x{48a}-\x{52f}\x{531}-\x{556}\x{10a0}-\x{10c5}\x{13a0}-\x{13f5}\x{13f8}-\x{13fd}\x{1c90}-\x{1cba}\x{1cbd}-\x{1cbf}\x{1d00}-\x{1d2b}\x{1d6b}-\x{1d77}\x{1d79}-\x{1d9a}\x{1e00}-\x{1f15}\x{1f18}-\x{1f1d}\x{1f20}-\x{1f45}\x{1f48}-\x{1f4d}\x{1f50}-\x{1f57}\x{1f59}\x{1f5b}\x{1f5d}\x{1f5f}-\x{1f7d}\x{1f80}-\x{1fb4}\x{1fb6}-\x{1fbc}\x{1fbe}\x{1fc2}-\x{1fc4}\x{1fc6}-\x{1fcc}\x{1fd0}-\x{1fd3}\x{1fd6}-\x{1fdb}\x{1fe0}-\x{1fec}\x{1ff2}-\x{1ff4}\x{1ff6}-\x{1ffc}\x{2102}\x{2107}\x{210a}-\x{2113}\x{2115}\x{2119}-\x{211d}\x{2124}\x{2126}\x{2128}\x{212a}-\x{212d}\x{212f}-\x{2134}\x{2139}\x{213c}-\x{213f}\x{2145}-\x{2149}\x{214e}\x{2183}\x{2184}\x{2c00}-\x{2c7b}\x{2c7e}-\x{2ce4}\x{2ceb}-\x{2cee}\x{2cf2}\x{2cf3}\x{a640}-\x{a66d}\x{a680}-\x{a69b}\x{a722}-\x{a76f}\x{a771}-\x{a787}\x{a78b}-\x{a78e}\x{ab70}-\x{abbf}\x{fb00}-\x{fb06}\x{fb13}-\x{fb17}\x{ff21}-\x{ff3a}\x{ff41}-\x{ff5a}\x{10400}-\x{1044f}\x{104b0}-\x{104d3}\x{104d8}-\x{104fb}\x{10c80}-\x{10cb2}\x{10cc0}-\x{10cf2}\x{118a0}-\x{118df}\x{1e900}-\x{1e943}]+",
                r"\s?[!-/:-~\x{ff01}-\x{ff0f}\x{ff1a}-\x{ff5e}\x{2018}-\x{201f}\x{3000}-\x{3002}]+", r"\s+$", r"[\x{4e00}-\x{9fa5}\x{800}-\x{4e00}\x{ac00}-\x{d7ff}]+"]
DEEPSEEK_CODER = [r"[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", r"[\x{4e00}-\x{9fa5}\x{800}-\x{4e00}\x{ac00}-\x{d7ff}]+"]

DIGITS = "digits"
BYTES = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)


def split(*patterns):
    steps = [pre_tokenizers.Digits(individual_digits=True) if p == DIGITS else pre_tokenizers.Split(Regex(p), "isolated") for p in patterns]
    return pre_tokenizers.Sequence(steps + [BYTES])


def falcon():
    return pre_tokenizers.Sequence([pre_tokenizers.Punctuation("contiguous"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
                                    pre_tokenizers.Digits(individual_digits=False), pre_tokenizers.Split(Regex("[0-9][0-9][0-9]"), "isolated")])


# name of the way: (pre-tokenizer, options)
WAYS = {
    "gpt-2": (split(GPT2), ""), "smollm": (split(DIGITS, GPT2), ""), "starcoder": (split(DIGITS, GPT2), ""), "refact": (split(DIGITS, GPT2), ""),
    "command-r": (split(DIGITS, GPT2), "nfc"), "mpt": (split(GPT2), "nfc"), "falcon": (falcon(), ""), "llama-bpe": (split(LLAMA3), "ignore"),
    "glm4": (split(LLAMA3), "ignore"), "chatglm-bpe": (split(LLAMA3), ""), "qwen2": (split(QWEN2), "nfc"), "qwen35": (split(QWEN35), ""), "gpt-4o": (split(GPT4O), ""),
    "llama4": (split(GPT4O), ""), "minimax-m2": (split(GPT4O), ""), "tekken": (split(TEKKEN), "ignore"), "kimi-k2": (split(KIMI), ""),
    "deepseek-v3": (split(*DEEPSEEK3), ""), "deepseek-llm": (split(*DEEPSEEK_LLM, DIGITS), ""), "deepseek-coder": (split(*DEEPSEEK_CODER, DIGITS), ""),
}


def contents(path):
    fields = gguf.GGUFReader(path).fields
    return {k.removeprefix("tokenizer.ggml."): f.contents() for k, f in fields.items() if k.startswith("tokenizer.ggml.") and "charsmap" not in k}


def bpe(vocab, way):
    pre, options = WAYS[way]
    merges = [tuple(m.split(" ", 1)) for m in vocab["merges"]]
    t = Tokenizer(models.BPE(vocab={p: i for i, p in enumerate(vocab["tokens"])}, merges=merges, ignore_merges="ignore" in options))
    t.pre_tokenizer = pre
    if "nfc" in options:
        t.normalizer = normalizers.NFC()
    return t


def sentencepiece(vocab):
    """As transformers makes one from a SentencePiece model: every way to cut a piece in two is a merge, ordered by the score of what it makes."""
    ids = {p: i for i, p in enumerate(vocab["tokens"]) if vocab["token_type"][i] in (1, 4)}
    merges = []
    for piece, i in ids.items():
        cuts = [(piece[:n], piece[n:]) for n in range(1, len(piece)) if piece[:n] in ids and piece[n:] in ids]
        merges += [(vocab["scores"][i], cut) for cut in sorted(cuts, key=lambda c: (ids[c[0]], ids[c[1]]))]
    merges = [cut for _, cut in sorted(merges, key=lambda m: m[0], reverse=True)]
    t = Tokenizer(models.BPE(vocab={p: i for i, p in enumerate(vocab["tokens"])}, merges=merges, unk_token=vocab["tokens"][vocab.get("unknown_token_id", 0)], fuse_unk=True, byte_fallback=True))
    t.normalizer = normalizers.Sequence([normalizers.Prepend("\u2581"), normalizers.Replace(" ", "\u2581")])
    return t


def ours(program, model, texts, *flags):
    """[(ids, decoded bytes)]"""
    run = subprocess.run([program, str(model), *flags], input="\n".join(t.hex() for t in texts) + "\n", capture_output=True, text=True, check=False)
    if run.returncode:
        raise RuntimeError(run.stderr.strip())
    rows = [line.split("\t") for line in run.stdout.split("\n")[:-1]]
    return [([int(i) for i in ids.split()], bytes.fromhex(back)) for ids, back in rows]


class Tap:
    def __init__(self):
        self.count = self.failed = 0

    def say(self, good, name, notes=()):
        self.count += 1
        self.failed += not good
        print(f"{'ok' if good else 'not ok'} {self.count} - {name}")
        for note in notes:
            print("#", note)

    def skip(self, name, why):
        self.count += 1
        print(f"ok {self.count} - {name} # SKIP {why}")


def differing(got, want, texts):
    bad = [i for i, (ids, _) in enumerate(got) if ids != want[i]]
    notes = [f"{len(bad)} of {len(texts)} differ"] if bad else []
    for i in bad[:3]:
        notes += [f"text {texts[i].decode()!r}"[:300], f"ours   {got[i][0]}"[:300], f"theirs {want[i]}"[:300]]
    return notes


def compare(tap, program, name, model, library, texts):
    got = ours(program, model, texts)
    want = [e.ids for e in library.encode_batch([t.decode() for t in texts], add_special_tokens=False)]
    notes = differing(got, want, texts)
    tap.say(not notes and len(got) == len(texts), f"{name}: {len(texts)} lines give the ids of the tokenizers library", notes)


def write_vocab(path, vocab, pre, merges=True):
    keys = {"general.architecture": "llama", "tokenizer.ggml.model": "gpt2", "tokenizer.ggml.pre": pre, "tokenizer.ggml.tokens": vocab["tokens"],
            "tokenizer.ggml.token_type": vocab["token_type"], "tokenizer.ggml.merges": vocab["merges"]}
    if not merges:
        del keys["tokenizer.ggml.merges"]
    gguf_file.write(path, keys)


def special_tokens(tap, program, model, vocab, texts):
    """Texts with special tokens strewn in: recognised where that is allowed, plain text where it is not."""
    library = bpe(vocab, "smollm")
    names = [t for i, t in enumerate(vocab["tokens"]) if vocab["token_type"][i] == 3]
    plain = bpe(vocab, "smollm")
    library.add_special_tokens([AddedToken(n, special=True, normalized=False) for n in names])
    mixed = [t + names[i % len(names)].encode() + texts[i - 1] + names[i * 7 % len(names)].encode()[: i % 20] for i, t in enumerate(texts)]
    for flags, lib, what in ((("special",), library, "where they are allowed"), ((), plain, "as plain text where they are not")):
        want = [e.ids for e in lib.encode_batch([t.decode(errors="replace") for t in mixed], add_special_tokens=False)]
        notes = differing(ours(program, model, [t.decode(errors="replace").encode() for t in mixed], *flags), want, mixed)
        tap.say(not notes, f"special tokens are read {what}", notes)
    forged = [ids for ids, _ in ours(program, model, mixed) if any(vocab["token_type"][i] == 3 for i in ids)]
    tap.say(not forged, "no text makes a control token where none is allowed")


def published(tap, program, folder):
    """llama.cpp's own test vectors: the .inp has texts between marks, the .out their ids, made by the makers' tokenizers."""
    for model in sorted(folder.glob("ggml-vocab-*.gguf")):
        inp, out = Path(f"{model}.inp"), Path(f"{model}.out")
        if not inp.is_file() or not out.is_file():
            continue
        texts = inp.read_bytes().split(b"\n__ggml_vocab_test__\n")
        want = [[int(i) for i in line.split()] for line in out.read_text().splitlines()]
        name = f"{model.name}: the published ids"
        try:
            got = ours(program, model, texts[: len(want)], "special")
        except RuntimeError as e:
            tap.skip(name, str(e)[-100:]) if "not supported" in str(e) else tap.say(False, name, [str(e)])
            continue
        notes = differing(got, want, [t.decode(errors="replace").encode() for t in texts])
        tap.say(not notes, name, notes)


def round_trip(tap, program, model, vocab, name):
    """Bytes that are no text come back as they were, but for those that the vocabulary has no token for."""
    rnd = __import__("random").Random(7)
    texts = [rnd.randbytes(rnd.randint(0, 80)) for _ in range(2000)]
    texts += [bytes(rnd.choice(b"\xf0\x9f\x98\x80\xe2\x82 a\xc3\xff\n") for _ in range(40)) for _ in range(1000)]
    spm = "scores" in vocab and "merges" not in vocab
    have = set(vocab["tokens"])
    table = gguf_bytes()
    lost = set() if spm else {b for b in range(256) if table[b] not in have}
    for flags in ((), ("special",)):
        got = ours(program, model, texts, *flags)
        bad = [t for t, (_, back) in zip(texts, got) if back != bytes(b for b in t if b not in lost)]
        tap.say(not bad, f"{name}: 3000 texts of any bytes come back{' with special tokens' if flags else ''} ({len(lost)} bytes have no token)", [repr(b) for b in bad[:3]])


def gguf_bytes():
    keep = [*range(33, 127), *range(161, 173), *range(174, 256)]
    rest = [b for b in range(256) if b not in keep]
    return {**{b: chr(b) for b in keep}, **{b: chr(256 + i) for i, b in enumerate(rest)}}


def peers(tap, program, texts):
    if not PEERS:
        return tap.skip("vocabularies of llama.cpp", "no llama.cpp sources here: tests/tools/peers get llama.cpp")
    folder = PEERS[-1]
    for model in sorted(folder.glob("ggml-vocab-*.gguf")):
        vocab = contents(model)
        lines = texts if "llama" in model.name else texts[:FEWER]
        if vocab["model"] == "llama":
            compare(tap, program, model.name, model, sentencepiece(vocab), lines)
            round_trip(tap, program, model, vocab, model.name)
        elif vocab["model"] == "gpt2" and vocab.get("pre") in WAYS and vocab["pre"] not in ("mpt",):
            compare(tap, program, model.name, model, bpe(vocab, vocab["pre"]), lines)
    published(tap, program, folder)


def main():
    program = sys.argv[1]
    tap = Tap()
    if not STARTER.is_file():
        print("1..0 # SKIP no starter model: tools/fetch-starter")
        return 0
    made = subprocess.run([sys.executable, str(HERE.parent / "tools/tokenizer-lines"), str(LINES)], capture_output=True, text=True, check=True)
    texts = [bytes.fromhex(line) for line in made.stdout.split()]
    vocab = contents(STARTER)
    compare(tap, program, "the starter model", STARTER, bpe(vocab, "smollm"), texts)
    special_tokens(tap, program, STARTER, vocab, texts[:2000])
    round_trip(tap, program, STARTER, vocab, "the starter model")
    with tempfile.TemporaryDirectory() as folder:
        for way in WAYS:
            model = Path(folder) / f"{re.sub('[^a-z0-9]', '-', way)}.gguf"
            write_vocab(model, vocab, way)
            compare(tap, program, f"splitting as {way}", model, bpe(vocab, way), texts[:FEWER])
        unmerged = Path(folder) / "unmerged.gguf"
        write_vocab(unmerged, vocab, "kimi-k2", merges=False)
        compare(tap, program, "splitting as kimi-k2, ranks from ids", unmerged, bpe(vocab, "kimi-k2"), texts[:FEWER])
    peers(tap, program, texts)
    print(f"1..{tap.count}")
    return 1 if tap.failed else 0


if __name__ == "__main__":
    sys.exit(main())
