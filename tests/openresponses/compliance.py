#!/usr/bin/env python3
"""The cases of the Open Responses compliance suite (basic, streaming, system prompt, tools, tools streamed, image, several turns) and some more of its specification of
2026-04-24, against a real server in front of an engine that says what it is told. Every response object and every stream event is held against the shapes that the specification
requires. Prints TAP."""
import json
import os
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
os.environ["EDGE_UPSTREAM"] = str(HERE / "told.py")
sys.path[:0] = [str(HERE.parent / "support"), str(HERE.parent / "edge")]
from freehold import Tap, need_starter
from synthetic import Synthetic

# ---- shapes: a type, a tuple of alternatives, a value, [of items], {members, all required; "?name" may be absent} ----
NUMBER, NONE, ANY = (int, float), type(None), object
TEXT_FORMAT = ({"type": "text"}, {"type": "json_object"}, {"type": "json_schema", "name": str, "description": (str, NONE), "schema": ANY, "strict": bool})
LOGPROB = {"token": str, "logprob": NUMBER, "bytes": [int], "top_logprobs": [{"token": str, "logprob": NUMBER, "bytes": [int]}]}
OUTPUT_TEXT = {"type": "output_text", "text": str, "annotations": [ANY], "?logprobs": [LOGPROB]}
REFUSAL = {"type": "refusal", "refusal": str}
REASONING_TEXT, SUMMARY_TEXT = {"type": "reasoning_text", "text": str}, {"type": "summary_text", "text": str}
PART = (OUTPUT_TEXT, REFUSAL, REASONING_TEXT, SUMMARY_TEXT)
STATUS = ("in_progress", "completed", "incomplete")
MESSAGE = {"type": "message", "id": str, "status": STATUS, "role": "assistant", "content": [PART]}
CALL = {"type": "function_call", "id": str, "call_id": str, "name": str, "arguments": str, "status": STATUS}
REASONING = {"type": "reasoning", "id": str, "summary": [SUMMARY_TEXT], "?content": [REASONING_TEXT], "?status": STATUS}
ITEM = (MESSAGE, CALL, REASONING)
TOOL = {"type": "function", "name": str, "description": (str, NONE), "parameters": (dict, NONE), "strict": (bool, NONE)}
CHOICE = {"type": "function", "name": str}
USAGE = {"input_tokens": int, "output_tokens": int, "total_tokens": int, "input_tokens_details": {"cached_tokens": int}, "output_tokens_details": {"reasoning_tokens": int}}
RESPONSE = {
    "id": str, "object": "response", "created_at": int, "completed_at": (int, NONE), "status": (*STATUS, "failed"), "incomplete_details": ({"reason": str}, NONE), "model": str,
    "previous_response_id": (str, NONE), "instructions": (str, NONE), "output": [ITEM], "error": ({"code": str, "message": str}, NONE), "tools": [TOOL],
    "tool_choice": ("auto", "none", "required", {"type": "allowed_tools", "tools": [CHOICE], "mode": ("auto", "none", "required")}, CHOICE), "truncation": ("auto", "disabled"),
    "parallel_tool_calls": bool, "text": {"format": TEXT_FORMAT, "?verbosity": ("low", "medium", "high")}, "top_p": NUMBER, "presence_penalty": NUMBER, "frequency_penalty": NUMBER,
    "top_logprobs": int, "temperature": NUMBER, "reasoning": ({"effort": (str, NONE), "summary": (str, NONE)}, NONE), "user": (str, NONE), "usage": (USAGE, NONE),
    "max_output_tokens": (int, NONE), "max_tool_calls": (int, NONE), "store": bool, "background": bool, "service_tier": str, "metadata": dict, "safety_identifier": (str, NONE),
    "prompt_cache_key": (str, NONE),
}
PLACE = {"item_id": str, "output_index": int, "content_index": int}
SUMMARY_PLACE = {"item_id": str, "output_index": int, "summary_index": int}
CALL_PLACE = {"item_id": str, "output_index": int}
EVENTS = {
    **{f"response.{k}": {"response": RESPONSE} for k in ("created", "in_progress", "completed", "failed", "incomplete")},
    **{f"response.output_item.{k}": {"output_index": int, "item": ITEM} for k in ("added", "done")},
    **{f"response.content_part.{k}": {**PLACE, "part": PART} for k in ("added", "done")},
    "response.output_text.delta": {**PLACE, "delta": str, "?logprobs": [LOGPROB]},
    "response.output_text.done": {**PLACE, "text": str, "?logprobs": [LOGPROB]},
    "response.reasoning_text.delta": {**PLACE, "delta": str},
    "response.reasoning_text.done": {**PLACE, "text": str},
    **{f"response.reasoning_summary_part.{k}": {**SUMMARY_PLACE, "part": SUMMARY_TEXT} for k in ("added", "done")},
    "response.reasoning_summary_text.delta": {**SUMMARY_PLACE, "delta": str},
    "response.reasoning_summary_text.done": {**SUMMARY_PLACE, "text": str},
    "response.function_call_arguments.delta": {**CALL_PLACE, "delta": str},
    "response.function_call_arguments.done": {**CALL_PLACE, "arguments": str},
    "error": {"error": {"type": str, "code": (str, NONE), "message": str, "param": (str, NONE)}},
}


