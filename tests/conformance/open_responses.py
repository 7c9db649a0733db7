#!/usr/bin/env python3
"""The cases of the compliance suite of Open Responses, against our own engine with the starter model and against an endpoint that sees images and calls tools:
open_responses.py [--write]. Every response and every event is validated by the package openresponses-types, whose types are generated from the specification. --write puts the outcome
into docs/CONFORMANCE.md, which must not differ from it. Run with the interpreter of tests/tools/python-env. Prints TAP."""
import base64
import contextlib
import importlib.metadata
import json
import subprocess
import sys
import time
import zlib
from enum import Enum
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "support"))
import page
from freehold import Server, Tap, free_port, need_starter

try:
    import openresponses_types.types as spec
except ImportError:
    Tap.skip_all("openresponses-types is not installed: run with the interpreter of tests/tools/python-env")

NAME = "tests/conformance/open_responses.py"
SPECIFICATION = next(line.split()[-1] for line in spec.__doc__.splitlines() if "Spec Version" in line)


def event_types():
    """{its type: the class of an event}"""
    classes = [c for name, c in vars(spec).items() if name.endswith("StreamingEvent")]
    kinds = [c.model_fields["type"].annotation for c in classes]
    return {next(iter(kind)).value: c for kind, c in zip(kinds, classes) if issubclass(kind, Enum)}


EVENTS = event_types()


def png():
    """A red square, eight pixels wide."""
    def chunk(kind, data):
        return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")
    rows = b"".join(b"\0" + b"\xff\0\0" * 8 for _ in range(8))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", (8).to_bytes(4, "big") * 2 + b"\x08\x02\0\0\0") + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def message(role, content):
    return {"type": "message", "role": role, "content": content}


WEATHER = {"type": "function", "name": "get_weather", "description": "The weather of a place now", "parameters": {
    "type": "object", "properties": {"location": {"type": "string", "description": "City and state"}}, "required": ["location"]}}
PICTURE = [{"type": "input_text", "text": "What does this picture show?"}, {"type": "input_image", "image_url": "data:image/png;base64," + base64.b64encode(png()).decode()}]
TOOLS = {"input": [message("user", "What is the weather in San Francisco?")], "tools": [WEATHER]}
CASES = {  # by the ids that the suite has for them
    "basic-response": {"input": [message("user", "Say hello in three words.")]},
    "streaming-response": {"input": [message("user", "Count from one to five.")], "stream": True},
    "system-prompt": {"input": [message("system", "You are a pirate."), message("user", "Say hello.")]},
    "tool-calling": TOOLS,
    "tool-calling-streaming": {**TOOLS, "stream": True},
    "image-input": {"input": [message("user", PICTURE)]},
    "multi-turn": {"input": [message("user", "My name is Alice."), message("assistant", "Hello Alice!"), message("user", "What is my name?")]},
}


def events_of(text):
    """Each validated, in order."""
    blocks = text.decode().strip().split("\n\n")
    assert blocks.pop() == "data: [DONE]", text[-200:]
    events = []
    for block in blocks:
        name, data = block.split("\n")
        event = json.loads(data.removeprefix("data: "))
        assert name == "event: " + event["type"] and event["sequence_number"] == len(events), block
        EVENTS[event["type"]].model_validate_json(data.removeprefix("data: "), strict=True)
        events.append(event)
    return events


def respond(server, body):
    """(response, kinds of its events); status 200 and the shapes of the specification."""
    status, _, text = server.request("POST", "/v1/responses", body)
    assert status == 200, (status, text)
    events = events_of(text) if body.get("stream") else []
    response = events[-1]["response"] if events else json.loads(text)
    spec.ResponseResource.model_validate_json(json.dumps(response), strict=True)
    assert response["output"], response
    return response, [(e["type"], (e.get("item") or {}).get("type")) for e in events]


def check_call(response, kinds):
    calls = [i for i in response["output"] if i["type"] == "function_call"]
    assert calls and calls[0]["name"] == "get_weather" and "location" in json.loads(calls[0]["arguments"]), response["output"]
    for kind in (("response.output_item.added", "function_call"), ("response.function_call_arguments.delta", None), ("response.function_call_arguments.done", None),
                 ("response.output_item.done", "function_call")) if kinds else ():
        assert kind in kinds, (kind, kinds)


def by_another(server, case):
    response, kinds = respond(server, {"model": "told", **CASES[case]})
    assert response["status"] == "completed", response
    if "tools" in CASES[case]:
        check_call(response, kinds)
    return "passes"


def by_our_engine(server, case):
    """The starter model is small: it is told to call, and where to end; images it does not see."""
    body = {"model": "smollm2", "max_output_tokens": 64, "temperature": 0, **CASES[case]}
    if case == "image-input":
        status, _, text = server.request("POST", "/v1/responses", body)
        assert status == 400 and "image" in json.loads(text)["error"]["message"], (status, text)
        return "refused by name: the starter model sees no images"
    response, kinds = respond(server, {**body, "tool_choice": "required"} if "tools" in body else body)
    assert response["status"] == "completed" or response["incomplete_details"] == {"reason": "max_output_tokens"}, response
    if "tools" in body:
        check_call(response, kinds)
    return "passes, with `tool_choice: required`" if "tools" in body else "passes"


@contextlib.contextmanager
def told(server):
    """An endpoint that is told what to say, as a provider of the server."""
    port = free_port()
    endpoint = subprocess.Popen([sys.executable, HERE.parent / "openresponses/told.py", str(port), server.folder / "told"])
    try:
        until = time.monotonic() + 60
        while (done := server.cli("provider", "add", "told", "--url", f"http://127.0.0.1:{port}")).returncode and time.monotonic() < until:
            time.sleep(0.1)
        assert done.returncode == 0, done.stderr
        yield
    finally:
        endpoint.kill()
        endpoint.wait()


def table(said):
    rows = [f"| `{case}` | {said[case, 'our engine']} | {said[case, 'an endpoint']} |" for case in CASES]
    package = f"openresponses-types {importlib.metadata.version('openresponses-types')}"
    return [f"Validated by {package}, generated from the specification of {SPECIFICATION}.", "", "| case | our engine, SmolLM2-135M | over an endpoint that sees and calls |", "| --- | --- | --- |", *rows]


def main():
    need_starter()
    tap, said = Tap(), {}

    def case_is(ask, server, case, where):
        said[case, where] = ask(server, case)
    with Server() as server, told(server):
        server.deploy()
        for case in CASES:
            tap.check(f"{case}, our engine", case_is, by_our_engine, server, case, "our engine")
            tap.check(f"{case}, an endpoint", case_is, by_another, server, case, "an endpoint")
    if not tap.failed:
        if "--write" in sys.argv:
            page.write(NAME, table(said))
        tap.check("the page says so", page.check, NAME, table(said))
    tap.end()


if __name__ == "__main__":
    main()
