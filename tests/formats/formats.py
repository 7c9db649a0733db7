#!/usr/bin/env python3
"""Replies held to a form by our own engine, over HTTP: each that stops by itself is held against its schema by the `jsonschema` package, each that was cut
against the beginnings of documents that satisfy it (viable.py). Prints TAP. Without --whole a part of the schemas, one sample each."""
import collections
import concurrent.futures
import json
import random
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from freehold import Server, Tap, need_starter

try:
    import jsonschema
except ImportError:
    Tap.skip_all("the jsonschema package is not installed: run with the interpreter of tests/tools/python-env")

import schemas
import viable

WHOLE = "--whole" in sys.argv[1:]
EVERY, SAMPLES = (1, 4) if WHOLE else (8, 1)
TEMPERATURE, MOST, SHORTEST, STOP_SHARE = 1.5, 120, 60, 0.9
ASK = [{"role": "user", "content": "Give an example as JSON."}]
PERSON = schemas.closed(name=schemas.SHORT, age={"type": "integer", "minimum": 0, "maximum": 130})
TOOL = {"name": "get_weather", "parameters": schemas.closed(city={"enum": ["Paris", "Rome"]})}


def named(schema):
    return {"type": "json_schema", "json_schema": {"name": "answer", "strict": True, "schema": schema}}


def ask(server, body, path="/v1/chat/completions", **more):
    status, _, text = server.request("POST", path, {"model": "smollm2", **body}, timeout=300, **more)
    return status, json.loads(text)


def sample(server, schema, seed, most=MOST):
    status, reply = ask(server, {"messages": ASK, "response_format": named(schema), "temperature": TEMPERATURE, "max_tokens": most, "seed": seed})
    assert status == 200, reply
    choice = reply["choices"][0]
    return choice["message"]["content"], choice["finish_reason"], reply["usage"]["completion_tokens"]


def judge(name, schema, text, finish):
    """What is wrong with a reply, or None."""
    if finish == "length":
        return None if viable.whole(schema, text) else f"{name}: cut, and the beginning of nothing valid: {text!r}"
    if finish != "stop":
        return f"{name}: ended with {finish}"
    try:
        error = next(viable.validator(schema).iter_errors(json.loads(text)), None)
    except ValueError as e:
        return f"{name}: no JSON: {e}: {text!r}"
    return f"{name}: {error.message[:200]}: {text!r}" if error else None


def many(server, jobs):
    """[(name, schema, seed, most)]: wrong ones, and how often each end."""
    wrong, ends = [], collections.Counter()
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        replies = list(pool.map(lambda job: sample(server, *job[1:]), jobs))
    for (name, schema, _, most), (text, finish, tokens) in zip(jobs, replies):
        ends[finish] += 1
        problem = judge(name, schema, text, finish)
        wrong += [problem] if problem else []
        assert tokens <= most, (name, tokens)
    return wrong, ends


def replies_satisfy_their_schemas(server, chosen):
    wrong, ends = many(server, [(name, schema, 1000 * i + k, MOST) for i, (name, schema) in enumerate(chosen) for k in range(SAMPLES)])
    assert not wrong, f"{len(wrong)} of {sum(ends.values())} are wrong:\n" + "\n".join(wrong[:40])
    share = ends["stop"] / sum(ends.values())
    assert share >= STOP_SHARE, ends
    return f"{len(chosen)} schemas, {sum(ends.values())} replies: {ends['stop']} stopped by themselves ({share:.1%}), all valid; {ends['length']} cut, all beginnings of valid documents"


def cut_replies_can_go_on(server, chosen):
    random_ = random.Random(2)
    wrong, ends = many(server, [(name, schema, 7000 + i, random_.randint(1, 14)) for i, (name, schema) in enumerate(chosen)])
    assert not wrong, f"{len(wrong)} of {sum(ends.values())} are wrong:\n" + "\n".join(wrong[:40])
    assert ends["length"] > len(chosen) / 10, ends
    return f"cut after 1 to 14 tokens: {ends['length']} cut, {ends['stop']} ended in time"