def fault(value, shape, path="$"):
    """None, or where value is not of that shape."""
    if shape is ANY:
        return None
    if isinstance(shape, tuple):
        faults = [fault(value, s, path) for s in shape]
        return None if None in faults else max(faults, key=lambda f: f.count(".") + f.count("["))
    if isinstance(shape, type):
        return None if isinstance(value, shape) and not (shape is int and isinstance(value, bool)) else f"{path}: {value!r} is no {shape.__name__}"
    if isinstance(shape, list):
        if not isinstance(value, list):
            return f"{path}: {value!r} is no list"
        return next((f for i, v in enumerate(value) if (f := fault(v, shape[0], f"{path}[{i}]"))), None)
    if not isinstance(shape, dict):
        return None if value == shape else f"{path}: {value!r} is not {shape!r}"
    if not isinstance(value, dict):
        return f"{path}: {value!r} is no object"
    for name, of in shape.items():
        key = name.lstrip("?")
        if key not in value and name == key:
            return f"{path}.{key} is missing"
        if key in value and (f := fault(value[key], of, f"{path}.{key}")):
            return f
    return None


def held(value, shape):
    found = fault(value, shape)
    assert found is None, found
    return value


def user(content):
    return {"type": "message", "role": "user", "content": content}


WEATHER = {"type": "function", "name": "get_weather", "description": "Get the current weather for a location",
           "parameters": {"type": "object", "properties": {"location": {"type": "string", "description": "The city and state, e.g. San Francisco, CA"}}, "required": ["location"]}}
ASK_WEATHER = {"input": [user("What's the weather like in San Francisco?")], "tools": [WEATHER]}


