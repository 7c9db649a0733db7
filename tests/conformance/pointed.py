"""A plugin of pytest that points the server tests of llama.cpp at a freehold. It says for them what the two servers ask for differently, and changes nothing of what they expect:

- a key, which every path here wants; in tests of keys only their key becomes ours;
- the model: theirs serves one and it need not be named;
- what their server is started with: --seed 42, --temp 0.8, and for an answer that nothing bounds --n-predict 64;
- paths that stand without /v1 there, and /health;
- nothing outside this machine is asked: a test that does so fails.

FREEHOLD_KEY and FREEHOLD_MODEL say which."""
import contextlib
import importlib
import json
import os
import re
import sys
import types
from urllib.parse import urlsplit

import requests

KEY, MODEL = os.environ["FREEHOLD_KEY"], os.environ["FREEHOLD_MODEL"]
THEIR_KEY = "sk-this-is-the-secret-key"
WITHOUT_V1 = re.compile(r"(:\d+)/(chat/completions|completions|responses|embeddings)\b")
BOUNDS = {"/chat/completions": "max_tokens", "/completions": "max_tokens", "/responses": "max_output_tokens", "/messages": "max_tokens"}
sys.modules["wget"] = types.ModuleType("wget")  # they import it to fetch models


def with_key(headers):
    said = next((v for k, v in headers.items() if k.lower() in ("authorization", "x-api-key")), "")
    if THEIR_KEY in said:
        return {k: v.replace(THEIR_KEY, KEY) for k, v in headers.items()}
    if re.search("api_key|public", os.environ.get("PYTEST_CURRENT_TEST", "")):
        return headers
    return {**{k: v for k, v in headers.items() if k.lower() not in ("authorization", "x-api-key")}, "Authorization": f"Bearer {KEY}"}


def completed(path, body):
    if not isinstance(body, dict) or "/v1/" not in path:
        return body
    bound = next((name for end, name in BOUNDS.items() if path.endswith(end)), None)
    started = {"seed": 42, "temperature": 0.8} if bound else {}
    if bound and not {"max_tokens", "max_completion_tokens", "max_output_tokens"} & body.keys():
        started[bound] = 64
    return {**started, **body, "model": MODEL}


def at(url):
    assert urlsplit(url).hostname == "127.0.0.1", "the test asks for something outside this machine"
    return WITHOUT_V1.sub(r"\1/v1/\2", url).replace("/health", "/healthz")


plain = requests.Session.request


def request(self, method, url, headers=None, json=None, **more):
    url = at(str(url))
    return plain(self, method, url, headers=with_key({k: v for k, v in (headers or {}).items() if v is not None}), json=completed(url, json), **more)


requests.Session.request = request


def point(httpx):
    """The same for what the openai package asks through."""
    sent = httpx.Client.send

    def send(self, ask, **more):
        headers = with_key(dict(ask.headers))
        body, url = ask.read(), httpx.URL(at(str(ask.url)))
        if body and headers.get("content-type", "").startswith("application/json"):
            body = json.dumps(completed(url.path, json.loads(body))).encode()
        headers.pop("content-length", None)
        return sent(self, httpx.Request(ask.method, url, headers=headers, content=body, extensions=ask.extensions), **more)
    httpx.Client.send = send


for name in ("httpx", "httpx2"):
    with contextlib.suppress(ImportError):
        point(importlib.import_module(name))
