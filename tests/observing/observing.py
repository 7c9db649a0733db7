#!/usr/bin/env python3
"""What an operator sees of a running server: metrics that Prometheus reads, an access log, traces at a collector, traffic and the last failover. And that
nothing of a prompt, an answer or a key is in any of it. Prints TAP."""
import base64
import http.client
import http.server
import json
import os
import signal
import sys
import threading
import time
from pathlib import Path

from google.protobuf import json_format
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from prometheus_client.parser import text_string_to_metric_families

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from freehold import PATIENCE, Server, Tap, need_starter  # noqa: E402

SECRET = "zanzibar"  # stands in every prompt, and nowhere else
TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
DOUBLING = [0.01 * 2 ** i for i in range(14)]
BOUNDS = {
    "gen_ai_server_request_duration_seconds": DOUBLING,
    "gen_ai_server_time_to_first_token_seconds": [0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10],
    "gen_ai_server_time_per_output_token_seconds": [0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5],
    "gen_ai_client_operation_time_per_output_chunk_seconds": DOUBLING,
    "gen_ai_client_token_usage": [4 ** i for i in range(14)],
}


def until(what, fn, seconds=PATIENCE):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = fn()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError(f"waited {seconds} s for {what}")


class Collector:
    """Takes what is posted; answers with `status`."""

    def __init__(self):
        self.requests, self.status = [], 200
        collector = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                collector.requests.append((self.path, dict(self.headers), body))
                self.send_response(collector.status)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *_):
                pass
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def spans(self):
        """All that came, read as the protocol's own messages; unknown members are errors."""
        found = []
        for _, _, body in self.requests:
            message = json_format.Parse(json.dumps(with_base64(json.loads(body))), ExportTraceServiceRequest())
            for resource in message.resource_spans:
                names = {a.key: a.value.string_value for a in resource.resource.attributes}
                assert names["service.name"] == "freehold" and names["service.version"], names
                found += [span for scope in resource.scope_spans for span in scope.spans]
        return found


def with_base64(node):
    """OTLP writes ids in hexadecimal, where protobuf's JSON has base64."""
    if isinstance(node, list):
        return [with_base64(n) for n in node]
    if not isinstance(node, dict):
        return node
    return {k: base64.b64encode(bytes.fromhex(v)).decode() if k in ("traceId", "spanId", "parentSpanId") else with_base64(v) for k, v in node.items()}


def attributes(span):
    return {a.key: a.value.string_value or a.value.int_value or [v.string_value for v in a.value.array_value.values] for a in span.attributes}


def ask(server, stream=False, model="smollm2", tokens=12, headers=None, key="own", path="/v1/chat/completions"):
    body = {"model": model, "messages": [{"role": "user", "content": f"Say {SECRET}."}], "max_tokens": tokens, "stream": stream}
    return server.request("POST", path, body, key=key, headers=headers)


def families(server):
    status, head, body = server.request("GET", "/metrics")
    assert status == 200 and head["content-type"].startswith("text/plain; version=0.0.4")
    text = body.decode()
    assert SECRET not in text
    return {f.name: f for f in text_string_to_metric_families(text)}


def samples(family, name, **labels):
    return [s for s in family.samples if s.name == name and all(s.labels.get(k) == v for k, v in labels.items())]


def total(server, name, **labels):
    found = families(server)
    return sum(s.value for s in samples(found[name.removesuffix("_total")], name, **labels))


