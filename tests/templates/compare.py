#!/usr/bin/env python3
"""Every chat template that llama.cpp ships, and the starter model's own, rendered by us and by `transformers` (its own jinja2 environment, not a copy of
it) on every conversation of this folder: the texts must be the same byte for byte; where Python raises, ours must fail too, with the same words if the
template raised them.

usage: compare.py RENDER   (built from render.c). The templates are fetched by tests/tools/peers-templates; the starter model is FREEHOLD_STARTER_GGUF, or lies
where tools/fetch-starter puts it. TAP on standard output, a count at the end."""
import copy
import datetime
import json
import os
import pathlib
import subprocess
import sys

import gguf
import jinja2
import transformers.utils.chat_template_utils as hub

HERE = pathlib.Path(__file__).parent
NOW = datetime.datetime(2024, 7, 26, 10, 5, 9)


class FixedTime(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return NOW


hub.datetime = FixedTime


class Ours:
    def __init__(self, program):
        self.process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def render(self, variables, template=None):
        request = {"variables": variables, "now": [NOW.year, NOW.month, NOW.day, NOW.hour, NOW.minute, NOW.second, NOW.weekday(), NOW.timetuple().tm_yday]}
        if template is not None:
            request["template"] = template
        self.process.stdin.write(json.dumps(request).encode() + b"\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit("the render program ended")
        return json.loads(line)


def theirs(template, variables):
    try:
        return {"text": hub._compile_jinja_template(template).render(**copy.deepcopy(variables))}
    except jinja2.exceptions.TemplateError as e:
        raised = type(e) is jinja2.exceptions.TemplateError
        return {"error": str(e), "raised": raised}
    except Exception as e:  # whatever Python raises, ours must fail
        return {"error": f"{type(e).__name__}: {e}", "raised": False}


def same(a, b):
    if "text" in b:
        return a.get("text") == b["text"]
    return "error" in a and (not b["raised"] or a["error"] == b["error"])


def show(a, b):
    if "text" not in a or "text" not in b:
        return f"ours {str(a)[:300]}\ntheirs {str(b)[:300]}"
    x, y = a["text"], b["text"]
    at = next((i for i, (p, q) in enumerate(zip(x, y)) if p != q), min(len(x), len(y)))
    return f"differ at {at}: ours {x[max(0, at - 60):at + 60]!r}\ntheirs {y[max(0, at - 60):at + 60]!r}"


def conversations():
    for path in sorted((HERE / "conversations").glob("*.json")):
        c = json.loads(path.read_text())
        common = {k: v for k, v in c.items() if k not in ("what", "variants")}
        for i, variant in enumerate(c["variants"]):
            yield f"{path.stem}/{i}", {**common, "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", **variant}


def peers_folder():
    found = subprocess.run([HERE.parent / "tools" / "peers-templates"], capture_output=True, text=True)
    if found.returncode:
        print(f"1..0 # SKIP {found.stderr.strip().splitlines()[-1]}")
        sys.exit(0)
    return pathlib.Path(found.stdout.strip()) / "templates"


def starter_model():
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return os.environ.get("FREEHOLD_STARTER_GGUF") or f"{cache}/freehold/starter/SmolLM2-135M-Instruct.Q4_1.gguf"


def templates():
    """Names and sources; the source is None when there is none here."""
    for path in sorted(peers_folder().glob("*.jinja")):
        yield path.stem, path.read_text()
    model = starter_model()
    yield "the starter model", gguf.GGUFReader(model).get_field("tokenizer.chat_template").contents() if os.path.exists(model) else None


def main():
    ours = Ours(sys.argv[1])
    cases = list(conversations())
    number = wrong = renders = refused = 0
    names = {name.split("/")[0] for name, _ in cases}
    for name, source in templates():
        number += 1
        if source is None:
            print(f"ok {number} - {name} # SKIP not here: tools/fetch-starter gets it")
            continue
        differs = []
        ours.render({}, source)
        for case, variables in cases:
            a, b = ours.render(variables), theirs(source, variables)
            renders += 1
            refused += "error" in b
            if not same(a, b):
                differs.append(f"{case}: {show(a, b)}")
        print(f"{'ok' if not differs else 'not ok'} {number} - {name}: {len(cases) - len(differs)} of {len(cases)} the same")
        for line in "\n".join(differs[:5]).splitlines():
            print("# " + line)
        wrong += bool(differs)
    print(f"1..{number}")
    print(f"# {number} templates, {len(names)} conversations, {renders} renderings ({refused} of them refused by both); {wrong} templates differ")
    return 1 if wrong or not number else 0


if __name__ == "__main__":
    sys.exit(main())