def schemas_have_short_instances(server, chosen):
    longest = 0
    for name, schema in chosen:
        text = viable.shortest(schema)
        assert text is not None, f"{name}: no instance was found"
        count = len(server.json("POST", "/tokenize", {"model": "smollm2", "content": text})["tokens"])
        assert count < SHORTEST, (name, count, text)
        longest = max(longest, count)
    return f"the longest of the shortest instances has {longest} tokens"


DOORS = [  # path, the body for a schema, where it stands in that API, and param and message of an error
    ("/v1/chat/completions", lambda schema: {"messages": ASK, "max_tokens": 9, "response_format": named(schema)}, "response_format.json_schema.schema",
     lambda e: (e["error"]["param"], e["error"]["message"])),
    ("/v1/responses", lambda schema: {"input": "hi", "max_output_tokens": 16, "text": {"format": {"type": "json_schema", "name": "a", "schema": schema}}}, "text.format.schema",
     lambda e: (e["error"]["param"], e["error"]["message"])),
    ("/v1/messages", lambda schema: {"messages": ASK, "max_tokens": 9, "output_config": {"format": {"type": "json_schema", "schema": schema}}}, "output_config.format.schema",
     lambda e: tuple(e["error"]["message"].split(": ", 1))),
]


def what_cannot_be_enforced_is_refused(server):
    wrong = []
    for name, schema, pointer in schemas.REFUSED:
        for path, body, place, of in DOORS if isinstance(schema, dict) else DOORS[:1]:  # the others take objects only
            status, reply = ask(server, body(schema), path)
            param, message = of(reply) if status == 400 else (None, None)
            word = pointer.rsplit("/", 1)[-1].replace("~1", "/")
            if param != place + pointer or not (word in message or "satisfied" in message):
                wrong.append(f"{name}: {path}: {status} {param}: {message}")
    assert not wrong, "\n".join(wrong)
    return f"{len(schemas.REFUSED)} schemas: " + ", ".join(name for name, *_ in schemas.REFUSED)


# ---- the same through every door ----

def events(server, path, body, **more):
    status, headers, text = server.request("POST", path, {"model": "smollm2", "stream": True, **body}, timeout=300, **more)
    assert status == 200 and headers["content-type"].startswith("text/event-stream"), (status, text)
    return [json.loads(line[6:]) for line in text.decode().splitlines() if line.startswith("data: ") and line != "data: [DONE]"]


def valid(schema, text):
    viable.validator(schema).validate(json.loads(text))


def chats_stream_it(server):
    body = {"messages": ASK, "response_format": named(PERSON), "temperature": TEMPERATURE, "max_tokens": MOST, "seed": 5}
    chunks = events(server, "/v1/chat/completions", body)
    pieces = [c["delta"].get("content") or "" for e in chunks for c in e["choices"]]
    assert len([p for p in pieces if p]) > 3, pieces
    valid(PERSON, "".join(pieces))
    status, whole = ask(server, body)
    assert status == 200 and whole["choices"][0]["message"]["content"] == "".join(pieces), whole


def responses_have_it(server):
    body = {"input": "Give an example.", "text": {"format": {"type": "json_schema", "name": "person", "schema": PERSON, "strict": True}}, "temperature": TEMPERATURE, "max_output_tokens": MOST}
    status, reply = ask(server, body, "/v1/responses")
    assert status == 200 and reply["status"] == "completed" and reply["text"]["format"]["type"] == "json_schema", reply
    valid(PERSON, reply["output"][-1]["content"][0]["text"])
    text = "".join(e["delta"] for e in events(server, "/v1/responses", body) if e["type"] == "response.output_text.delta")
    valid(PERSON, text)
    status, reply = ask(server, {**body, "text": {"format": {"type": "json_object"}}}, "/v1/responses")
    assert status == 200 and isinstance(json.loads(reply["output"][-1]["content"][0]["text"]), dict), reply


