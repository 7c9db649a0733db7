"""What the tests of clients share. By FREEHOLD_TEST_UPSTREAM=URL they run over that endpoint, as a provider of the server, instead of our own engine: tests/clients/over starts
one and runs them all. Nothing here depends on what a model says. Python's standard library only."""
import contextlib
import functools
import json
import os
import re

from freehold import Server, Skip

UPSTREAM = os.environ.get("FREEHOLD_TEST_UPSTREAM")
engine = None  # behind UPSTREAM, as freehold knows it: "llama-server", "vllm"
REFUSED = "not supported by this model's engine"
ASK = [{"role": "user", "content": "Name the capital of France."}]
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=="  # one pixel
CITIES = ["Paris", "Rome"]
CITY = {"type": "object", "properties": {"city": {"enum": CITIES}}, "required": ["city"], "additionalProperties": False}
TOOLS = [{"type": "function", "function": {"name": "get_weather", "description": "The weather in a city", "parameters": CITY}}]


@contextlib.contextmanager
def served():
    """A server and the name of the model that it serves: the starter, or the first one of the upstream."""
    with Server() as server:
        if not UPSTREAM:
            server.deploy()
            yield server, "smollm2"
            return
        done = server.cli("provider", "add", "lab", "--url", UPSTREAM, "--json")
        assert done.returncode == 0, done
        provider = json.loads(server.cli("provider", "list", "--json").stdout)["items"][0]
        global engine
        engine = provider["engine"]
        yield server, provider["models"][0]


def where_it_can(fn):
    """What not every engine can is refused by name, and then there is nothing to test."""
    @functools.wraps(fn)
    def tried(*args):
        try:
            return fn(*args)
        except Exception as e:
            if REFUSED in str(e):
                raise Skip(re.search(r"[\w ,'-]*" + REFUSED, str(e))[0].strip(" -")) from None
            raise
    return tried


def own_engine(fn):
    """What our engine promises and others do not."""
    @functools.wraps(fn)
    def tried(*args):
        if UPSTREAM:
            raise Skip("a promise of our own engine")
        return fn(*args)
    return tried


def unless(**reasons):
    """What an engine does otherwise than the API says, by its name (llama_server, vllm), and why."""
    def skipping(fn):
        @functools.wraps(fn)
        def tried(*args):
            why = reasons.get((engine or "").replace("-", "_"))
            if why:
                raise Skip(f"{engine} {why}")
            return fn(*args)
        return tried
    return skipping


def raises(kind, call, says=""):
    """The exception, which must be of that kind and say that."""
    try:
        call()
    except kind as e:
        assert says in str(e), e
        return e
    raise AssertionError(f"{kind.__name__} was not raised")
