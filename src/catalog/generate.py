#!/usr/bin/env python3
"""Turns the files of data/catalog into C tables, so that the binary carries them. Usage: generate.py DATA_FOLDER OUTPUT.c
       generate.py --list DATA_FOLDER    names the files that it reads
       generate.py --pack DATA_FOLDER OUTPUT.json    makes an update of them: `freehold catalog update OUTPUT.json`

Whatever the schema test (tests/catalog) would refuse stops the build here only where C could not express it; both read the same files."""
import json
import pathlib
import sys

TIERS = ["top10", "contender", "small", "superseded"]
RUN_WORDS = ["arguments", "host_arguments", "environment"]
ALLOWS = ["use", "change", "sell", "serve"]
LICENCES = {"free": "FH_LICENCE_FREE", "ask": "FH_LICENCE_ASK", "restricted": "FH_LICENCE_RESTRICTED"}


def text(value):
    out = []
    for byte in value.encode():
        c = chr(byte)
        out.append("\\" + c if c in '"\\?' else c if 32 <= byte < 127 else f"\\{byte:03o}")
    return '"' + "".join(out) + '"'


def flag(value):
    return "true" if value else "false"


def order(model):
    """The top ten first, then other ranked ones, then the starter and small ones, then the rest."""
    tier = TIERS.index(model["tier"])
    return (tier, 0 if model["rank"] else 1, model["rank"], not model["starter"], -model["params_total_b"] if tier != 2 else model["params_total_b"], model["id"])


def variant(v):
    return (f'    {{{text(v["name"])}, {text(v["format"])}, {text(v["repo"])}, UINT64_C({v["bytes"]}), {flag(v["bytes_exact"])}, {flag(v["gguf"])}, '
            f'{text(v["sha256"])}, {text(v["file"])}, {text(v["source"])}}},')


def score(s):
    return (f'    {{{text(s["benchmark"])}, {text(s["harness"])}, {text(s["date"])}, {text(s["source"])}, {text(s["best_model"])}, {text(s["best_date"])}, '
            f'{float(s["score"])}, {float(s["best_score"])}, {float(s["percent"])}, {text(s["variant"])}}},')


def run(i, k, r):
    fields = [f'.{w} = {text(r.get(w, ""))}' for w in ["engine", "variant", "least", "image", "package", "revision", "device", "state", "source", "notes"]]
    fields += [f".{w} = {w}_{i}_{k}" if r.get(w) else f".{w} = no_words" for w in RUN_WORDS]
    return "    {" + ", ".join(fields + [f'.devices = {r.get("devices", 0)}']) + "},"


def cache(c):
    fields = [f'.kind = FH_CACHE_{c["kind"].upper()}'] + [f".{k} = {v}" for k, v in c.items() if k != "kind"]
    return f'    {{{", ".join(fields)}}},'


def tables(i, m):
    """The arrays that entry i points at."""
    if m["memory"]["caches"]:
        yield f"static const fh_catalog_cache caches_{i}[] = {{"
        yield from map(cache, m["memory"]["caches"])
        yield "};"
    yield f"static const char *const aliases_{i}[] = {{{''.join(text(a) + ', ' for a in m['aliases'])}NULL}};"
    if m["variants"]:
        yield f"static const fh_catalog_variant variants_{i}[] = {{"
        yield from map(variant, m["variants"])
        yield "};"
    if m["runs"]:
        for k, r in enumerate(m["runs"]):
            yield from (words(w, f"{i}_{k}", r[w]) for w in RUN_WORDS if r.get(w))
        yield f"static const fh_catalog_run runs_{i}[] = {{"
        yield from (run(i, k, r) for k, r in enumerate(m["runs"]))
        yield "};"
    if m["scores"]:
        yield f"static const fh_catalog_score scores_{i}[] = {{"
        yield from map(score, m["scores"])
        yield "};"