def messages_have_it(server):
    body = {"messages": ASK, "max_tokens": MOST, "temperature": 1.0}
    form = {"type": "json_schema", "schema": PERSON}
    for more in ({"output_config": {"format": form}}, {"output_format": form}):
        status, reply = ask(server, {**body, **more}, "/v1/messages")
        assert status == 200 and reply["stop_reason"] == "end_turn", reply
        valid(PERSON, reply["content"][0]["text"])
    text = "".join(e["delta"].get("text", "") for e in events(server, "/v1/messages", {**body, "output_config": {"format": form}}) if e["type"] == "content_block_delta")
    valid(PERSON, text)


def completions_have_it(server):
    for more in ({"response_format": named(PERSON)}, {"json_schema": PERSON}, {"guided_json": PERSON}, {"structured_outputs": {"json": PERSON}}):
        status, reply = ask(server, {"prompt": "A person: ", "max_tokens": MOST, **more}, "/v1/completions")
        assert status == 200 and reply["choices"][0]["finish_reason"] == "stop", reply
        valid(PERSON, reply["choices"][0]["text"])


def objects_and_grammars(server):
    status, reply = ask(server, {"messages": ASK, "response_format": {"type": "json_object"}, "temperature": TEMPERATURE, "max_tokens": MOST})
    assert status == 200 and isinstance(json.loads(reply["choices"][0]["message"]["content"]), dict), reply
    grammar = 'root ::= move (" " move){2}\nmove ::= [a-h] [1-8] "-" [a-h] [1-8]\n'
    status, reply = ask(server, {"messages": ASK, "grammar": grammar, "temperature": TEMPERATURE, "max_tokens": MOST})
    moves = reply["choices"][0]["message"]["content"].split(" ")
    assert status == 200 and len(moves) == 3 and all(len(m) == 5 and m[0] in "abcdefgh" and m[2] == "-" for m in moves), reply
    status, reply = ask(server, {"messages": ASK, "grammar": "root ::= thing"})
    assert status == 400 and reply["error"]["param"] == "grammar" and "thing" in reply["error"]["message"], reply


def a_call_or_an_answer(server):
    tools = [{"type": "function", "function": TOOL}]
    seen = collections.Counter()
    for seed in range(8):
        status, reply = ask(server, {"messages": ASK, "tools": tools, "response_format": named(PERSON), "temperature": TEMPERATURE, "max_tokens": MOST, "seed": seed})
        assert status == 200, reply
        message, finish = reply["choices"][0]["message"], reply["choices"][0]["finish_reason"]
        seen[finish] += 1
        if finish == "tool_calls":
            assert not message["content"], message
            for call in message["tool_calls"]:
                valid(TOOL["parameters"], call["function"]["arguments"])
        else:
            valid(PERSON, message["content"])
    status, reply = ask(server, {"messages": ASK, "tools": tools, "tool_choice": "required", "response_format": named(PERSON), "max_tokens": MOST})
    assert status == 200 and reply["choices"][0]["finish_reason"] == "tool_calls", reply
    status, reply = ask(server, {"messages": ASK, "tools": tools, "grammar": "root ::= \"x\""})
    assert status == 400 and reply["error"]["param"] == "grammar", reply
    return f"{dict(seen)}"


def main():
    need_starter()
    tap = Tap()
    chosen = schemas.schemas()[::EVERY]
    with Server() as server:
        server.deploy()
        tap.check("replies that stop by themselves are valid, those that are cut can go on", replies_satisfy_their_schemas, server, chosen)
        tap.check("replies that are cut early are beginnings of valid documents", cut_replies_can_go_on, server, chosen)
        tap.check("each schema has a short instance", schemas_have_short_instances, server, chosen)
        tap.check("what cannot be enforced or satisfied is refused by its keyword, at its place", what_cannot_be_enforced_is_refused, server)
        tap.check("a chat streams what it is held to", chats_stream_it, server)
        tap.check("responses are held to text.format", responses_have_it, server)
        tap.check("messages are held to output_config.format", messages_have_it, server)
        tap.check("completions are held to a form, by the fields of other servers too", completions_have_it, server)
        tap.check("any JSON object, and a grammar", objects_and_grammars, server)
        tap.check("beside tools a reply is a call or an answer of the form", a_call_or_an_answer, server)
    tap.end()


main()