def main():
    need_starter()
    tap = Tap()
    with Synthetic() as server:
        def post(body, status=200):
            got, headers, text = server.request("POST", "/v1/responses", {"model": "smollm2", **body})
            assert got == status, (got, text)
            assert headers["content-type"].startswith("application/json"), headers
            return json.loads(text)

        def respond(body):
            return held(post(body), RESPONSE)

        def stream(body):
            """The events, each held against its shape, of a stream that is in order; the last response."""
            got, headers, text = server.request("POST", "/v1/responses", {"model": "smollm2", **body, "stream": True})
            assert got == 200 and headers["content-type"].startswith("text/event-stream"), (got, headers)
            blocks = (text if isinstance(text, str) else text.decode()).strip().split("\n\n")
            assert blocks.pop() == "data: [DONE]"
            events = []
            for block in blocks:
                name, data = block.split("\n")
                event = json.loads(data.removeprefix("data: "))
                assert name == "event: " + event["type"] and event["sequence_number"] == len(events), block
                events.append(held(event, EVENTS[event["type"]]))
            assert [e["type"] for e in events[:2]] == ["response.created", "response.in_progress"]
            return events, events[-1]["response"]

        def recorded():
            return json.loads(server.reached()[-1])

        def basic():
            r = respond({"input": [user("Say hello in exactly 3 words.")]})
            assert r["status"] == "completed" and r["output"][0]["content"][0]["text"] == "Ahoy there!" and r["completed_at"] >= r["created_at"]
            assert r["usage"]["input_tokens_details"]["cached_tokens"] == 2

        def streaming():
            events, r = stream({"input": [user("Count from 1 to 5.")]})
            assert r["status"] == "completed"
            assert "".join(e["delta"] for e in events if e["type"] == "response.output_text.delta") == r["output"][0]["content"][0]["text"] == "Ahoy there!"

        def system_prompt():
            r = respond({"input": [{"type": "message", "role": "system", "content": "You are a pirate. Always respond in pirate speak."}, user("Say hello.")]})
            assert r["status"] == "completed" and [m["role"] for m in recorded()["messages"]] == ["system", "user"]

        def tools():
            r = respond(ASK_WEATHER)
            call = r["output"][0]
            assert call["type"] == "function_call" and call["name"] == "get_weather" and json.loads(call["arguments"]) == {"location": "San Francisco, CA"}
            again = respond({"previous_response_id": r["id"], "tools": [WEATHER], "input": [{"type": "function_call_output", "call_id": call["call_id"], "output": "64 degrees"}]})
            assert again["output"][0]["type"] == "message" and again["previous_response_id"] == r["id"]
            assert [m["role"] for m in recorded()["messages"]] == ["user", "assistant", "tool"]

        def tools_streamed():
            events, r = stream(ASK_WEATHER)
            kinds = [e["type"] for e in events]
            for kind in ("response.output_item.added", "response.function_call_arguments.delta", "response.function_call_arguments.done", "response.output_item.done"):
                assert kind in kinds, kinds
            assert [e["item"]["type"] for e in events if "item" in e] == ["function_call"] * 2
            assert "".join(e["delta"] for e in events if "delta" in e) == r["output"][0]["arguments"]

        def image():
            """No engine here sees: the refusal names the field."""
            e = post({"input": [user([{"type": "input_text", "text": "What do you see?"}, {"type": "input_image", "image_url": "data:image/png;base64,AA=="}])]}, 400)
            assert e["error"]["param"] == "input" and "image" in e["error"]["message"]

        def several_turns():
            respond({"input": [user("My name is Alice."), {"type": "message", "role": "assistant", "content": "Hello Alice!"}, user("What is my name?")]})
            assert recorded()["messages"] == [{"role": "user", "content": "My name is Alice."}, {"role": "assistant", "content": "Hello Alice!"},
                                              {"role": "user", "content": "What is my name?"}]

        def reasoning():
            r = respond({"input": "Please think.", "reasoning": {"effort": "low"}})
            assert [i["type"] for i in r["output"]] == ["reasoning", "message"] and r["output"][0]["content"][0]["text"] == "Hm, well." and r["output"][0]["summary"] == []
            events, r = stream({"input": "Please think.", "reasoning": {"summary": "auto"}})
            assert "".join(e["delta"] for e in events if e["type"] == "response.reasoning_summary_text.delta") == "Hm, well." == r["output"][0]["summary"][0]["text"]
            assert [e["type"] for e in stream({"input": "Please think."})[0]].count("response.reasoning_text.delta") == 2

        def items_are_state_machines():
            events, _ = stream({**ASK_WEATHER, "tools": []})
            seen = {}
            for e in events:
                if e["type"] == "response.output_item.added":
                    assert e["item"]["status"] == "in_progress" and e["output_index"] == len(seen)
                    seen[e["item"]["id"]] = "open"
                elif e["type"] == "response.output_item.done":
                    assert e["item"]["status"] == "completed" and seen[e["item"]["id"]] == "open"
                    seen[e["item"]["id"]] = "done"
                elif "item_id" in e:
                    assert seen[e["item_id"]] == "open", e
            assert set(seen.values()) == {"done"}

        def allowed_tools():
            other = {**WEATHER, "name": "other"}
            choice = {"type": "allowed_tools", "tools": [{"type": "function", "name": "other"}]}
            r = respond({**ASK_WEATHER, "tools": [WEATHER, other], "tool_choice": choice})
            assert r["tool_choice"] == {**choice, "mode": "auto"} and [t["name"] for t in r["tools"]] == ["get_weather", "other"]
            assert [t["function"]["name"] for t in recorded()["tools"]] == ["other"] and r["output"][0]["name"] == "other"

        def errors():
            for body, param in [({}, "input"), ({"input": 7}, "input"), ({"input": "x", "tools": [{"type": "web_search"}]}, "tools[0]"),
                                ({"input": "x", "previous_response_id": "resp_gone"}, "previous_response_id"), ({"input": [{"type": "compaction", "encrypted_content": "x"}]}, "input[0]")]:
                e = held(post(body, 400), {"error": {"message": str, "type": str, "param": str, "code": (str, NONE)}})["error"]
                assert e["param"] == param and e["type"] == "invalid_request_error", e
            assert held(post({"model": "nothing-like-it", "input": "x"}, 404), {"error": dict})["error"]["code"] == "model_not_found"

        def is_read_again():
            r = respond({"input": "x", "metadata": {"a": "b"}})
            status, _, text = server.request("GET", "/v1/responses/" + r["id"])
            assert status == 200 and json.loads(text) == r

        tap.check("basic text", basic)
        tap.check("streaming", streaming)
        tap.check("system prompt", system_prompt)
        tap.check("tool calling, and its result", tools)
        tap.check("tool calling, streamed", tools_streamed)
        tap.check("image input is refused by name where no engine sees", image)
        tap.check("several turns", several_turns)
        tap.check("reasoning, and its summary", reasoning)
        tap.check("items are state machines", items_are_state_machines)
        tap.check("allowed_tools is a hard rule", allowed_tools)
        tap.check("errors name the field", errors)
        tap.check("a stored response reads as it was", is_read_again)
    tap.end()


main()
