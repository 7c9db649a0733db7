#!/usr/bin/env python3
"""The Responses API through the official openai package for Python, against a real server. Run with the interpreter of tests/tools/python-env. Prints TAP."""
import json
import sys
import time
from pathlib import Path
from typing import Literal

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
import clients
from clients import PNG, own_engine, served, where_it_can
from freehold import Tap, need_starter

try:
    import openai
    from pydantic import BaseModel
except ImportError:
    Tap.skip_all("the openai package is not installed: run with the interpreter of tests/tools/python-env")

ASK = dict(model="smollm2", input="Name the capital of France.", max_output_tokens=24, temperature=0)


class City(BaseModel):
    name: Literal["Paris", "Rome"]
    large: bool


def expect(kind, call, param=None, code=None):
    try:
        call()
    except kind as e:
        assert e.request_id, "no x-request-id"
        assert e.param == param and e.code == code, (e.param, e.code, e.body)
        return e
    raise AssertionError(f"{kind.__name__} was not raised")


def main():
    need_starter()
    tap = Tap()
    with served() as (server, model):
        ASK["model"] = model
        client = openai.OpenAI(base_url=server.url + "/v1", api_key=server.key, max_retries=0)
        create = client.responses.create

        def answers():
            r = create(**ASK, metadata={"a": "b"}, instructions="Be short.")
            assert "Paris" in r.output_text, r
            assert r.id.startswith("resp_") and r.object == "response" and r.error is None
            assert r.status == "completed" or r.incomplete_details.reason == "max_output_tokens"
            assert r.output[0].id.startswith("msg_") and r.output[0].content[0].annotations == []
            assert r.usage.total_tokens == r.usage.input_tokens + r.usage.output_tokens and r.usage.output_tokens > 0
            assert r.usage.input_tokens_details.cached_tokens >= 0 and r.usage.output_tokens_details.reasoning_tokens == 0
            assert r.metadata == {"a": "b"} and r.instructions == "Be short." and r.temperature == 0 and r.tools == [] and r.store

        def streams_the_same_text():
            whole, text, kinds, numbers, last = create(**ASK), "", [], [], None
            for e in create(**ASK, stream=True):
                kinds.append(e.type)
                numbers.append(e.sequence_number)
                if e.type == "response.output_text.delta":
                    text += e.delta
                last = e
            assert text == whole.output_text == last.response.output_text
            assert numbers == list(range(len(numbers))), numbers
            assert kinds[:4] == ["response.created", "response.in_progress", "response.output_item.added", "response.content_part.added"], kinds
            assert kinds[-4:-1] == ["response.output_text.done", "response.content_part.done", "response.output_item.done"], kinds
            assert kinds[-1] in ("response.completed", "response.incomplete") and kinds.count("response.output_text.delta") > 2
            assert last.response.usage.output_tokens == whole.usage.output_tokens

        def the_stream_helper_collects():
            with client.responses.stream(**{**ASK, "max_output_tokens": 200}) as stream:
                seen = [e.type for e in stream]
                final = stream.get_final_response()
            assert seen[-1] == "response.completed" and "Paris" in final.output_text

        def is_cut_at_the_length():
            r = create(**{**ASK, "input": "Tell me a long story.", "max_output_tokens": 5})
            assert r.status == "incomplete" and r.incomplete_details.reason == "max_output_tokens" and r.output[-1].status == "incomplete"

        def gives_logprobs():
            r = create(**{**ASK, "max_output_tokens": 4}, top_logprobs=2, include=["message.output_text.logprobs"])
            content = r.output[0].content[0]
            assert len(content.logprobs) >= 1 and all(t.logprob <= 0 and len(t.top_logprobs) == 2 for t in content.logprobs)
            assert bytes(b for t in content.logprobs for b in t.bytes).decode().startswith(content.text)

        def goes_on_from_the_previous_response():
            first = create(model=model, input="My name is Alice. Remember it.", max_output_tokens=24, temperature=0)
            second = create(model=model, input="What is my name?", previous_response_id=first.id, max_output_tokens=24, temperature=0)
            third = create(model=model, input="Say it again.", previous_response_id=second.id, max_output_tokens=24, temperature=0)
            assert second.previous_response_id == first.id and second.usage.input_tokens > first.usage.input_tokens + first.usage.output_tokens
            assert third.usage.input_tokens > second.usage.input_tokens + second.usage.output_tokens
            by_hand = [{"role": "user", "content": "My name is Alice. Remember it."}, *[o.to_dict() for o in first.output], {"role": "user", "content": "What is my name?"}]
            same = create(model=model, input=by_hand, max_output_tokens=24, temperature=0)
            assert same.output_text == second.output_text and same.usage.input_tokens == second.usage.input_tokens

        def references_are_resolved():
            first = create(model=model, input=[{"role": "user", "content": "My name is Bob.", "id": "msg_mine"}], max_output_tokens=8, temperature=0)
            r = create(model=model, input=[{"type": "item_reference", "id": first.output[0].id}, {"role": "user", "content": "Go on."}], max_output_tokens=4, temperature=0)
            by_hand = [first.output[0].to_dict(), {"role": "user", "content": "Go on."}]
            assert r.usage.input_tokens == create(model=model, input=by_hand, max_output_tokens=4, temperature=0).usage.input_tokens
            expect(openai.BadRequestError, lambda: create(model=model, input=[{"type": "item_reference", "id": "msg_gone"}]), "input[0].id")

        def is_retrieved_and_deleted():
            made = create(**ASK)
            kept = client.responses.retrieve(made.id)
            assert kept.to_dict() == made.to_dict()
            client.responses.delete(made.id)
            expect(openai.NotFoundError, lambda: client.responses.retrieve(made.id), code="not_found")
            expect(openai.NotFoundError, lambda: client.responses.delete(made.id), code="not_found")
            expect(openai.BadRequestError, lambda: create(**ASK, previous_response_id=made.id), "previous_response_id", "previous_response_not_found")

        def a_stream_is_kept_too():
            last = list(create(**ASK, stream=True))[-1]
            assert client.responses.retrieve(last.response.id).to_dict() == last.response.to_dict()

        def is_not_kept_when_not_asked_to():
            made = create(**ASK, store=False)
            assert made.store is False
            expect(openai.NotFoundError, lambda: client.responses.retrieve(made.id), code="not_found")

        def lists_input_items_in_pages():
            texts = [f"line {i}" for i in range(5)]
            made = create(**{**ASK, "input": [{"role": "user", "content": t} for t in texts], "max_output_tokens": 2})
            got = [i.content[0].text for i in client.responses.input_items.list(made.id, order="asc", limit=2)]
            assert got == texts, got
            page = client.responses.input_items.list(made.id, limit=3)
            assert [i.content[0].text for i in page.data] == texts[:1:-1] and page.has_more
            assert page.data[0].id.startswith("msg_") and page.data[0].status == "completed"
            expect(openai.BadRequestError, lambda: client.responses.input_items.list(made.id, limit=101), "limit")
            expect(openai.BadRequestError, lambda: client.responses.input_items.list(made.id, after="x"), "after")

        def calls_a_function_and_takes_its_result():
            city = {"type": "object", "properties": {"city": {"type": "string", "enum": ["Paris", "Rome"]}}, "required": ["city"], "additionalProperties": False}
            tools = [{"type": "function", "name": "get_weather", "description": "Weather of a city", "parameters": city, "strict": True}]
            ask = dict(model=model, input="What is the weather in Paris?", tools=tools, tool_choice="required", max_output_tokens=100, temperature=0)
            first = create(**ask)
            calls = [o for o in first.output if o.type == "function_call"]
            assert calls and all(c.name == "get_weather" and json.loads(c.arguments)["city"] in ("Paris", "Rome") for c in calls), first.output
            streamed = [e for e in create(**ask, stream=True)]
            pieces = {}
            for e in streamed:
                if e.type == "response.function_call_arguments.delta":
                    pieces[e.output_index] = pieces.get(e.output_index, "") + e.delta
            assert [json.loads(p) for p in pieces.values()] == [json.loads(c.arguments) for c in calls], pieces
            results = [{"type": "function_call_output", "call_id": c.call_id, "output": "18 degrees"} for c in calls]
            second = create(model=model, previous_response_id=first.id, input=results, tools=tools, tool_choice="none", max_output_tokens=24, temperature=0)
            assert second.output_text, second

        def holds_its_output_to_a_schema():
            r = client.responses.parse(model=model, input="Describe Paris.", text_format=City, max_output_tokens=200, temperature=0)
            assert isinstance(r.output_parsed, City), r

        def counts_input_tokens():
            made = create(**{**ASK, "max_output_tokens": 2}, instructions="Be short.")
            assert client.responses.input_tokens.count(model=model, input=ASK["input"], instructions="Be short.").input_tokens == made.usage.input_tokens
            more = client.responses.input_tokens.count(model=model, input="And?", previous_response_id=made.id).input_tokens
            assert more > made.usage.input_tokens, more

        def what_is_finished_cannot_be_cancelled():
            made = create(**{**ASK, "max_output_tokens": 2})
            expect(openai.BadRequestError, lambda: client.responses.cancel(made.id))
            expect(openai.NotFoundError, lambda: client.responses.cancel("resp_gone"), code="not_found")

        def another_key_sees_nothing():
            made = create(**{**ASK, "max_output_tokens": 2})
            second = json.loads(server.cli("key", "create", "other", "--json").stdout)["key"]
            other = openai.OpenAI(base_url=server.url + "/v1", api_key=second, max_retries=0)
            expect(openai.NotFoundError, lambda: other.responses.retrieve(made.id), code="not_found")
            expect(openai.NotFoundError, lambda: other.responses.delete(made.id), code="not_found")
            expect(openai.BadRequestError, lambda: other.responses.create(**ASK, previous_response_id=made.id), "previous_response_id", "previous_response_not_found")

        def outlives_the_server():
            made = create(**{**ASK, "max_output_tokens": 2})
            server.stop()
            server.start()
            assert client.responses.retrieve(made.id).id == made.id
            server.wait_ready(server.deployments()[0]["name"])
            made = create(**{**ASK, "max_output_tokens": 2})
            time.sleep(0.5)  # it is written in groups, soon
            server.kill()
            server.start()
            assert client.responses.retrieve(made.id).id == made.id

        def refusals_name_the_field():
            for ask, param in [
                (dict(tools=[{"type": "web_search"}]), "tools[0]"),
                (dict(conversation="conv_1"), "conversation"),
                (dict(background=True), "background"),
                (dict(truncation="auto"), "truncation"),
                (dict(temperature=9), "temperature"),
                (dict(max_output_tokens=0), "max_output_tokens"),
                (dict(input=[{"role": "user", "content": [{"type": "input_image", "image_url": "data:image/png;base64," + PNG}]}]), None if clients.engine == "vllm" else "input"),  # vLLM names no field
                (dict(extra_body={"messages": []}), "messages"),
            ]:
                expect(openai.BadRequestError, lambda a=ask: create(**{**ASK, **a}), param)
            expect(openai.NotFoundError, lambda: create(**{**ASK, "model": "smolm2"}), "model", "model_not_found")
            expect(openai.BadRequestError, lambda: create(**{**ASK, "input": "word " * 20000}), "input", "context_length_exceeded")

        tap.check("answers, with usage and what was asked", answers)
        tap.check("streams the same text as numbered events", streams_the_same_text)
        tap.check("the package's stream helper collects the response", the_stream_helper_collects)
        tap.check("an answer cut at max_output_tokens is incomplete", is_cut_at_the_length)
        tap.check("gives logprobs of each token", where_it_can(gives_logprobs))
        tap.check("goes on from the previous response, as by hand", goes_on_from_the_previous_response)
        tap.check("references to items are resolved", references_are_resolved)
        tap.check("is retrieved as it was made, and deleted", is_retrieved_and_deleted)
        tap.check("a streamed response is kept too", a_stream_is_kept_too)
        tap.check("store=False keeps nothing", is_not_kept_when_not_asked_to)
        tap.check("lists input items in pages", lists_input_items_in_pages)
        tap.check("calls a function, plain and streamed, and takes its result", where_it_can(calls_a_function_and_takes_its_result))
        tap.check("holds its output to a schema", where_it_can(holds_its_output_to_a_schema))
        tap.check("counts the tokens of an input, with its past", counts_input_tokens)
        tap.check("what is finished cannot be cancelled", what_is_finished_cannot_be_cancelled)
        tap.check("another key sees nothing of it", another_key_sees_nothing)
        tap.check("refusals name the field", refusals_name_the_field)
        tap.check("outlives the server", own_engine(outlives_the_server))
    tap.end()


main()