def model(i, m):
    words = ["id", "name", "maker", "repo", "released"]
    fields = [f".{w} = {text(m[w])}" for w in words] + ['.from = ""']
    fields += [f".aliases = aliases_{i}", f'.tier = {text(m["tier"])}', f'.rank = {m["rank"]}', f'.starter = {flag(m["starter"])}', f'.runs_here = {flag(m["runs_here"])}']
    licence = m["licence"]
    fields += [f'.licence = {text(licence["name"])}', f'.licence_class = {LICENCES[licence["class"]]}', f'.licence_summary = {text(licence["summary"])}']
    fields += [f'.allows_{w} = {text(licence["allows"][w])}' for w in ALLOWS]
    fields += [f'.params_total_b = {float(m["params_total_b"])}', f'.params_active_b = {float(m["params_active_b"])}']
    fields += [f'.attention = {text(m["attention"])}', f'.architecture = {text(m["architecture"])}', f'.modalities = {text(", ".join(m["modalities"]))}']
    fields += [f'.layers = {m["layers"]}', f'.heads = {m["heads"]}']
    memory = m["memory"]
    if memory["caches"]:
        fields += [f".caches = caches_{i}", f'.cache_count = {len(memory["caches"])}']
    fields += [f'.context_tok = {m["context_tok"]}', f'.kv_bytes_per_tok = UINT64_C({memory["kv_bytes_per_tok"]})']
    fields += [f'.kv_fixed_bytes = UINT64_C({memory["kv_fixed_bytes"]})', f'.kv_rule = {text(memory["rule"])}']
    fields += [f'.hardware = {text("; ".join(m["hardware"]))}', f'.notes = {text(m["notes"])}']
    if m["variants"]:
        fields += [f".variants = variants_{i}", f'.variant_count = {len(m["variants"])}']
    if m["runs"]:
        fields += [f".runs = runs_{i}", f'.run_count = {len(m["runs"])}']
    if m["scores"]:
        fields += [f".scores = scores_{i}", f'.score_count = {len(m["scores"])}']
    return "    {" + ",\n     ".join(fields) + "},"


def machine(i, h):
    words = ", ".join(text(h[k]) for k in ["id", "name", "vendor", "kind"])
    numbers = ", ".join(str(float(h[k])) for k in ["memory_gb", "memory_usable_gb", "memory_bandwidth_gbs", "bf16_tflops", "fp8_tflops", "fp4_tflops", "int8_tops", "tdp_w"])
    return f'    {{{words}, sold_as_{i}, {numbers}, {text(h["memory_type"])}, {text(h["interconnect"])}, {text(h["notes"])}, ""}},'


def words(name, i, list_):
    return f"static const char *const {name}_{i}[] = {{{''.join(text(w) + ', ' for w in list_)}NULL}};"


def engine_tables(i, e):
    """The arrays that engine i points at."""
    lists = {"version_arguments": e["version"]["arguments"], "version_after": e["version"]["after"], "tools": e["sandbox"]["tools"], "kv_types": e["kv"]["types"], "kv_arguments": e["kv"]["arguments"],
             "rank_arguments": e["ranks"]["arguments"], "rank_others": e["ranks"]["others"],
             **{k: e[k] for k in ["formats", "architectures", "arguments", "environment", "can"]}}
    return [words("engine_" + name, i, list_) for name, list_ in lists.items()]


def engine(i, e):
    version, health, metrics, box = e["version"], e["health"], e["metrics"], e["sandbox"]
    fields = [f".{w} = {text(e[w])}" for w in ["id", "name", "licence", "notes", "program", "owned_by"]]
    fields += [f".{w} = engine_{w}_{i}" for w in ["version_arguments", "version_after", "formats", "architectures", "arguments", "environment", "can", "tools", "kv_types", "kv_arguments", "rank_arguments",
                                                  "rank_others"]]
    fields += [f".version_{w} = {text(version[w])}" for w in ["least", "below", "tested"]]
    fields += [f'.ask = FH_ENGINE_ASK_{version["ask"].upper()}', f'.listens = FH_ENGINE_LISTENS_{e["listens"].upper()}', f'.health_says = FH_ENGINE_SAYS_{health["says"].upper()}']
    fields += [f'.resumes = FH_ENGINE_RESUMES_{e["resume"].upper()}', f'.health_path = {text(health["path"])}', f'.start_s = {health["start_s"]}', f'.metrics_path = {text(metrics["path"])}']
    fields += [f".metric_{w} = {text(metrics[w])}" for w in ["running", "waiting", "kv_used", "kv_total", "generated", "prompt"]]
    fields += [f".{w} = {flag(e[w])}" for w in ["repeats_beginning", "counts_at_tokenize"]] + [f".{w} = {flag(box[w])}" for w in ["processes", "loopback", "wide"]]
    fields += [f'.threads = {box["threads"]}', f'.memory_bytes = UINT64_C({box["memory_bytes"]})', f'.tmp_bytes = UINT64_C({box["tmp_bytes"]})']
    return "    {" + ",\n     ".join(fields) + "},"


