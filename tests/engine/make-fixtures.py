#!/usr/bin/env python3
"""Makes the fixtures that hold our logits and vectors against the model makers' own code.

make-fixtures.py --starter STARTER.gguf --tiny-gguf PROGRAM [--only NAME]

Reads weights from a GGUF, dequantises them, gives them to transformers' class of that architecture (float32, eager attention, CPU), runs one full forward and
keeps what is needed to compare: fixtures/NAME.bin. Needs: torch, transformers, numpy, gguf, tokenizers. The starter's text is text.txt (the end of
Moby-Dick, public domain); tiny models are written by PROGRAM (tests/support/tiny-gguf.c) with random weights, the same on every machine.

Format, little endian: u32 magic 'FHLG', positions, fixed ids, top; i32 tokens [positions]; i32 fixed ids; then for each position f32 logsumexp,
i32 top ids, f32 top logits, f32 logits at the fixed ids.

fixtures/NAME.vectors: u32 magic 'FHEV', texts, dimensions; then for each text u32 tokens, i32 tokens [tokens], f32 vector [dimensions]: the mean of
last_hidden_state over the text's tokens, divided by its length."""
import argparse, os, struct, subprocess, tempfile
from pathlib import Path

import numpy as np
import torch
from gguf import GGUFReader
from gguf.quants import dequantize
import transformers

HERE = Path(__file__).resolve().parent
TINY = {  # name: arguments of tiny-gguf, rope of transformers
    "tiny-f32": ([], {}),
    "tiny-q8_0": (["--type", "Q8_0"], {}),
    "tiny-q4_0": (["--type", "Q4_0", "--tied"], {}),
    "tiny-linear": (["--rope", "linear"], {"rope_type": "linear", "factor": 4.0}),
    "tiny-yarn": (["--rope", "yarn"], {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 64, "beta_fast": 32.0, "beta_slow": 1.0}),
    "tiny-llama3": (["--rope", "llama3"], {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                                           "original_max_position_embeddings": 64}),
    "tiny-qwen2": (["--architecture", "qwen2", "--type", "Q8_0", "--tied"], {}),
    "tiny-qwen3": (["--architecture", "qwen3", "--head-dim", "32"], {}),
    "tiny-qwen3moe": (["--architecture", "qwen3moe", "--head-dim", "32", "--type", "Q8_0"], {}),
    "tiny-qwen3moe-shares": (["--architecture", "qwen3moe", "--head-dim", "32", "--tied", "--shares-as-they-are"], {}),
}
CLASSES = {"llama": "Llama", "qwen2": "Qwen2", "qwen3": "Qwen3", "qwen3moe": "Qwen3Moe"}
NAMES = {"attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj", "attn_q_norm": "self_attn.q_norm",
         "attn_k_norm": "self_attn.k_norm", "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj", "attn_norm": "input_layernorm",
         "ffn_norm": "post_attention_layernorm",
         "ffn_gate_inp": "mlp.gate"}
ENDS = {"token_embd.weight": "model.embed_tokens.weight", "output_norm.weight": "model.norm.weight", "output.weight": "lm_head.weight"}


