#!/usr/bin/env python3
"""Holds the files of data/catalog against their schemas and against each other. Prints TAP; needs nothing but Python.

Usage: check.py [DATA_FOLDER]. Beside the schemas: ids and aliases are unique, a file is named after its id, the top ten are ten and in order, there is one starter with
a digest, a percentage is what its two scores say, a score names a variant that exists, no price has crept in."""
import json
import pathlib
import re
import sys

KINDS = {"object": dict, "array": list, "string": str, "boolean": bool}


def kind_is(value, kind):
    if kind in ("integer", "number"):
        return isinstance(value, int if kind == "integer" else (int, float)) and not isinstance(value, bool)
    return isinstance(value, KINDS[kind])


def check_object(schema, value, where):
    """Ours say everything but what the schema lets them leave out; entries of users need only what is required."""
    for key in schema["properties"]:
        if key not in value and key not in schema.get("optional", []):
            yield f"{where}: {key} is missing"
    for key, item in value.items():
        if key in schema.get("properties", {}):
            yield from check(schema["properties"][key], item, f"{where}.{key}")
        elif schema.get("additionalProperties", True) is False:
            yield f"{where}: {key} is not known"


def check_string(schema, value, where):
    if len(value) < schema.get("minLength", 0) or len(value) > schema.get("maxLength", 10**9):
        yield f"{where}: {len(value)} characters"
    if "pattern" in schema and not re.search(schema["pattern"], value):
        yield f"{where}: {value!r} does not match {schema['pattern']}"
    if any(ord(c) < 32 for c in value):
        yield f"{where}: a control character"


def check(schema, value, where):
    """The part of JSON Schema that our schemas use; an unknown keyword is an error, so that none is silently ignored."""
    known = {"$schema", "title", "type", "enum", "properties", "required", "optional", "additionalProperties", "items", "minItems", "minimum", "maximum", "minLength", "maxLength", "pattern"}
    if set(schema) - known:
        raise SystemExit(f"unknown keywords in the schema at {where}: {set(schema) - known}")
    if "enum" in schema and value not in schema["enum"]:
        yield f"{where}: {value!r} is none of {schema['enum']}"
    if "type" in schema and not kind_is(value, schema["type"]):
        yield f"{where}: {value!r} is no {schema['type']}"
        return
    if isinstance(value, dict):
        yield from check_object(schema, value, where)
    elif isinstance(value, list):
        if len(value) < schema.get("minItems", 0):
            yield f"{where}: {len(value)} items"
        for i, item in enumerate(value):
            yield from check(schema.get("items", {}), item, f"{where}[{i}]")
    elif isinstance(value, str):
        yield from check_string(schema, value, where)
    elif not isinstance(value, bool) and not schema.get("minimum", value) <= value <= schema.get("maximum", value):
        yield f"{where}: {value} is out of range"


def check_names(models):
    seen = {}
    for stem, m in models.items():
        if stem != m["id"]:
            yield f"{stem}.json holds the id {m['id']}"
        for name in [m["id"], *m["aliases"]]:
            if name in seen:
                yield f"{name} is a name of {seen[name]} and of {m['id']}"
            seen[name] = m["id"]


def check_ranks(models):
    ranks = sorted(m["rank"] for m in models.values() if m["tier"] == "top10")
    if ranks != list(range(1, 11)):
        yield f"the ranks of the top ten are {ranks}"
    ranked = [m["rank"] for m in models.values() if m["rank"]]
    if len(ranked) != len(set(ranked)):
        yield "two models share a rank"
    for m in models.values():
        if m["tier"] == "top10" and not (m["variants"] and m["variants"][0]["bytes"] and m["context_tok"]):
            yield f"{m['id']}: of the top ten, size and context must be known"


def check_starter(models):
    starters = [m for m in models.values() if m["starter"]]
    if len(starters) != 1:
        yield f"{len(starters)} starters"
    for m in starters:
        first = m["variants"][0]
        if not (first["sha256"] and first["bytes_exact"] and first["gguf"] and first["file"] and m["runs_here"] and m["licence"]["class"] == "free"):
            yield f"{m['id']}: the starter must be a free file that we know exactly and can run"
        if m["memory"]["kv_bytes_per_tok"] == 0:
            yield f"{m['id']}: the starter's memory rule must be known"


def check_scores(models):
    for m in models.values():
        names = [v["name"] for v in m["variants"]]
        if len(names) != len(set(names)):
            yield f"{m['id']}: two variants of one name"
        for s in m["scores"]:
            if abs(100 * s["score"] / s["best_score"] - s["percent"]) > 0.15:
                yield f"{m['id']}: {s['benchmark']}: {s['percent']} % is not {s['score']} of {s['best_score']}"
            if s["variant"] and s["variant"] not in names:
                yield f"{m['id']}: {s['benchmark']}: no variant {s['variant']}"
            if not s["source"]:
                yield f"{m['id']}: {s['benchmark']}: no source"