def factor(f):
    numbers = f'{float(f["value"])!r}, {float(f.get("low", f["value"]))!r}, {float(f.get("high", f["value"]))!r}, {flag("low" in f)}, {flag("high" in f)}'
    return f'    {{{text(f["key"])}, {numbers}, {", ".join(text(f[w]) for w in ["unit", "scope", "year", "source"])}, {flag(f.get("unverified", False))}}},'


def entries(root):
    models = sorted((json.loads(p.read_text()) for p in root.glob("models/*.json")), key=order)
    return json.loads((root / "version.json").read_text())["version"], models, json.loads((root / "hardware.json").read_text())


def pack(folder, output):
    version, models, machines = entries(pathlib.Path(folder))
    pathlib.Path(output).write_text(json.dumps({"version": version, "models": models, "machines": machines}, ensure_ascii=False, indent=1) + "\n")


def main(folder, output):
    root = pathlib.Path(folder)
    version, models, machines = entries(root)
    engines = json.loads((root / "engines.json").read_text())
    factors = sorted(json.loads((root / "factors.json").read_text()), key=lambda f: f["key"].encode())
    lines = ['/* Made by src/catalog/generate.py from data/catalog: change those files, not this one. */', '#include "catalog/catalog.h"', '#include "catalog/engines.h"', '#include "catalog/factors.h"', ""]
    lines += ["static const char *const no_words[] = {NULL};"]
    for i, m in enumerate(models):
        lines += tables(i, m)
    lines += ["static const fh_catalog_model models[] = {", *(model(i, m) for i, m in enumerate(models)), "};"]
    lines += [f"static const char *const sold_as_{i}[] = {{{''.join(text(a) + ', ' for a in h['sold_as'])}NULL}};" for i, h in enumerate(machines)]
    lines += ["static const fh_catalog_machine machines[] = {", *(machine(i, h) for i, h in enumerate(machines)), "};"]
    for name, list_ in (("model", models), ("machine", machines)):
        lines += [f"static const fh_catalog_{name} *const {name}_list[] = {{{', '.join(f'&{name}s[{i}]' for i in range(len(list_)))}}};"]
    lines += [f"const fh_catalog fh_catalog_built_in = {{.version = {text(version)}, .models = model_list, .model_count = {len(models)}, .machines = machine_list, .machine_count = {len(machines)}}};"]
    for name, schema in (("model", "model.schema.json"), ("machine", "hardware.schema.json")):
        lines += [f"const char fh_catalog_{name}_schema[] =", *(f"    {text(line.strip() + ' ')}" for line in (root / schema).read_text().splitlines()), "    ;"]
    for i, e in enumerate(engines):
        lines += engine_tables(i, e)
    lines += ["const fh_catalog_engine fh_catalog_engines[] = {", *(engine(i, e) for i, e in enumerate(engines)), "};"]
    lines += [f"const size_t fh_catalog_engine_total = {len(engines)};"]
    lines += ["const fh_catalog_factor fh_catalog_factors[] = {", *map(factor, factors), "};", f"const size_t fh_catalog_factor_total = {len(factors)};", ""]
    pathlib.Path(output).write_text("\n".join(lines))


if sys.argv[1] == "--list":
    print("\n".join(sorted(map(str, pathlib.Path(sys.argv[2]).rglob("*.json")))))
elif sys.argv[1] == "--pack":
    pack(*sys.argv[2:4])
else:
    main(*sys.argv[1:3])
