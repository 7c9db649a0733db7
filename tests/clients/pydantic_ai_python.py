#!/usr/bin/env python3
"""pydantic-ai's models for OpenAI against a real server, over chat completions and over responses. Run with the interpreter of tests/tools/python-env. Prints TAP."""
import sys
from pathlib import Path
from typing import Literal

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from clients import CITIES, CITY, raises, served, where_it_can
from freehold import Tap, need_starter

try:
    from pydantic import BaseModel
    from pydantic_ai import Agent, NativeOutput, ToolOutput
    from pydantic_ai.direct import model_request_stream_sync, model_request_sync
    from pydantic_ai.exceptions import ModelHTTPError
    from pydantic_ai.messages import ModelRequest, ToolCallPart, ToolReturnPart
    from pydantic_ai.models import ModelRequestParameters
    from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
    from pydantic_ai.providers.openai import OpenAIProvider
    from pydantic_ai.settings import ModelSettings
    from pydantic_ai.tools import ToolDefinition
except ImportError:
    Tap.skip_all("pydantic-ai is not installed: run with the interpreter of tests/tools/python-env")

QUESTION = "Name the capital of France."
WEATHER = ToolDefinition(name="get_weather", description="The weather in a city", parameters_json_schema=CITY)


class City(BaseModel):
    name: Literal["Paris", "Rome"]
    large: bool


def main():
    need_starter()
    tap = Tap()
    with served() as (server, name):
        def model(api, name=name, key=server.key):
            kind = OpenAIChatModel if api == "chat" else OpenAIResponsesModel
            return kind(name, provider=OpenAIProvider(base_url=server.url + "/v1", api_key=key))

        short, long = (ModelSettings(max_tokens=n, temperature=0, parallel_tool_calls=False) for n in (24, 200))
        forced = ModelRequestParameters(function_tools=[WEATHER], allow_text_output=False)

        def chats(api):
            r = Agent(model(api), instructions="You are brief.", model_settings=ModelSettings(max_tokens=24, temperature=0)).run_sync(QUESTION)
            assert r.output and 0 < r.usage.output_tokens <= 24, r

        def streams(api):
            r = Agent(model(api), model_settings=ModelSettings(max_tokens=24, temperature=0)).run_stream_sync(QUESTION)
            pieces = list(r.stream_text(delta=True, debounce_by=None))
            assert len(pieces) > 2 and 0 < r.usage.output_tokens <= 24, (pieces, r.usage)

        def call_of(response):
            calls = [p for p in response.parts if isinstance(p, ToolCallPart)]
            assert calls and calls[0].tool_name == "get_weather" and calls[0].args_as_dict()["city"] in CITIES and calls[0].tool_call_id, response
            return calls[0]

        def calls_a_tool(api):
            asked = ModelRequest.user_text_prompt(QUESTION)
            r = model_request_sync(model(api), [asked], model_settings=long, model_request_parameters=forced)
            call = call_of(r)
            told = ModelRequest([ToolReturnPart(tool_name="get_weather", content="sunny", tool_call_id=call.tool_call_id)])
            after = model_request_sync(model(api), [asked, r, told], model_settings=short, model_request_parameters=ModelRequestParameters(function_tools=[WEATHER]))
            assert after.parts, after

        def streams_a_call(api):
            with model_request_stream_sync(model(api), [ModelRequest.user_text_prompt(QUESTION)], model_settings=long, model_request_parameters=forced) as stream:
                assert sum(1 for _ in stream) > 2
                call_of(stream.response)

        def holds_to_a_schema(api):
            r = Agent(model(api), output_type=NativeOutput(City), model_settings=ModelSettings(max_tokens=200, temperature=0)).run_sync(QUESTION)
            assert isinstance(r.output, City)

        def fills_a_form_by_a_tool(api):
            r = Agent(model(api), output_type=ToolOutput(City), model_settings=long).run_sync(QUESTION)
            assert isinstance(r.output, City)

        def errors_say_what_they_are(api):
            for status, other in ((404, model(api, name="nothing-like-it")), (401, model(api, key="fh_00000000_" + "A" * 43))):
                e = raises(ModelHTTPError, lambda: Agent(other).run_sync(QUESTION))
                assert e.status_code == status and e.body["message"], e

        for api in ("chat", "responses"):
            tap.check(f"{api}: an agent answers, with usage", chats, api)
            tap.check(f"{api}: an agent streams, with usage", streams, api)
            tap.check(f"{api}: calls a tool, and takes its result", where_it_can(calls_a_tool), api)
            tap.check(f"{api}: streams the call of a tool", where_it_can(streams_a_call), api)
            tap.check(f"{api}: holds its output to a schema", where_it_can(holds_to_a_schema), api)
            tap.check(f"{api}: fills a form by the call of a tool", where_it_can(fills_a_form_by_a_tool), api)
            tap.check(f"{api}: errors say what they are", errors_say_what_they_are, api)
    tap.end()


main()
