#!/usr/bin/env python3
"""LangChain's chat model for OpenAI (langchain-openai) against a real server, over chat completions and over responses. Run with the interpreter of tests/tools/python-env. Prints TAP."""
import functools
import operator
import sys
from pathlib import Path
from typing import Literal

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from clients import CITIES, raises, served, where_it_can
from freehold import Tap, need_starter

try:
    import openai
    from langchain_core.messages import HumanMessage, SystemMessage, ToolMessage
    from langchain_core.tools import tool
    from langchain_openai import ChatOpenAI
    from pydantic import BaseModel
except ImportError:
    Tap.skip_all("langchain-openai is not installed: run with the interpreter of tests/tools/python-env")


class City(BaseModel):
    """A city."""
    name: Literal["Paris", "Rome"]
    large: bool


@tool
def get_weather(city: Literal["Paris", "Rome"]) -> str:
    """The weather in a city."""
    return f"sunny in {city}"


def main():
    need_starter()
    tap = Tap()
    with served() as (server, model):
        def chat(api, **more):
            return ChatOpenAI(**{**dict(model=model, base_url=server.url + "/v1", api_key=server.key, max_tokens=200, temperature=0, max_retries=0, stream_usage=True,
                                        use_responses_api=api == "responses"), **more})

        ask = [SystemMessage("You are brief."), HumanMessage("Name the capital of France.")]

        def chats(api):
            r = chat(api, max_tokens=24).invoke(ask)
            assert r.text and 0 < r.usage_metadata["output_tokens"] <= 24, r
            assert r.usage_metadata["total_tokens"] == r.usage_metadata["input_tokens"] + r.usage_metadata["output_tokens"], r

        def streams(api):
            chunks = list(chat(api, max_tokens=24).stream(ask))
            whole = functools.reduce(operator.add, chunks)
            assert sum(bool(c.text) for c in chunks) > 2 and whole.text and 0 < whole.usage_metadata["output_tokens"] <= 24, whole

        def calls_a_tool(api):
            bound = chat(api).bind_tools([get_weather], tool_choice="any", parallel_tool_calls=False)
            r = bound.invoke(ask)
            assert [c["name"] for c in r.tool_calls] == ["get_weather"] and r.tool_calls[0]["args"]["city"] in CITIES, r
            told = get_weather.invoke(r.tool_calls[0])
            assert isinstance(told, ToolMessage) and told.tool_call_id, told
            after = chat(api).bind_tools([get_weather]).invoke([*ask, r, told])
            assert after.text or after.tool_calls, after

        def streams_a_call(api):
            whole = functools.reduce(operator.add, chat(api).bind_tools([get_weather], tool_choice="get_weather", parallel_tool_calls=False).stream(ask))
            assert [c["name"] for c in whole.tool_calls] == ["get_weather"] and whole.tool_calls[0]["args"]["city"] in CITIES, whole

        def holds_to_a_schema(api):
            assert isinstance(chat(api).with_structured_output(City, method="json_schema").invoke(ask), City)

        def fills_a_form_by_a_tool(api):
            assert isinstance(chat(api).with_structured_output(City, method="function_calling").invoke(ask), City)

        def errors_have_their_classes(api):
            raises(openai.NotFoundError, lambda: chat(api, model="nothing-like-it").invoke(ask), "nothing-like-it")
            raises(openai.AuthenticationError, lambda: chat(api, api_key="fh_00000000_" + "A" * 43).invoke(ask))
            raises(openai.BadRequestError, lambda: chat(api, temperature=9).invoke(ask), "temperature")

        for api in ("chat", "responses"):
            tap.check(f"{api}: answers, with usage", chats, api)
            tap.check(f"{api}: streams, with usage", streams, api)
            tap.check(f"{api}: calls a tool, and takes its result", where_it_can(calls_a_tool), api)
            tap.check(f"{api}: streams the call of a tool", where_it_can(streams_a_call), api)
            tap.check(f"{api}: holds its output to a schema", where_it_can(holds_to_a_schema), api)
            tap.check(f"{api}: fills a form by the call of a tool", where_it_can(fills_a_form_by_a_tool), api)
            tap.check(f"{api}: errors arrive as the classes of openai", errors_have_their_classes, api)
    tap.end()


main()
