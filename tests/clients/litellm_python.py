#!/usr/bin/env python3
"""litellm as a client of a real server, over the three APIs that it speaks. Run with the interpreter of tests/tools/python-env. Prints TAP."""
import json
import os
import sys
from pathlib import Path
from typing import Literal

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from clients import ASK, CITIES, TOOLS, raises, served, where_it_can
from freehold import Tap, need_starter

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # it would fetch a list of prices
try:
    import litellm
    from pydantic import BaseModel
except ImportError:
    Tap.skip_all("litellm is not installed: run with the interpreter of tests/tools/python-env")


class City(BaseModel):
    name: Literal["Paris", "Rome"]
    large: bool


def main():
    need_starter()
    tap = Tap()
    litellm.suppress_debug_info = True  # it prints advice between the lines of TAP
    with served() as (server, model):
        apis = {"openai": {"model": "openai/" + model, "api_base": server.url + "/v1"}, "anthropic": {"model": "anthropic/" + model, "api_base": server.url}}

        def ask(api, **more):
            base = dict(api_key=server.key, messages=ASK, max_tokens=24, temperature=0, num_retries=0, max_retries=0)
            return litellm.completion(**{**base, **apis[api], **more})

        def chats(api):
            r = ask(api)
            assert r.choices[0].message.content and r.choices[0].finish_reason in ("stop", "length"), r
            assert r.usage.total_tokens == r.usage.prompt_tokens + r.usage.completion_tokens and 0 < r.usage.completion_tokens <= 24, r.usage

        def streams(api):
            chunks = list(ask(api, stream=True, stream_options={"include_usage": True}))
            pieces = [c.choices[0].delta.content for c in chunks if c.choices and c.choices[0].delta.content]
            built = litellm.stream_chunk_builder(chunks, messages=ASK)
            assert len(pieces) > 2 and built.choices[0].message.content == "".join(pieces), pieces
            assert built.choices[0].finish_reason in ("stop", "length") and 0 < built.usage.completion_tokens <= 24, built

        def calls_a_tool(api):
            r = ask(api, tools=TOOLS, tool_choice="required", parallel_tool_calls=False, max_tokens=200)
            message = r.choices[0].message
            call = message.tool_calls[0]
            assert r.choices[0].finish_reason == "tool_calls" and call.function.name == "get_weather" and call.id, r
            assert json.loads(call.function.arguments)["city"] in CITIES, call
            history = [*ASK, message.model_dump(exclude_none=True), {"role": "tool", "tool_call_id": call.id, "content": "sunny"}]
            after = ask(api, tools=TOOLS, messages=history).choices[0].message
            assert after.content or after.tool_calls, after

        def streams_a_call(api):
            built = litellm.stream_chunk_builder(list(ask(api, tools=TOOLS, tool_choice={"type": "function", "function": {"name": "get_weather"}},
                                                          parallel_tool_calls=False, max_tokens=200, stream=True)))
            call = built.choices[0].message.tool_calls[0]
            assert call.function.name == "get_weather" and json.loads(call.function.arguments)["city"] in CITIES, built

        def holds_to_a_schema(api):
            r = ask(api, response_format=City, max_tokens=200)
            City.model_validate_json(r.choices[0].message.content)

        def responds():
            r = litellm.responses(model="openai/" + model, api_base=server.url + "/v1", api_key=server.key, input="Name the capital of France.", max_output_tokens=24, temperature=0)
            assert r.output[-1].content[0].text and r.usage.output_tokens > 0, r
            kinds = [e.type for e in litellm.responses(model="openai/" + model, api_base=server.url + "/v1", api_key=server.key, input="Hi", max_output_tokens=8, stream=True)]
            assert kinds[0] == "response.created" and kinds[-1] in ("response.completed", "response.incomplete") and "response.output_text.delta" in kinds, kinds

        def completes_text():
            r = litellm.text_completion(model="text-completion-openai/" + model, api_base=server.url + "/v1", api_key=server.key, prompt="Once upon a time", max_tokens=8)
            assert r.choices[0].text and r.usage.completion_tokens > 0, r

        def errors_have_their_classes(api):
            raises(litellm.NotFoundError, lambda: ask(api, model=f"{api}/nothing-like-it"), "nothing-like-it")
            raises(litellm.AuthenticationError, lambda: ask(api, api_key="fh_00000000_" + "A" * 43))
            raises(litellm.BadRequestError, lambda: ask(api, messages=[{"role": "robot", "content": "x"}]))

        def long_prompts_have_theirs():
            raises(litellm.ContextWindowExceededError, lambda: ask("openai", messages=[{"role": "user", "content": "word " * 20000}]))

        for api in apis:
            tap.check(f"{api}: chats, with usage", chats, api)
            tap.check(f"{api}: streams, with usage", streams, api)
            tap.check(f"{api}: calls a tool, and takes its result", where_it_can(calls_a_tool), api)
            tap.check(f"{api}: streams the call of a tool", where_it_can(streams_a_call), api)
            tap.check(f"{api}: holds its output to a schema", where_it_can(holds_to_a_schema), api)
            tap.check(f"{api}: errors arrive as litellm's classes", errors_have_their_classes, api)
        tap.check("a prompt that is too long has a class of its own", long_prompts_have_theirs)
        tap.check("responses, plain and streamed", responds)
        tap.check("completes text", where_it_can(completes_text))
    tap.end()


main()