def check_licences(models):
    for m in models.values():
        kind, allows = m["licence"]["class"], m["licence"]["allows"]
        if kind == "free" and (allows["use"], allows["change"]) != ("yes", "yes"):
            yield f"{m['id']}: a free licence allows use and change"
        if kind == "free" and "unknown" in allows.values():
            yield f"{m['id']}: a free licence is one that was read"
        if kind == "restricted" and allows["serve"] not in ("conditions", "no"):
            yield f"{m['id']}: what does its licence restrict?"


# What SGLang's page of server arguments names (docs/advanced_features/server_arguments.md of sgl-project/sglang, read in late 2026); we have no machine to run it on.
SGLANG = {"--model-path", "--host", "--port", "--served-model-name", "--context-length", "--max-running-requests", "--enable-metrics", "--tool-call-parser", "--reasoning-parser",
          "--tensor-parallel-size", "--kv-cache-dtype", "--mem-fraction-static", "--quantization", "--attention-backend", "--dtype", "--page-size", "--chat-template", "--nnodes", "--node-rank", "--dist-init-addr", "--pipeline-parallel-size"}
SGLANG_PARSERS = {"--tool-call-parser": {"deepseekv3", "deepseekv31", "glm", "glm45", "glm47", "gpt-oss", "kimi_k2", "llama3", "mistral", "pythonic", "qwen", "qwen25", "qwen3_coder", "step3", "gigachat3"},
                  "--reasoning-parser": {"deepseek-r1", "deepseek-v3", "glm45", "gpt-oss", "kimi", "qwen3", "qwen3-thinking", "step3"}}


def check_sglang(where, words):
    for word, value in zip(words, words[1:] + [""]):
        if word.startswith("--") and word not in SGLANG:
            yield f"{where}: SGLang documents no {word}"
        if value not in SGLANG_PARSERS.get(word, {value}):
            yield f"{where}: SGLang documents no parser {value} for {word}"


def check_run(m, r, engines, machines):
    where = f"{m['id']}: {r['engine']}"
    words = r.get("arguments", []) + r.get("host_arguments", [])
    if r["engine"] not in engines:
        yield f"{where}: no such engine"
        return
    own = {w for w in engines[r["engine"]]["arguments"] + engines[r["engine"]]["ranks"]["arguments"] if w.startswith("--")}
    yield from (f"{where}: {w} is in the engine's row already" for w in words if w.split("=")[0] in own)
    yield from check_sglang(where, words) if r["engine"] == "sglang" else []
    yield from (f"{where}: {w}: code from a model's repository does not run" for w in words if "trust-remote-code" in w.replace("_", "-"))
    if r.get("variant") and r["variant"] not in [v["name"] for v in m["variants"]]:
        yield f"{where}: no variant {r['variant']}"
    if r.get("device") and r["device"] not in machines:
        yield f"{where}: no machine {r['device']}"
    if "--tensor-parallel-size" in words and words[words.index("--tensor-parallel-size") + 1] != str(r.get("devices")):
        yield f"{where}: tensor parallel over other than its devices"
    if m["heads"] and r.get("devices") and m["heads"] % r["devices"]:
        yield f"{where}: {m['heads']} heads do not divide by {r['devices']}"


def check_runs(models, engines, machines):
    for m in models.values():
        for r in m["runs"]:
            yield from check_run(m, r, {e["id"]: e for e in engines}, [h["id"] for h in machines])
        if m["tier"] == "top10" and not m["runs"]:
            yield f"{m['id']}: of the top ten, and no engine runs it"
        if m["runs_here"] != any(r["engine"] == "freehold" for r in m["runs"]):
            yield f"{m['id']}: does our own engine run it?"


def check_machines(machines):
    ids = [h["id"] for h in machines]
    yield from (f"two machines of the id {i}" for i in sorted(set(ids)) if ids.count(i) > 1)
    yield from (f"{h['id']}: no memory" for h in machines if h["memory_gb"] <= 0 and h["kind"] != "cpu")


def check_factors(factors):
    keys = [f["key"] for f in factors]
    yield from (f"two factors of the key {k}" for k in sorted(set(keys)) if keys.count(k) > 1)
    yield from (f"{f['key']}: {f['value']} is not within its spread" for f in factors if not f.get("low", f["value"]) <= f["value"] <= f.get("high", f["value"]))
    yield from (f"{f['key']}: a site's machines take no more than the site" for f in factors if f["key"].startswith("pue.") and "home" not in f["key"] and f["value"] < 1)


def check_prices(root):
    for path in root.rglob("*.json"):
        for key in re.findall(r'"([a-z_]*(?:usd|price|rental|purchase)[a-z_]*)"\s*:', path.read_text()):
            yield f"{path.name}: {key}: prices do not belong here"


def check_templates(engine):
    """The values that arguments may name; {{ and }} are braces."""
    known = {"weights", "socket", "model", "weight_cache", "page_cache", "port", "context_tok", "streams", "all_context_tok", "kv_gib", "kv_type", "ranks", "rank", "head", "head_port"}
    for word in engine["arguments"] + engine["kv"]["arguments"] + engine["ranks"]["arguments"] + engine["ranks"]["others"] + engine["environment"]:
        rest = re.sub(r"\{\{|\}\}|\{(\w+)\}", lambda m: "" if m.group(1) in known | {None} else m.group(0), word)
        if "{" in rest or "}" in rest:
            yield f"{engine['id']}: the template {word!r}"