def halves(weight, heads):
    """Rows of q and k from pairs (GGUF) to halves (transformers)."""
    rows, cols = weight.shape
    return weight.reshape(heads, rows // heads // 2, 2, cols).swapaxes(1, 2).reshape(rows, cols)


def experts(layer, parts):
    """The matrices of all experts as transformers keeps them: no module's weights but parameters, gate and up in one."""
    return {f"model.layers.{layer}.mlp.experts.gate_up_proj": np.concatenate([parts["ffn_gate_exps"], parts["ffn_up_exps"]], axis=1),
            f"model.layers.{layer}.mlp.experts.down_proj": parts["ffn_down_exps"]}


def state(reader, config, permuted):
    heads = {"attn_q": config.num_attention_heads, "attn_k": config.num_key_value_heads}
    out, stacks = {}, {}
    for t in reader.tensors:
        w = dequantize(t.data, t.tensor_type).astype(np.float32)
        if t.name in ENDS:
            out[ENDS[t.name]] = w
        elif t.name.startswith("blk."):
            _, layer, part, kind = t.name.split(".")
            if part.endswith("_exps"):
                stacks.setdefault(layer, {})[part] = w
                continue
            if permuted and part in heads:
                w = halves(w, heads[part])
            out[f"model.layers.{layer}.{NAMES[part]}.{kind}"] = w
    for layer, parts in stacks.items():
        out.update(experts(layer, parts))
    if config.tie_word_embeddings:
        out["lm_head.weight"] = out["model.embed_tokens.weight"]
    return {k: torch.from_numpy(np.ascontiguousarray(v)) for k, v in out.items()}


def load(path, rope):
    reader = GGUFReader(str(path))
    arch = reader.fields["general.architecture"].contents()
    key = lambda name, absent=None: reader.fields[f"{arch}.{name}"].contents() if f"{arch}.{name}" in reader.fields else absent
    heads = key("attention.head_count")
    mixture = {} if key("expert_count") is None else dict(
        num_experts=key("expert_count"), num_experts_per_tok=key("expert_used_count"), moe_intermediate_size=key("expert_feed_forward_length"),
        norm_topk_prob=key("expert_weights_norm"), decoder_sparse_step=1, mlp_only_layers=[])
    config = getattr(transformers, CLASSES[arch] + "Config")(
        vocab_size=key("vocab_size"), hidden_size=key("embedding_length"), intermediate_size=key("feed_forward_length"), num_hidden_layers=key("block_count"),
        num_attention_heads=heads, num_key_value_heads=key("attention.head_count_kv"), head_dim=key("attention.key_length", key("embedding_length") // heads),
        max_position_embeddings=key("context_length"), rms_norm_eps=key("attention.layer_norm_rms_epsilon"),
        tie_word_embeddings=not any(t.name == "output.weight" for t in reader.tensors),
        rope_parameters={"rope_type": "default", "rope_theta": key("rope.freq_base"), **rope}, attn_implementation="eager", dtype="float32", **mixture)
    model = getattr(transformers, CLASSES[arch] + "ForCausalLM")(config).float().eval()
    missing, unexpected = model.load_state_dict(state(reader, config, arch == "llama"), strict=False)
    assert not unexpected and not [m for m in missing if "rotary" not in m], (missing, unexpected)
    return model


def starter_tokens(path, count):
    """Tokens of text.txt by the tokenizers library, put together from the file's vocabulary as its `smollm` kind says."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    fields = GGUFReader(str(path)).fields
    vocab = {t: i for i, t in enumerate(fields["tokenizer.ggml.tokens"].contents())}
    merges = [tuple(m.split(" ")) for m in fields["tokenizer.ggml.merges"].contents()]
    tok = Tokenizer(models.BPE(vocab=vocab, merges=merges))
    tok.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)])
    ids = tok.encode((HERE / "text.txt").read_text()).ids
    assert len(ids) >= count, f"text.txt has {len(ids)} tokens, {count} wanted"
    return ids[:count]


def write(name, model, tokens):
    with torch.no_grad():
        logits = model(torch.tensor([tokens])).logits[0].double()
    vocab = logits.shape[1]
    fixed = [int(i) for i in np.linspace(0, vocab - 1, 64)]
    top = torch.topk(logits, 8)
    lse = torch.logsumexp(logits, -1)
    with open(HERE / "fixtures" / f"{name}.bin", "wb") as f:
        f.write(struct.pack("<4I", 0x474C4846, len(tokens), len(fixed), 8))
        f.write(np.asarray(tokens, "<i4").tobytes() + np.asarray(fixed, "<i4").tobytes())
        for i in range(len(tokens)):
            f.write(np.asarray(lse[i], "<f4").tobytes() + top.indices[i].numpy().astype("<i4").tobytes() + top.values[i].numpy().astype("<f4").tobytes())
            f.write(logits[i, fixed].numpy().astype("<f4").tobytes())
    print(f"{name}: {len(tokens)} positions, deviation of logits {logits.std():.3f}")


def write_vectors(name, model, tokens, lengths):
    """Each text is another piece of tokens."""
    with open(HERE / "fixtures" / f"{name}.vectors", "wb") as f:
        f.write(struct.pack("<3I", 0x56454846, len(lengths), model.config.hidden_size))
        for i, n in enumerate(lengths):
            ids = tokens[i * 7:i * 7 + n]
            with torch.no_grad():
                mean = model.model(torch.tensor([ids])).last_hidden_state[0].double().mean(0)
            f.write(struct.pack("<I", n) + np.asarray(ids, "<i4").tobytes() + (mean / mean.norm()).numpy().astype("<f4").tobytes())
    print(f"{name}: vectors of {lengths} tokens")


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--starter")
    p.add_argument("--tiny-gguf")
    p.add_argument("--only")
    p.add_argument("--positions", type=int, default=512)
    a = p.parse_args()
    (HERE / "fixtures").mkdir(exist_ok=True)
    if a.starter and a.only in (None, "smollm2"):
        starter, tokens = load(a.starter, {}), starter_tokens(a.starter, a.positions)
        write("smollm2", starter, tokens)
        write_vectors("smollm2", starter, tokens, [1, 5, 40, 300])
    for name, (flags, rope) in TINY.items() if a.tiny_gguf else ():
        if a.only not in (None, name):
            continue
        with tempfile.TemporaryDirectory() as d:
            subprocess.run([os.path.abspath(a.tiny_gguf), f"{d}/m.gguf", *flags], check=True)
            tiny, tokens = load(f"{d}/m.gguf", rope), [(i * 37 + i * i) % 256 for i in range(96)]
            write(name, tiny, tokens)
            write_vectors(name, tiny, tokens, [1, 60])


main()
