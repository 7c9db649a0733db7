#!/usr/bin/env python3
"""Hosted endpoints: one freehold is the provider of another, so that every API goes over an upstream that is not our own engine, with a key; then llama-server,
where it is built. Prints TAP."""
import contextlib
import json
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from freehold import TOP, STARTER, Server, Tap, free_port, need_starter

ASK = [{"role": "user", "content": "Say hi."}]
FORM = {"type": "object", "properties": {"word": {"enum": ["hi", "ho"]}}, "required": ["word"], "additionalProperties": False}


def events(body):
    return [json.loads(line[6:]) for line in body.decode().splitlines() if line.startswith("data: ") and line != "data: [DONE]"]


class Case:
    """Front: the server that is asked. model: one that only the provider serves."""

    def __init__(self, front, model, want):
        self.front, self.model, self.want = front, model, want

    def ask(self, path, **body):
        status, headers, reply = self.front.request("POST", path, {"model": self.model, "temperature": 0, **body})
        assert status == 200, (status, reply)
        return headers, reply

    def chat(self):
        headers, reply = self.ask("/v1/chat/completions", messages=ASK, max_tokens=8)
        choice = json.loads(reply)["choices"][0]
        assert choice["message"]["content"] == self.want and choice["finish_reason"] == "length", choice
        assert headers["x-freehold-place"] == "provider/lab", headers

    def chat_stream(self):
        reply = self.ask("/v1/chat/completions", messages=ASK, max_tokens=8, stream=True)[1]
        chunks = events(reply)
        assert "".join(c["choices"][0]["delta"].get("content") or "" for c in chunks) == self.want, reply
        assert reply.rstrip().endswith(b"data: [DONE]") and not any(c.get("usage") for c in chunks), "usage was not asked for"

    def chat_stream_with_usage(self):
        chunks = events(self.ask("/v1/chat/completions", messages=ASK, max_tokens=8, stream=True, stream_options={"include_usage": True})[1])
        assert chunks[-1]["usage"]["completion_tokens"] == 8 and chunks[-1]["choices"] == [], chunks[-1]

    def messages(self):
        said = json.loads(self.ask("/v1/messages", messages=ASK, max_tokens=8)[1])
        assert said["content"][0]["text"] == self.want and said["stop_reason"] == "max_tokens" and said["usage"]["output_tokens"] == 8, said

    def messages_stream(self):
        chunks = events(self.ask("/v1/messages", messages=ASK, max_tokens=8, stream=True)[1])
        assert "".join(c["delta"]["text"] for c in chunks if c["type"] == "content_block_delta") == self.want, chunks
        assert chunks[0]["type"] == "message_start" and chunks[-1]["type"] == "message_stop", chunks

    def responses(self):
        said = json.loads(self.ask("/v1/responses", input="Say hi.", max_output_tokens=8)[1])
        assert said["output"][-1]["content"][0]["text"] == self.want and said["status"] == "incomplete", said

    def structured_output(self):
        """The same form in the words of each API, all of them over the provider's."""
        form = {"type": "json_schema", "name": "word", "schema": FORM, "strict": True}
        said = [json.loads(self.ask("/v1/chat/completions", messages=ASK, max_tokens=40, response_format={"type": "json_schema", "json_schema": {"name": "word", "schema": FORM}})[1])
                ["choices"][0]["message"]["content"],
                json.loads(self.ask("/v1/responses", input="Say hi.", max_output_tokens=40, text={"format": form})[1])["output"][-1]["content"][0]["text"],
                json.loads(self.ask("/v1/messages", messages=ASK, max_tokens=40, output_config={"format": {"type": "json_schema", "schema": FORM}})[1])["content"][0]["text"]]
        assert all(json.loads(text)["word"] in ("hi", "ho") for text in said), said

    def forced_calls(self):
        """One that must be made, in the words of each API."""
        function = {"name": "say", "parameters": FORM}
        chat = json.loads(self.ask("/v1/chat/completions", messages=ASK, max_tokens=60, tools=[{"type": "function", "function": function}], tool_choice="required")[1])["choices"][0]
        call = chat["message"]["tool_calls"][0]["function"]
        response = json.loads(self.ask("/v1/responses", input="Say hi.", max_output_tokens=60, tools=[{"type": "function", **function}], tool_choice={"type": "function", "name": "say"})[1])["output"][-1]
        message = json.loads(self.ask("/v1/messages", messages=ASK, max_tokens=60, tools=[{"name": "say", "input_schema": FORM}], tool_choice={"type": "any"})[1])
        used = message["content"][-1]
        assert (chat["finish_reason"], response["type"], message["stop_reason"]) == ("tool_calls", "function_call", "tool_use"), (chat, response, message)
        assert call["name"] == response["name"] == used["name"] == "say", (call, response, used)
        assert all(said["word"] in ("hi", "ho") for said in (json.loads(call["arguments"]), json.loads(response["arguments"]), used["input"])), (call, response, used)

    def counted_prompts(self):
        counted = json.loads(self.ask("/v1/messages/count_tokens", messages=ASK)[1])["input_tokens"]
        usage = json.loads(self.ask("/v1/messages", messages=ASK, max_tokens=1)[1])["usage"]
        assert counted == usage["input_tokens"] + usage["cache_read_input_tokens"] > 0, (counted, usage)

    def prompts_that_are_too_long(self):
        long = [{"role": "user", "content": "word " * 20000}]
        for path, body, says in (("/v1/chat/completions", {"messages": long}, '"code":"context_length_exceeded"'), ("/v1/messages", {"messages": long, "max_tokens": 8}, "invalid_request_error"),
                                 ("/v1/responses", {"input": "word " * 20000}, '"param":"input","code":"context_length_exceeded"')):
            status, _, reply = self.front.request("POST", path, {"model": self.model, **body})
            assert status == 400 and says in reply.decode(), (path, status, reply)

    def embeddings(self):
        headers, reply = self.ask("/v1/embeddings", input=["hi", [1, 2]], encoding_format="float")
        said = json.loads(reply)
        assert [len(d["embedding"]) for d in said["data"]] == [576, 576] and said["usage"]["prompt_tokens"] > 2, said["usage"]
        assert headers["x-freehold-place"] == "provider/lab", headers

    def check_all(self, tap, name):
        for what in ("chat", "chat_stream", "chat_stream_with_usage", "messages", "messages_stream", "responses", "structured_output", "forced_calls", "counted_prompts", "prompts_that_are_too_long"):
            tap.check(f"{what.replace('_', ' ')} over {name}", getattr(self, what))