def check_architectures(own, families):
    """What the catalogue says of our own engine is what it has rows for."""
    rows = re.findall(r'^    \{"([^"]+)", &fh_', families, re.M)
    return [] if rows and rows == own["architectures"] else [f"src/engine/families.c has {rows}, the catalogue says {own['architectures']}"]


def check_engines(engines):
    ids = [e["id"] for e in engines]
    yield from (f"two engines of the id {i}" for i in sorted(set(ids)) if ids.count(i) > 1)
    yield from ([] if ids[0] == "freehold" and [e["id"] for e in engines if not e["program"]] == ["freehold"] else ["the first row, and no other, is our own engine"])
    for e in engines:
        yield from check_templates(e)
        yield from check_sglang("engines", e["arguments"] + e["ranks"]["arguments"]) if e["id"] == "sglang" else []
        if e["program"] and not (e["version"]["after"] and e["version"]["arguments"] and e["version"]["least"] and e["version"]["below"]):
            yield f"{e['id']}: which versions?"
        words = " ".join(e["arguments"])
        if ("{socket}" in words) != (e["listens"] == "unix") or ("{port}" in words) != (e["listens"] == "port"):
            yield f"{e['id']}: it listens elsewhere than it is told"
        if e["sandbox"]["loopback"] and not e["sandbox"]["processes"]:
            yield f"{e['id']}: a loopback, and nobody to speak to over it"


def main(root):
    schema = json.loads((root / "model.schema.json").read_text())
    models = {p.stem: json.loads(p.read_text()) for p in sorted(root.glob("models/*.json"))}
    machines = json.loads((root / "hardware.json").read_text())
    engines = json.loads((root / "engines.json").read_text())
    factors = json.loads((root / "factors.json").read_text())
    parts = {
        "every model follows the schema": [e for name, m in models.items() for e in check(schema, m, name)],
        "every machine follows the schema": list(check(json.loads((root / "hardware.schema.json").read_text()), machines, "hardware")),
        "names are unique": list(check_names(models)),
        "the top ten are ten, in order, and known": list(check_ranks(models)),
        "there is one starter, known exactly": list(check_starter(models)),
        "scores are what they say": list(check_scores(models)),
        "licences allow what their class says": list(check_licences(models)),
        "engines, variants, machines and arguments of what runs a model are there": list(check_runs(models, engines, machines)),
        "the checker sees what is wrong with a way to run a model": [
            str(r) for r in ({"engine": "none"}, {"engine": "vllm", "arguments": ["--trust-remote-code"]}, {"engine": "vllm", "arguments": ["--served-model-name", "x"]},
                             {"engine": "vllm", "device": "none"}, {"engine": "vllm", "devices": 8, "host_arguments": ["--tensor-parallel-size", "4"]},
                             {"engine": "vllm", "variant": "none"}, {"engine": "sglang", "arguments": ["--made-up"]}, {"engine": "sglang", "arguments": ["--reasoning-parser", "none"]}, {"engine": "vllm", "devices": 5})
            if not list(check_run({"id": "x", "heads": 64, "variants": []}, r, {e["id"]: e for e in engines}, []))],
        "machines are unique and have memory": list(check_machines(machines)),
        "every engine follows the schema": list(check(json.loads((root / "engines.schema.json").read_text()), engines, "engines")),
        "engines are whole, and their templates name what there is": list(check_engines(engines)),
        "our own engine computes the architectures that are said": check_architectures(engines[0], (root.parents[1] / "src/engine/families.c").read_text()),
        "every factor follows the schema": list(check(json.loads((root / "factors.schema.json").read_text()), factors, "factors")),
        "factors are unique and lie within their spread": list(check_factors(factors)),
        "the checker sees a factor beside its spread": [] if list(check_factors([{"key": "pue.x", "value": 0.9, "low": 1, "high": 2}])) else ["it passed"],
        "no price has crept in": list(check_prices(root)),
        "the checker sees what is wrong": [] if list(check(schema, {"id": "X", "rank": "1", "more": 1}, "bad")) else ["a bad model passed"],
        "the checker sees bad templates": [w for w in ("{", "{nothing}", "a}", "{weights") if not list(check_templates({"id": "x", "arguments": [w], "kv": {"types": [], "arguments": []}, "ranks": {"arguments": [], "others": []}, "environment": []}))],
    }
    print(f"1..{len(parts)}")
    for i, (name, errors) in enumerate(parts.items(), 1):
        print(f"{'not ok' if errors else 'ok'} {i} - {name}")
        for e in errors:
            print(f"# {e}")
    return 1 if any(parts.values()) else 0


sys.exit(main(pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).resolve().parents[2] / "data" / "catalog")))
