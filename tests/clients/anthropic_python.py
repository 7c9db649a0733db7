#!/usr/bin/env python3
"""The official anthropic package for Python against a real server. Run with the interpreter of tests/tools/python-env. Prints TAP."""
import json
import sys
from pathlib import Path
from typing import Literal

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
import clients
from clients import PNG, served, where_it_can
from freehold import Tap, need_starter

try:
    import anthropic
    import pydantic
except ImportError:
    Tap.skip_all("the anthropic package is not installed: run with the interpreter of tests/tools/python-env")

ASK = dict(model="smollm2", max_tokens=24, temperature=0, messages=[{"role": "user", "content": "Name the capital of France."}])
WEATHER = {"name": "get_weather", "description": "The weather of a city", "input_schema": {"type": "object", "properties": {"city": {"type": "string", "maxLength": 20}}, "required": ["city"], "additionalProperties": False}}


class City(pydantic.BaseModel):
    name: Literal["Paris", "Rome"]  # the package makes a bound of a length a remark to the model, and then checks it
    large: bool


def main():
    need_starter()
    tap = Tap()
    with served() as (server, model):
        ASK["model"] = model
        client = anthropic.Anthropic(base_url=server.url, api_key=server.key, max_retries=0)

        def said(**more):
            """Also with fields that the API has and this package no longer names."""
            ask = {**ASK, **more}
            extra = {k: ask.pop(k) for k in ("temperature", "top_p", "top_k", "seed") if k in ask}
            return client.messages.create(**ask, extra_body=extra)

        def chats():
            r = said()
            assert r.type == "message" and r.role == "assistant" and r.id.startswith("msg_"), r
            assert [b.type for b in r.content] == ["text"] and "Paris" in r.content[0].text, r
            assert r.stop_reason in ("end_turn", "max_tokens") and r.stop_sequence is None
            assert r.usage.input_tokens + r.usage.cache_read_input_tokens > 0 and r.usage.output_tokens > 0, r.usage
            assert r._request_id, "no request-id"

        def streams_the_same_text():
            whole = said()
            pieces, names = [], []
            with client.messages.stream(model=model, max_tokens=24, messages=ASK["messages"], extra_body={"temperature": 0}) as stream:
                for event in stream:
                    names.append(event.type)
                    if event.type == "text":
                        pieces.append(event.text)
                final = stream.get_final_message()
            assert names[0] == "message_start" and names[-1] == "message_stop" and len(pieces) > 2, names
            assert "".join(pieces) == final.content[0].text == whole.content[0].text
            assert (final.stop_reason, final.usage.output_tokens) == (whole.stop_reason, whole.usage.output_tokens)

        def follows_system_prompts_and_turns():
            r = said(system=[{"type": "text", "text": "You answer with one word.", "cache_control": {"type": "ephemeral"}}],
                     messages=[{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}, {"role": "user", "content": [{"type": "text", "text": "Say yes."}]}])
            assert r.content[0].text

        def stops_before_the_stop_sequence():
            whole = said().content[0].text
            stop = whole[4:9]
            r = said(stop_sequences=["never to be seen", stop])
            assert r.content[0].text == whole[:whole.index(stop)], (whole, r)
            # llama-server says of a chat that it stopped, and not at what.
            assert (r.stop_reason, r.stop_sequence) == (("end_turn", None) if clients.engine == "llama-server" else ("stop_sequence", stop)), r

        def ends_at_max_tokens():
            r = said(max_tokens=3)
            assert r.stop_reason == "max_tokens" and r.usage.output_tokens == 3, r

        def goes_on_from_a_beginning():
            r = said(messages=ASK["messages"] + [{"role": "assistant", "content": "The capital of France is"}], max_tokens=4)
            assert r.content[0].text.startswith(" Paris"), r

        def counts_tokens():
            ask = {k: v for k, v in ASK.items() if k not in ("max_tokens", "temperature")}
            counted = client.messages.count_tokens(**ask, system="Be brief.")
            used = said(system="Be brief.").usage
            assert counted.input_tokens == used.input_tokens + used.cache_read_input_tokens, (counted, used)

        def calls_a_tool_that_it_must_call():
            r = said(tools=[WEATHER], tool_choice={"type": "tool", "name": "get_weather"}, max_tokens=200)
            assert r.stop_reason == "tool_use", r
            calls = [b for b in r.content if b.type == "tool_use"]
            assert calls and all(c.name == "get_weather" and set(c.input) == {"city"} and c.id for c in calls), r
            answers = [{"type": "tool_result", "tool_use_id": c.id, "content": "sunny"} for c in calls]
            messages = ASK["messages"] + [{"role": "assistant", "content": r.content}, {"role": "user", "content": answers}]
            assert said(tools=[WEATHER], messages=messages).stop_reason in ("end_turn", "max_tokens", "tool_use")

        def streams_a_tool_call():
            choice = {"type": "any", "disable_parallel_tool_use": True}
            with client.messages.stream(model=model, max_tokens=100, messages=ASK["messages"], tools=[WEATHER], tool_choice=choice, extra_body={"temperature": 0}) as stream:
                parts = [e.partial_json for e in stream if e.type == "input_json"]
                final = stream.get_final_message()
            call = final.content[-1]
            assert [b.type for b in final.content].count("tool_use") == 1 and json.loads("".join(parts)) == call.input, (parts, call)

        def holds_its_output_to_a_schema():
            r = client.messages.parse(model=model, max_tokens=100, messages=[{"role": "user", "content": "Describe Paris."}], output_format=City)
            assert isinstance(r.parsed_output, City), r

        def errors_have_their_classes():
            wrong = anthropic.Anthropic(base_url=server.url, api_key="fh_00000000_" + "A" * 43, max_retries=0)
            for kind, name, says, call in [
                (anthropic.NotFoundError, "not_found_error", "smolm2", lambda: said(model="smolm2")),
                (anthropic.BadRequestError, "invalid_request_error", "messages: ", lambda: said(messages=[])),
                (anthropic.BadRequestError, "invalid_request_error", "temperature: ", lambda: said(temperature=1.5)),
                (anthropic.BadRequestError, "invalid_request_error", "messages[0].content[0].tool_use_id: ", lambda: said(messages=[{"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t"}]}])),
                (anthropic.BadRequestError, "invalid_request_error", "multimodal" if clients.engine == "vllm" else "messages: an image", lambda: said(messages=[{"role": "user", "content": [{"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}]}])),
                (anthropic.BadRequestError, "invalid_request_error", "container: ", lambda: said(container="c")),
                (anthropic.BadRequestError, "invalid_request_error", "context", lambda: said(messages=[{"role": "user", "content": "word " * 20000}])),
                (anthropic.AuthenticationError, "authentication_error", "key", lambda: wrong.messages.create(model=model, max_tokens=1, messages=ASK["messages"])),
            ]:
                try:
                    call()
                except kind as e:
                    assert e.request_id, "no request-id"
                    assert e.type == name and says in e.api_message and e.body["request_id"] == e.request_id, (says, e.body)
                    continue
                raise AssertionError(f"{kind.__name__} was not raised for {says}")

        def a_stream_that_is_left_is_cancelled():
            with client.messages.stream(model=model, max_tokens=4000, messages=ASK["messages"], extra_body={"ignore_eos": True}) as stream:
                for i, _ in enumerate(stream.text_stream):
                    if i == 3:
                        break
            assert said(max_tokens=2).usage.output_tokens == 2

        tap.check("chats, with usage", chats)
        tap.check("streams the same text in pieces, with usage", streams_the_same_text)
        tap.check("follows system prompts and earlier turns", follows_system_prompts_and_turns)
        tap.check("stops before the stop sequence, and names it", stops_before_the_stop_sequence)
        tap.check("ends at max_tokens", ends_at_max_tokens)
        tap.check("goes on from a beginning", goes_on_from_a_beginning)
        tap.check("counts tokens as the answer's usage does", counts_tokens)
        tap.check("calls a tool that it must call, and takes its result", where_it_can(calls_a_tool_that_it_must_call))
        tap.check("streams a tool call", where_it_can(streams_a_tool_call))
        tap.check("holds its output to a schema", where_it_can(holds_its_output_to_a_schema))
        tap.check("errors arrive as the package's own classes", errors_have_their_classes)
        tap.check("a stream that the client leaves is cancelled", a_stream_that_is_left_is_cancelled)
    tap.end()


main()