def manners(tap, front, back):
    def refused():
        for words, exit_code in ((("provider", "add", "lab", "--url", back.url), 1), (("provider", "add", "other", "--url", "http://127.0.0.1:1"), 5),
                                 (("provider", "add", "other", "--url", back.url), 5), (("provider", "add", "No Name", "--url", back.url), 1),
                                 (("provider", "remove", "nobody"), 3), (("provider", "add", "other", "--url", "ftp://x"), 1), (("provider", "add", "other", "--url", back.url + "/#part"), 1)):
            done = front.cli(*words)
            assert done.returncode == exit_code and len(done.stderr.splitlines()) >= 2, (words, done)

    def secret():
        shown = front.cli("provider", "list", "--json").stdout + front.cli("provider", "list").stdout
        assert back.key not in shown and "lab" in shown, shown
        assert back.key not in front.output(), "the log has the key"

    def trusted():
        front.cli("provider", "remove", "lab")
        done = front.cli("provider", "add", "lab", "--url", back.url, "--key-file", str(back.key_file), "--trust", "named")
        assert done.returncode == 0, done
        body = {"model": "smollm2-135m", "messages": ASK, "max_tokens": 1}
        assert front.request("POST", "/v1/chat/completions", body)[0] == 403
        assert front.request("POST", "/v1/chat/completions", body, headers={"x-freehold-trust": "named"})[0] == 200

    def in_regions():
        body = {"model": "smollm2-135m", "messages": ASK, "max_tokens": 1}

        def ask(server, region, **more):
            return server.request("POST", "/v1/chat/completions", body, headers={"x-freehold-region": region}, **more)
        front.cli("provider", "remove", "lab")
        assert front.cli("provider", "add", "lab", "--url", back.url, "--key-file", str(back.key_file)).returncode == 0
        assert ask(front, "fr")[0] == 403, "nobody said where it stands"
        front.cli("provider", "remove", "lab")
        assert front.cli("provider", "add", "lab", "--url", back.url, "--key-file", str(back.key_file), "--region", "Fr").returncode == 1
        assert front.cli("provider", "add", "lab", "--url", back.url, "--key-file", str(back.key_file), "--region", "fr").returncode == 0
        status, headers, _ = ask(front, "de, fr")
        assert status == 200 and "in fr, as was demanded" in headers["x-freehold-reason"], (status, headers)
        status, _, reply = ask(front, "de")
        assert status == 403 and json.loads(reply)["error"]["param"] == "x-freehold-region", (status, reply)
        key = json.loads(front.cli("key", "create", "--regions", "de", "--json", "near").stdout)
        assert key["regions"] == ["de"], key
        assert front.request("POST", "/v1/chat/completions", body, key=key["key"])[0] == 403
        assert ask(front, "fr", key=key["key"])[0] == 403

    def at_home():
        back.stop()
        back.start("--region", "fr")
        deployed = back.deployments()[0]
        assert deployed["region"] == "fr", deployed
        back.wait_ready(deployed["name"])
        body = {"model": "smollm2", "messages": ASK, "max_tokens": 1}
        for region, want in (("fr", 200), ("de", 403)):
            status, _, reply = back.request("POST", "/v1/chat/completions", body, headers={"x-freehold-region": region})
            assert status == want, (region, status, reply)

    def kept():
        front.stop()
        front.start()
        assert "lab" in front.cli("provider", "list").stdout
        assert json.loads(front.cli("provider", "list", "--json").stdout)["items"][0]["region"] == "fr"
        done = front.cli("provider", "check", "lab")
        assert done.returncode == 0 and "smollm2-135m" in done.stdout, done
    tap.check("what cannot be a provider is refused, with what to do", refused)
    tap.check("a provider's key is not shown and not logged", secret)
    tap.check("a request goes no further than it allows", trusted)
    tap.check("a request that demands a region is answered there or not at all", in_regions)
    tap.check("a server that knows where it stands answers what demands that", at_home)
    tap.check("providers are kept over a restart, and checked", kept)


