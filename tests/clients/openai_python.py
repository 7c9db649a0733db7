#!/usr/bin/env python3
"""The official openai package for Python against a real server. Run with the interpreter of tests/tools/python-env. Prints TAP."""
import json
import sys
from pathlib import Path
from typing import Literal

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
import clients
from clients import ASK, TOOLS, UPSTREAM, own_engine, served, unless, where_it_can
from freehold import Tap, need_starter

try:
    import openai
    from pydantic import BaseModel
except ImportError:
    Tap.skip_all("the openai package is not installed: run with the interpreter of tests/tools/python-env")


class City(BaseModel):
    name: Literal["Paris", "Rome"]
    large: bool


def main():
    need_starter()
    tap = Tap()
    with served() as (server, model):
        client = openai.OpenAI(base_url=server.url + "/v1", api_key=server.key, max_retries=0)

        def lists_models():
            ids = [m.id for m in client.models.list()]
            assert (model if UPSTREAM else "smollm2-135m") in ids, ids
            assert client.models.retrieve(model).object == "model"

        def chats():
            r = client.chat.completions.create(model=model, messages=ASK, max_tokens=24, temperature=0)
            assert "Paris" in r.choices[0].message.content, r
            assert r.choices[0].finish_reason in ("stop", "length")
            assert r.usage.total_tokens == r.usage.prompt_tokens + r.usage.completion_tokens and r.usage.completion_tokens > 0

        def streams_the_same_text():
            whole = client.chat.completions.create(model=model, messages=ASK, max_tokens=24, temperature=0)
            parts, usage, finish = [], None, None
            stream = client.chat.completions.create(model=model, messages=ASK, max_tokens=24, temperature=0, stream=True, stream_options={"include_usage": True})
            for chunk in stream:
                usage = chunk.usage or usage
                for choice in chunk.choices:
                    parts.append(choice.delta.content or "")
                    finish = choice.finish_reason or finish
            assert "".join(parts) == whole.choices[0].message.content
            assert len([p for p in parts if p]) > 2, "came in one piece"
            assert usage.completion_tokens == whole.usage.completion_tokens and finish == whole.choices[0].finish_reason

        def stops_before_the_stop_string():
            whole = client.chat.completions.create(model=model, messages=ASK, max_tokens=24, temperature=0).choices[0].message.content
            stop = whole[4:9]
            r = client.chat.completions.create(model=model, messages=ASK, max_tokens=24, temperature=0, stop=[stop])
            assert r.choices[0].message.content == whole[:whole.index(stop)], (whole, r)
            assert r.choices[0].finish_reason == "stop"

        def a_seed_repeats():
            ask = dict(model=model, messages=[{"role": "user", "content": "Tell me a story."}], max_tokens=32, temperature=1.0,
                       extra_headers={"x-freehold-cache": "off"})
            texts = [client.chat.completions.create(seed=s, **ask).choices[0].message.content for s in (7, 7, 8)]
            assert texts[0] == texts[1] and texts[0] != texts[2], texts

        def differs_without_a_seed():
            ask = dict(model=model, messages=[{"role": "user", "content": "Tell me a story."}], max_tokens=24, temperature=1.0)
            plain = {client.chat.completions.create(**ask).choices[0].message.content for _ in range(4)}
            streamed = {"".join(c.choices[0].delta.content or "" for c in client.chat.completions.create(stream=True, **ask) if c.choices) for _ in range(4)}
            assert len(plain) > 1 and len(streamed) > 1, (plain, streamed)

        def gives_several_choices():
            ask = dict(model=model, messages=[{"role": "user", "content": "Tell me a story."}], max_tokens=16, temperature=1.0, n=3)
            r = client.chat.completions.create(**ask)
            assert [c.index for c in r.choices] == [0, 1, 2] and len({c.message.content for c in r.choices}) > 1, r
            assert 16 < r.usage.completion_tokens <= 48, r.usage
            texts, ends, usage = {}, [], None
            for chunk in client.chat.completions.create(stream=True, stream_options={"include_usage": True}, **ask):
                usage = chunk.usage or usage
                for c in chunk.choices:
                    texts[c.index] = texts.get(c.index, "") + (c.delta.content or "")
                    ends += [c.index] if c.finish_reason else []
            assert sorted(ends) == sorted(texts) == [0, 1, 2] and usage.prompt_tokens == r.usage.prompt_tokens, (texts, ends, usage)
            r = client.completions.create(model=model, prompt="Once upon a time", max_tokens=4, n=2)
            assert [c.index for c in r.choices] == [0, 1], r

        def gives_logprobs():
            r = client.chat.completions.create(model=model, messages=ASK, max_tokens=8, temperature=0, logprobs=True, top_logprobs=3)
            content = r.choices[0].logprobs.content
            ended = r.choices[0].finish_reason == "stop" and clients.engine is None  # the token that ends the turn is counted, and has no text; llama-server and vLLM list it too
            assert len(content) == r.usage.completion_tokens - ended, (len(content), r.usage)
            for t in content:
                assert t.logprob <= 0 and len(t.top_logprobs) == 3 and t.top_logprobs[0].token == t.token
                assert t.top_logprobs[0].logprob >= t.top_logprobs[1].logprob >= t.top_logprobs[2].logprob
            assert bytes(b for t in content for b in t.bytes).decode().startswith(r.choices[0].message.content)

        @unless(llama_server="gives the logprobs of completions in the form of chats")
        def gives_logprobs_of_completions():
            r = client.completions.create(model=model, prompt="Once upon a time", max_tokens=12, temperature=0, logprobs=2)
            assert len(r.choices[0].logprobs.tokens) == r.usage.completion_tokens

        def completes_text():
            r = client.completions.create(model=model, prompt="Once upon a time", max_tokens=12, temperature=0)
            assert r.choices[0].text and 0 < r.usage.completion_tokens <= 12, r
            text = "".join(c.choices[0].text for c in client.completions.create(model=model, prompt="Once upon a time", max_tokens=12, temperature=0, stream=True) if c.choices)
            assert text == r.choices[0].text

        def embeds():
            texts = ["A lighthouse warns ships of rocks.", "A beacon tells sailors where the cliffs are.", "The recipe wants two eggs and some flour."]
            packed = client.embeddings.create(model=model, input=texts)  # the package asks for base64 by itself
            plain = client.embeddings.create(model=model, input=texts, encoding_format="float", user="tester")
            assert [d.index for d in packed.data] == [0, 1, 2] and packed.usage.prompt_tokens == packed.usage.total_tokens > 10, packed.usage
            for a, b in zip(packed.data, plain.data):
                assert len(a.embedding) == 576 and abs(sum(x * x for x in a.embedding) - 1) < 1e-4
                assert max(abs(x - y) for x, y in zip(a.embedding, b.embedding)) < 1e-3
            cosine = lambda i, j: sum(x * y for x, y in zip(packed.data[i].embedding, packed.data[j].embedding))
            assert cosine(0, 1) > cosine(0, 2), (cosine(0, 1), cosine(0, 2))
            one = client.embeddings.create(model=model, input=texts[2]).data[0].embedding
            assert max(abs(x - y) for x, y in zip(one, packed.data[2].embedding)) < 1e-3

        def embeds_tokens():
            r = client.embeddings.create(model=model, input=[[1, 2, 3], [4]])
            assert len(r.data) == 2 and r.usage.prompt_tokens == 4, r.usage
            for field, more in (("input[1]", {"input": ["a", ""]}), ("input[1]", {"input": ["a", "word " * 9000]}), ("dimensions", {"input": "a", "dimensions": 64})):
                try:
                    client.embeddings.create(model=model, **more)
                except openai.BadRequestError as e:
                    assert e.param == field, e.body
                    continue
                raise AssertionError(f"{field} was taken")

        def calls_tools():
            ask = dict(model=model, messages=ASK, tools=TOOLS, tool_choice="required", parallel_tool_calls=False, max_tokens=200, temperature=0)
            choice = client.chat.completions.create(**ask).choices[0]
            call = choice.message.tool_calls[0]
            assert choice.finish_reason == "tool_calls" and call.function.name == "get_weather" and call.id, choice
            assert json.loads(call.function.arguments)["city"] in ("Paris", "Rome"), call
            history = [*ASK, choice.message.model_dump(exclude_none=True), {"role": "tool", "tool_call_id": call.id, "content": "sunny"}]
            after = client.chat.completions.create(model=model, messages=history, tools=TOOLS, max_tokens=8, temperature=0).choices[0]
            assert after.message.content or after.message.tool_calls, after

        def streams_calls_of_tools():
            choice = {"type": "function", "function": {"name": "get_weather"}}
            name, arguments, ids, finish = "", "", [], None
            stream = client.chat.completions.create(model=model, messages=ASK, tools=TOOLS, tool_choice=choice, parallel_tool_calls=False, max_tokens=200, stream=True)
            for chunk in stream:
                for c in chunk.choices:
                    finish = c.finish_reason or finish
                    for call in c.delta.tool_calls or []:
                        ids += [call.id] if call.id else []
                        name += call.function.name or ""
                        arguments += call.function.arguments or ""
            assert name == "get_weather" and len(ids) == 1, (name, ids)
            assert finish == ("stop" if clients.engine == "vllm" else "tool_calls"), finish  # of a function chosen by name vLLM says stop, as OpenAI does
            assert json.loads(arguments)["city"] in ("Paris", "Rome"), arguments

        def holds_its_output_to_a_schema():
            r = client.chat.completions.parse(model=model, messages=ASK, max_tokens=200, temperature=0, response_format=City)
            assert isinstance(r.choices[0].message.parsed, City), r

        def streams_output_that_is_held_to_a_schema():
            with client.chat.completions.stream(model=model, messages=ASK, max_tokens=200, temperature=0, response_format=City) as stream:
                final = stream.get_final_completion()
            assert isinstance(final.choices[0].message.parsed, City), final

        def parses_responses_and_knows_what_was_cut():
            r = client.responses.parse(model=model, input="Name a city.", max_output_tokens=120, temperature=1.5, text_format=City)
            assert isinstance(r.output_parsed, City), r
            try:
                client.chat.completions.parse(model=model, messages=ASK, max_tokens=2, response_format=City)
            except openai.LengthFinishReasonError:
                return
            raise AssertionError("an answer that was cut was parsed")

        def writes_json():
            ask = [{"role": "user", "content": "Answer in JSON: what is the capital of France?"}]
            choice = client.chat.completions.create(model=model, messages=ask, max_tokens=64, temperature=0, response_format={"type": "json_object"}).choices[0]
            assert choice.message.content.lstrip().startswith("{"), choice
            if choice.finish_reason == "stop":
                assert isinstance(json.loads(choice.message.content), dict), choice

        def errors_have_their_classes():
            for kind, code, call in [
                (openai.NotFoundError, "model_not_found", lambda: client.chat.completions.create(model="smolm2", messages=ASK)),
                (openai.NotFoundError, "model_not_found", lambda: client.models.retrieve("smolm2")),
                (openai.BadRequestError, None, lambda: client.chat.completions.create(model=model, messages=[])),
                (openai.BadRequestError, None, lambda: client.chat.completions.create(model=model, messages=ASK, temperature=9)),
                (openai.BadRequestError, "context_length_exceeded", lambda: client.chat.completions.create(model=model, messages=[{"role": "user", "content": "word " * 20000}])),
                (openai.AuthenticationError, "invalid_api_key", lambda: client.with_options(api_key="fh_00000000_" + "A" * 43).models.list()),
            ]:
                try:
                    call()
                except kind as e:
                    assert e.request_id, "no x-request-id"
                    assert e.code == code, (e.code, code)
                    assert e.body and e.body["message"] and set(e.body) >= {"message", "type", "param", "code"}, e.body
                    continue
                raise AssertionError(f"{kind.__name__} was not raised")

        tap.check("lists and retrieves models", lists_models)
        tap.check("chats, with usage", chats)
        tap.check("streams the same text in pieces, with usage", streams_the_same_text)
        tap.check("stops before the stop string", stops_before_the_stop_string)
        tap.check("repeats itself with the same seed", own_engine(a_seed_repeats))
        tap.check("differs from answer to answer without a seed", differs_without_a_seed)
        tap.check("gives several choices, plain and streamed", where_it_can(gives_several_choices))
        tap.check("gives logprobs of each token", where_it_can(gives_logprobs))
        tap.check("gives logprobs of the tokens of a completion", where_it_can(gives_logprobs_of_completions))
        tap.check("completes text, plain and streamed", where_it_can(completes_text))
        tap.check("embeds texts, as numbers and base64", own_engine(embeds))
        tap.check("embeds tokens, and names the input that is wrong", own_engine(embeds_tokens))
        tap.check("calls a tool, and takes its result", where_it_can(calls_tools))
        tap.check("streams the call of a tool", where_it_can(streams_calls_of_tools))
        tap.check("holds its output to a schema", where_it_can(holds_its_output_to_a_schema))
        tap.check("streams output that is held to a schema", where_it_can(streams_output_that_is_held_to_a_schema))
        tap.check("parses a response, and knows what was cut", own_engine(parses_responses_and_knows_what_was_cut))
        tap.check("writes a JSON object", where_it_can(writes_json))
        tap.check("errors arrive as the package's own classes", errors_have_their_classes)
    tap.end()


main()