class Run:
    def __init__(self, tap, server, collector, log):
        self.tap, self.server, self.collector, self.log = tap, server, collector, log

    def lines(self, path=None):
        return [json.loads(line) for line in (path or self.log).read_text().splitlines()]

    def line(self, request_id):
        return until(f"the line of {request_id}", lambda: next((x for x in self.lines() if x.get("request_id") == request_id), None))

    def requests_are_answered(self):
        s = self.server
        self.plain = ask(s)
        self.streamed = ask(s, stream=True, headers={"traceparent": f"00-{TRACE}-{SPAN}-01", "tracestate": "vendor=1"})
        self.unknown = ask(s, model=SECRET + "-model")
        self.stranger = ask(s, key="fh_aaaaaaaa_" + "b" * 43)
        self.behind = ask(s, headers={"X-Forwarded-For": "198.51.100.7, 203.0.113.9"})
        assert [r[0] for r in (self.plain, self.streamed, self.unknown, self.stranger, self.behind)] == [200, 200, 404, 401, 200]
        assert self.streamed[1]["x-freehold-trace-id"] == TRACE
        assert self.plain[1]["x-freehold-trace-id"] == self.plain[1]["x-request-id"].removeprefix("req_")

    def metrics_are_prometheus_text(self):
        found = families(self.server)
        for name, bounds in BOUNDS.items():
            family = found[name]
            assert family.type == "histogram" and family.documentation, name
            rows = {}
            for s in samples(family, name + "_bucket"):
                rows.setdefault(tuple(sorted((k, v) for k, v in s.labels.items() if k != "le")), []).append((float(s.labels["le"]), s.value))
            assert rows, f"{name} has no series"
            for labels, buckets in rows.items():
                assert [b for b, _ in buckets[:-1]] == [float(f"{b:.10g}") for b in bounds], (name, buckets)
                assert buckets[-1][0] == float("inf") and all(a[1] <= b[1] for a, b in zip(buckets, buckets[1:])), (name, buckets)
                assert samples(family, name + "_count", **dict(labels))[0].value == buckets[-1][1]
                assert samples(family, name + "_sum", **dict(labels))[0].value >= 0

    def series_have_the_model_and_the_class_of_the_key(self):
        s = self.server
        good = {"gen_ai_operation_name": "chat", "gen_ai_provider_name": "freehold", "gen_ai_request_model": "smollm2-135m", "freehold_key_class": "admin"}
        assert total(s, "freehold_gateway_requests_total", **good) == 3
        assert total(s, "freehold_gateway_failures_total", error_type="not_found", gen_ai_request_model="none") == 1
        found = families(s)
        tokens = samples(found["gen_ai_client_token_usage"], "gen_ai_client_token_usage_sum", gen_ai_token_type="output", **good)[0].value
        assert tokens == sum(self.line(r[1]["x-request-id"])["completion_tokens"] for r in (self.plain, self.streamed, self.behind)) > 0
        assert samples(found["gen_ai_server_time_to_first_token_seconds"], "gen_ai_server_time_to_first_token_seconds_count", **good)[0].value == 1, "streams alone"

    def the_log_tells_of_each_request(self):
        line = self.line(self.plain[1]["x-request-id"])
        used = json.loads(self.plain[2])["usage"]
        for name, value in {"key": self.server.key.split("_")[1], "client": "127.0.0.1", "method": "POST", "path": "/v1/chat/completions", "status": 200,
                            "complete": True, "operation": "chat", "model": "smollm2-135m", "place": "here", "attempts": 1, "stream": False,
                            "prompt_tokens": used["prompt_tokens"], "completion_tokens": used["completion_tokens"], "error": None, "first_token_ms": None,
                            "out_bytes": len(self.plain[2])}.items():
            assert line[name] == value, (name, line)
        assert line["finish_reason"] in ("stop", "length") and line["total_ms"] > 0
        line = self.line(self.streamed[1]["x-request-id"])
        assert line["stream"] and 0 < line["first_token_ms"] <= line["total_ms"] and line["trace_id"] == TRACE and line["span_id"] != SPAN

    def the_log_tells_of_what_was_refused(self):
        line = self.line(self.unknown[1]["x-request-id"])
        assert (line["status"], line["error"], line["model"], line["attempts"]) == (404, "not_found", None, 0), line
        line = self.line(self.stranger[1]["x-request-id"])
        assert line["status"] == 401 and line["key"] is None and "model" not in line, line

    def an_address_is_believed_of_a_trusted_proxy(self):
        assert self.line(self.behind[1]["x-request-id"])["client"] == "203.0.113.9"

    def the_control_plane_is_logged_too(self):
        _, head, _ = self.server.request("GET", "/api/v1/deployments?secret=" + SECRET)
        line = self.line(head["x-request-id"])
        assert line["path"] == "/api/v1/deployments" and line["status"] == 400 and line["key"], line

    def spans_are_what_the_protocol_says(self):
        want = bytes.fromhex(TRACE)
        spans = until("the spans", lambda: [x for x in self.collector.spans() if x.trace_id == want])
        request = next(x for x in spans if x.kind == 2)
        attempt = next(x for x in spans if x.kind == 3)
        assert len(spans) == 2 and request.parent_span_id.hex() == SPAN and attempt.parent_span_id == request.span_id
        assert request.span_id.hex() == self.line(self.streamed[1]["x-request-id"])["span_id"]
        assert request.start_time_unix_nano <= attempt.start_time_unix_nano <= attempt.end_time_unix_nano <= request.end_time_unix_nano
        said = attributes(request)
        assert said["gen_ai.operation.name"] == "chat" and said["gen_ai.request.model"] == "smollm2-135m" and said["http.response.status_code"] == 200, said
        assert said["gen_ai.usage.output_tokens"] > 0 and said["gen_ai.response.finish_reasons"][0] in ("stop", "length"), said
        path, head, _ = self.collector.requests[0]
        assert path == "/v1/traces" and head["Authorization"] == "Bearer collector-key" and head["Content-Type"] == "application/json"

    def what_is_not_sampled_is_not_sent(self):
        trace = "1" * 32
        ask(self.server, headers={"traceparent": f"00-{trace}-{SPAN}-00"})
        other = ask(self.server)[1]["x-freehold-trace-id"]
        until("the next span", lambda: any(x.trace_id.hex() == other for x in self.collector.spans()))
        assert not any(x.trace_id.hex() == trace for x in self.collector.spans())

    def sighup_opens_the_log_anew(self):
        before = self.line(ask(self.server)[1]["x-request-id"])
        moved = self.log.with_suffix(".1")
        self.log.rename(moved)
        self.server.process.send_signal(signal.SIGHUP)
        until("a new file", self.log.exists)
        after = ask(self.server)[1]["x-request-id"]
        assert self.line(after) and before in self.lines(moved) and before not in self.lines()
        assert oct(self.log.stat().st_mode & 0o777) == "0o600"

    def a_collector_that_is_away_costs_no_request(self):
        self.collector.status = 503
        assert ask(self.server)[0] == 200
        dropped = total(self.server, "freehold_otlp_dropped_total")
        self.collector.status = 400
        until("what was refused to be counted", lambda: total(self.server, "freehold_otlp_dropped_total") > dropped)
        self.collector.status = 200

    def traffic_counts(self):
        t = self.server.json("GET", "/api/v1/traffic")
        assert t["in_flight"] == 0 and t["finished"] >= 6 and t["failed"] == 1 and t["completion_tokens"] > 0 and t["failover"] is None, t
        assert [r["deployment"] for r in t["replicas"]] == ["smollm2-135m"] and t["replicas"][0]["requests"] >= 6, t

    def a_failover_can_be_looked_at(self):
        s = self.server
        s.deploy()
        client = http.client.HTTPConnection("127.0.0.1", s.port, timeout=120)
        client.request("POST", "/v1/chat/completions", json.dumps({"model": "smollm2", "stream": True, "max_tokens": 400, "messages": [
            {"role": "user", "content": f"Write a very long story about {SECRET}, at least a thousand words."}]}),
            {"Authorization": "Bearer " + s.key, "Content-Type": "application/json"})
        reply = client.getresponse()
        head = {k.lower(): v for k, v in reply.getheaders()}
        body = reply.readline()  # it has begun
        busy = next(r["deployment"] for r in s.json("GET", "/api/v1/traffic")["replicas"] if r["in_flight"])
        os.kill(next(d["pid"] for d in s.deployments() if d["name"] == busy), signal.SIGKILL)
        body += reply.read()
        assert reply.status == 200 and body.rstrip().endswith(b"[DONE]")
        f = until("the failover's end", lambda: (lambda f: f if f and f["over"] else None)(s.json("GET", "/api/v1/traffic")["failover"]))
        first, second = f["attempts"]
        assert first["deployment"] == busy and first["error"] == "upstream" and second["deployment"] != busy and second["error"] is None, f
        assert first["to_token"] == second["from_token"] <= f["completion_tokens"] and f["error"] is None and f["stream"], f
        assert first["began_ms"] <= first["ended_ms"] <= second["began_ms"] <= second["first_token_ms"] <= second["ended_ms"] <= f["ended_ms"], f
        assert self.line(head["x-request-id"])["attempts"] == 2
        assert total(s, "freehold_gateway_streams_resumed_total") == total(s, "freehold_gateway_retries_total") == 1
        spans = until("three spans", lambda: (lambda x: x if len(x) == 3 else None)([x for x in self.collector.spans() if x.trace_id.hex() == head["x-freehold-trace-id"]]))
        assert sorted(x.kind for x in spans) == [2, 3, 3] and len({x.span_id for x in spans}) == 3
        return f"moved after {first['to_token']} of {f['completion_tokens']} tokens; the next token came {second['first_token_ms'] - first['ended_ms']} ms later"

    def nothing_of_a_prompt_or_a_key_is_anywhere(self):
        key = self.server.key.split("_", 2)[2]  # which may hold more of them
        seen = [p.read_bytes() for p in self.log.parent.glob("access*")] + [body for _, _, body in self.collector.requests] + [self.server.output().encode()]
        assert all(SECRET.encode() not in text and key.encode() not in text and b"collector-key" not in text for text in seen)


def main():
    need_starter()
    tap = Tap()
    collector = Collector()
    with Server(start=False) as server:
        log, key = server.folder / "access.log", server.folder / "collector-key"
        key.write_text("collector-key\n")
        server.start("--access-log", str(log), "--otlp", collector.url, "--otlp-key-file", str(key), "--trusted-proxy", "127.0.0.1")
        server.deploy()
        run = Run(tap, server, collector, log)
        for name in ("requests_are_answered", "metrics_are_prometheus_text", "series_have_the_model_and_the_class_of_the_key", "the_log_tells_of_each_request",
                     "the_log_tells_of_what_was_refused", "an_address_is_believed_of_a_trusted_proxy", "the_control_plane_is_logged_too",
                     "spans_are_what_the_protocol_says", "what_is_not_sampled_is_not_sent", "sighup_opens_the_log_anew", "a_collector_that_is_away_costs_no_request",
                     "traffic_counts", "a_failover_can_be_looked_at", "nothing_of_a_prompt_or_a_key_is_anywhere"):
            tap.check(name.replace("_", " "), getattr(run, name))
    tap.end()


if __name__ == "__main__":
    main()