@contextlib.contextmanager
def llama_server():
    """Its URL, or None with the reason."""
    found = subprocess.run([TOP / "tests/tools/peers", "find", "llama.cpp"], capture_output=True, text=True)
    program = Path(dict(line.split("=", 1) for line in found.stdout.splitlines())["bin"]) / "llama-server" if found.returncode == 0 else None
    if not program or not program.is_file():
        yield None, found.stderr.strip() or "llama-server is not built"
        return
    port = free_port()
    peer = subprocess.Popen([program, "-m", STARTER, "--port", str(port), "-c", "4096", "--jinja"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield f"http://127.0.0.1:{port}", None
    finally:
        peer.kill()
        peer.wait()


def over_llama_server(tap, front):
    with llama_server() as (url, why):
        if not url:
            tap.skip("all APIs over llama-server", why)
            return
        front.cli("provider", "remove", "lab")
        until = time.monotonic() + 120
        while (done := front.cli("provider", "add", "lab", "--url", url)).returncode and time.monotonic() < until:
            time.sleep(0.3)
        assert done.returncode == 0, done
        provider = json.loads(front.cli("provider", "list", "--json").stdout)["items"][0]
        assert provider["engine"] == "llama-server", provider
        model = provider["models"][0]
        body = {"model": model, "messages": ASK, "max_tokens": 8, "temperature": 0}
        want = json.loads(front.request("POST", "/v1/chat/completions", body)[2])["choices"][0]["message"]["content"]
        Case(front, model, want).check_all(tap, "llama-server")


def by_name(front, model):
    """As a person does: nothing is started for what answers already."""
    done = front.cli("run", model, "Say hello.", "--max-tokens", "8")
    assert done.returncode == 0 and done.stdout.strip(), done
    assert not front.deployments(), front.deployments()
    said = json.loads(front.cli("run", model, "Say hello.", "--max-tokens", "8", "--json").stdout)
    assert said["text"] and said["usage"]["completion_tokens"] > 0, said
    done = front.cli("run", model, "Say hello.", "--on", "here")
    assert done.returncode == 2 and "answers already" in done.stderr, done
    done = front.cli("run", "provider/lab/nothing", "Say hello.")
    assert done.returncode != 0 and "nothing" in done.stderr, done


def main():
    need_starter()
    tap = Tap()
    with Server() as back, Server() as front:
        back.deploy()
        want = json.loads(back.request("POST", "/v1/chat/completions", {"model": "smollm2", "messages": ASK, "max_tokens": 8, "temperature": 0})[2])["choices"][0]["message"]["content"]

        def add():
            done = front.cli("provider", "add", "lab", "--url", back.url + "/v1/", "--key-file", str(back.key_file))
            assert done.returncode == 0 and "smollm2-135m" in done.stdout, done
        tap.check("an endpoint is named, asked, and its models are served", add)
        Case(front, "smollm2-135m", want).check_all(tap, "another freehold")
        tap.check("embeddings over another freehold", Case(front, "provider/lab/smollm2-135m", want).embeddings)
        Case(front, "provider/lab/smollm2-135m", want).chat()
        tap.check("`freehold run` asks it by its name", by_name, front, "provider/lab/smollm2-135m")
        manners(tap, front, back)
        over_llama_server(tap, front)
    tap.end()


main()
