#!/usr/bin/env python3
"""An engine that says what the request tells it to: told.py unix:PATH|PORT RECORD. Chat requests only. With tools, and no result of one yet, it calls the first; a message with
"think" in it is answered after a thought; everything else with a greeting. RECORD gets each request's body, a line each."""
import json
import socketserver
import sys
from http.server import BaseHTTPRequestHandler

PIECES = ["Ahoy", " there", "!"]


def answer(body):
    """[(delta, finish)]"""
    messages = body["messages"]
    if body.get("tools") and messages[-1]["role"] != "tool":
        name = body["tools"][0]["function"]["name"]
        call = {"index": 0, "id": "call_1", "type": "function", "function": {"name": name, "arguments": ""}}
        more = [{"tool_calls": [{"index": 0, "function": {"arguments": a}}]} for a in ('{"location":', '"San Francisco, CA"}')]
        return [({"role": "assistant", "tool_calls": [call]}, None), *[(m, None) for m in more], ({}, "tool_calls")]
    thought = [({"reasoning_content": t}, None) for t in ("Hm", ", well.")] if "think" in json.dumps(messages[-1]) else []
    return thought + [({"content": p}, None) for p in PIECES] + [({}, "stop")]


def whole(parts):
    message = {"role": "assistant", "content": None}
    for delta, _ in parts:
        for key, value in delta.items():
            if key != "tool_calls":
                message[key] = (message.get(key) or "") + value if key != "role" else value
            elif "id" in value[0]:
                message[key] = [{k: v for k, v in value[0].items() if k != "index"}]
            else:
                message[key][0]["function"]["arguments"] += value[0]["function"]["arguments"]
    return message


class Engine(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def reply(self, kind, data):
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self):
        self.reply("application/json", b'{"status":"ready","object":"list","data":[{"id":"told","object":"model","created":1,"owned_by":"tests"}]}')

    def do_POST(self):
        text = self.rfile.read(int(self.headers["Content-Length"]))
        with open(sys.argv[2], "ab") as record:
            record.write(text + b"\n")
        body = json.loads(text)
        parts, usage = answer(body), {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12, "prompt_tokens_details": {"cached_tokens": 2}}
        head = {"id": "chatcmpl-1", "created": 1, "model": "told"}
        if not body.get("stream"):
            choice = {"index": 0, "message": whole(parts), "finish_reason": parts[-1][1]}
            self.reply("application/json", json.dumps({**head, "object": "chat.completion", "choices": [choice], "usage": usage}).encode())
            return
        chunks = [{**head, "object": "chat.completion.chunk", "choices": [{"index": 0, "delta": d, "finish_reason": f}]} for d, f in parts]
        chunks.append({**head, "object": "chat.completion.chunk", "choices": [], "usage": usage})
        self.reply("text/event-stream", b"".join(b"data: " + json.dumps(c).encode() + b"\n\n" for c in chunks) + b"data: [DONE]\n\n")

    def log_message(self, *_):
        pass

    def address_string(self):
        return "unix"


class Listener(socketserver.ThreadingMixIn, socketserver.TCPServer):
    daemon_threads = True
    request_queue_size = 128


class LocalListener(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    request_queue_size = 128

    def get_request(self):
        connection, _ = super().get_request()
        return connection, ("unix", 0)


if sys.argv[1].startswith("unix:"):
    LocalListener(sys.argv[1].removeprefix("unix:"), Engine).serve_forever()
else:
    Listener(("127.0.0.1", int(sys.argv[1])), Engine).serve_forever()
