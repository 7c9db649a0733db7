#!/usr/bin/env python3
"""The control plane against its own description: every path and method of GET /api/openapi.json is there, replies have the described members, and every
documented error is shown once. Prints TAP."""
import gzip
import http.client
import json
import re
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from freehold import PATIENCE, PROGRAM, STARTER, Server, Tap

KINDS = {"string": str, "integer": int, "number": (int, float), "boolean": bool, "object": dict, "array": list, "null": type(None)}


def fits(doc, value, schema, at):
    """Raises unless value is what schema says; members that schema does not know are an error too."""
    if "$ref" in schema:
        return fits(doc, value, doc["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]], at)
    if "anyOf" in schema:
        if value is None:
            assert any(s.get("type") == "null" for s in schema["anyOf"]), at
            return None
        return fits(doc, value, schema["anyOf"][0], at)
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    assert any(isinstance(value, KINDS[k]) and not (k in ("integer", "number") and isinstance(value, bool)) for k in kinds), f"{at}: {value!r} is no {kinds}"
    if isinstance(value, list):
        for i, v in enumerate(value):
            fits(doc, v, schema["items"], f"{at}[{i}]")
    if isinstance(value, dict) and "properties" in schema:
        assert set(schema["required"]) <= set(value), f"{at} lacks {set(schema['required']) - set(value)}"
        assert set(value) <= set(schema["properties"]), f"{at} has undescribed {set(value) - set(schema['properties'])}"
        for k, v in value.items():
            fits(doc, v, schema["properties"][k], f"{at}.{k}")


def main():
    if not PROGRAM.is_file():
        Tap.skip_all(f"{PROGRAM} is not built: run make")
    tap = Tap()
    server = Server(start=False)
    with_weights = STARTER.is_file()
    try:
        if with_weights:
            server.cli_local("import", str(STARTER))
        server.start("--import-dir", str(server.folder))
        check_all(tap, server, with_weights)
    finally:
        server.__exit__()
    tap.end()


def check_all(tap, s, with_weights):
    doc = s.json("GET", "/api/openapi.json")

    def reply_fits(method, path, template, status, body):
        content = doc["paths"][template][method.lower()]["responses"][str(status)].get("content", {})
        if "application/json" in content:
            fits(doc, json.loads(body), content["application/json"]["schema"], f"{method} {path}")

    def problem(status, method, path, body=None, param=None, **more):
        got, head, text = s.request(method, path, body, **more)
        assert got == status, (method, path, got, text[:300])
        said = json.loads(text)
        assert head["content-type"] == "application/problem+json" and said["status"] == status and said["detail"], said
        assert said["instance"] == head["x-request-id"], said
        if param:
            assert said["param"] == param, said
        return said

    def openai_error(status, method, path, body=None, param=None, **more):
        got, head, text = s.request(method, path, body, **more)
        assert got == status, (method, path, got, text[:300])
        said = json.loads(text)["error"]
        assert set(said) == {"message", "type", "param", "code"} and said["message"], said
        assert head["x-request-id"].startswith("req_")
        if param:
            assert said["param"] == param, said
        return said

    def every_path_is_there():
        for template, methods in doc["paths"].items():
            for method in methods:
                path = template.replace("{name}", "nothing").replace("{id}", "nothing")
                if template == "/api/v1/events":
                    continue
                status, _, text = s.request(method.upper(), path, {} if method == "post" else None)
                assert status not in (405, 501) and "there is nothing at" not in text.decode(), (method, path, status)
        return f"{sum(len(m) for m in doc['paths'].values())} operations"

    def what_is_not_described_is_not_there():
        for template in doc["paths"]:
            for method in ("GET", "POST", "DELETE", "PUT", "PATCH"):
                if method.lower() in doc["paths"][template]:
                    continue
                said = problem(405, method, re.sub(r"{\w+}", "x", template), {} if method == "POST" else None)
                assert said["hint"], said
        problem(404, "GET", "/api/v1/nothing")
        problem(404, "GET", "/nothing", key=None)

    def queries_are_held_to_their_bounds():
        tried = 0
        for template, methods in doc["paths"].items():
            for p in methods.get("get", {}).get("parameters", []):
                if p["in"] != "query":
                    continue
                path = re.sub(r"{\w+}", "x", template)
                wrong = ["x" * 64] if p["schema"]["type"] == "string" else ["many", "-1", "", str(p["schema"]["maximum"] + 1), "0" * 40 + "x"]
                for value in wrong:
                    problem(400, "GET", f"{path}?{p['name']}={value}", param=p["name"])
                tried += 1
        assert tried >= 5, tried
        assert "'limit'" in problem(400, "GET", "/api/v1/usage?cursor=3&limt=3", param="limt")["hint"]
        problem(400, "POST", "/api/v1/keys?dry=1", {"name": "x"}, param="dry")
        problem(400, "GET", "/api/v1/machine?%zz", param="?")
        return f"{tried} parameters"

    def reads_fit():
        for path in ("/api/v1/machine", "/api/v1/models", "/api/v1/deployments", "/api/v1/weights", "/api/v1/keys"):
            status, _, body = s.request("GET", path)
            assert status == 200, (path, body)
            reply_fits("GET", path, path, 200, body)
        _, _, body = s.request("GET", "/api/v1/models/smollm2")
        reply_fits("GET", "/api/v1/models/smollm2", "/api/v1/models/{id}", 200, body)
        assert json.loads(body)["id"] == "smollm2-135m"
        top = [m for m in s.json("GET", "/api/v1/models")["items"] if m["top_ten"]]
        assert len(top) == 10 and [m["rank"] for m in top] == list(range(1, 11))

    def keys_and_links():
        status, head, body = s.request("POST", "/api/v1/keys", {"name": "x", "scope": "admin"})
        assert status == 201 and head["cache-control"] == "no-store"
        reply_fits("POST", "/api/v1/keys", "/api/v1/keys", 201, body)
        made = json.loads(body)
        status, _, body = s.request("DELETE", "/api/v1/keys/" + made["id"])
        reply_fits("DELETE", "key", "/api/v1/keys/{id}", status, body)
        problem(401, "GET", "/api/v1/models", key=made["key"])
        status, _, body = s.request("POST", "/api/v1/console-links", {})
        reply_fits("POST", "link", "/api/v1/console-links", 201, body)
        code = json.loads(body)["url"].split("#code=")[1]
        status, headers, _ = s.request("POST", "/api/v1/session", {"code": "x"}, key=None)
        assert status >= 400 and headers["connection"] == "close", "a stranger stays where the control plane is served"
        status, _, body = s.request("POST", "/api/v1/session", {"code": code}, key=None)
        reply_fits("POST", "session", "/api/v1/session", 201, body)
        console = json.loads(body)["key"]
        assert s.request("DELETE", "/api/v1/session", key=console)[0] == 204
        problem(401, "GET", "/api/v1/models", key=console)
        problem(409, "DELETE", "/api/v1/session")

    def bad_requests():
        problem(400, "POST", "/api/v1/keys", {"scope": "use"}, param="name")
        problem(400, "POST", "/api/v1/keys", {"name": "x", "scope": "all"}, param="scope")
        said = problem(400, "POST", "/api/v1/deployments", {"model": "smollm2", "contxt_tok": 5}, param="contxt_tok")
        assert "context_tok" in said["hint"], said
        problem(400, "POST", "/api/v1/deployments", {"model": 5}, param="model")
        problem(400, "POST", "/api/v1/deployments", {"model": "smollm2", "streams": -1}, param="streams")
        problem(400, "POST", "/api/v1/deployments", {"model": "smollm2", "streams": 257}, param="streams")
        problem(400, "POST", "/api/v1/deployments", {"model": "smollm2", "context_tok": 16777217}, param="context_tok")
        problem(400, "POST", "/api/v1/deployments", "[1]")
        problem(400, "POST", "/api/v1/deployments", "{\"model\":")
        problem(400, "POST", "/api/v1/deployments", '{"model":"a","model":"b"}')
        problem(400, "GET", "/api/v1/deployments/x/events?after=minus")
        said = problem(404, "POST", "/api/v1/deployments", {"model": "smolm2"})
        assert "smollm2" in said.get("hint", "") + said["detail"], said
        problem(404, "DELETE", "/api/v1/deployments/nothing")
        problem(404, "GET", "/api/v1/weights/imports/import-7")
        problem(413, "POST", "/api/v1/keys", json.dumps({"name": "x" * (2 << 20)}))
        problem(415, "POST", "/api/v1/keys", '{"name":"x"}', headers={"Content-Type": "text/plain"})
        problem(421, "GET", "/api/v1/models", host="elsewhere.example")
        problem(403, "GET", "/api/v1/models", headers={"Origin": "https://elsewhere.example"})

    def paths_outside_are_refused():
        problem(403, "POST", "/api/v1/weights", {"path": "/etc/passwd"}, param="path")
        problem(403, "POST", "/api/v1/weights", {"path": str(s.folder / "data/../../../etc/passwd")}, param="path")
        (s.folder / "way-out").symlink_to("/etc/passwd")
        problem(403, "POST", "/api/v1/weights", {"path": str(s.folder / "way-out")}, param="path")
        problem(403, "POST", "/api/v1/deployments", {"model": "/etc/passwd"}, param="path")
        problem(403, "POST", "/api/v1/deployments", {"model": "../../etc/passwd"}, param="path")
        (s.folder / "pipe").mkdir()
        assert s.request("POST", "/api/v1/weights", {"path": str(s.folder / "pipe")})[0] == 400

    def imports_run_and_fail_with_reasons():
        (s.folder / "broken.gguf").write_bytes(b"GGUF\x03\0\0\0" + b"\xff" * 64)
        status, _, body = s.request("POST", "/api/v1/weights", {"path": str(s.folder / "broken.gguf")})
        assert status == 202, body
        reply_fits("POST", "import", "/api/v1/weights", 202, body)
        job = json.loads(body)
        for _ in range(200):
            if job["state"] != "running":
                break
            time.sleep(0.02)
            job = s.json("GET", "/api/v1/weights/imports/" + job["id"])
        fits(doc, job, {"$ref": "#/components/schemas/Import"}, "import")
        assert job["state"] == "failed" and "byte" in job["error"], job

    def idempotency():
        token = {"Idempotency-Key": "same"}
        first = s.request("POST", "/api/v1/weights", {"path": str(s.folder / "broken.gguf")}, headers=token)
        again = s.request("POST", "/api/v1/weights", {"path": str(s.folder / "broken.gguf")}, headers=token)
        assert first[0] == again[0] == 202 and first[2] == again[2], (first, again)
        assert again[1]["idempotency-replayed"] == "true"
        problem(409, "POST", "/api/v1/weights", {"path": str(s.folder / "broken.gguf"), "id": "x"}, headers=token)
        s.stop()
        s.start("--import-dir", str(s.folder))
        later = s.request("POST", "/api/v1/weights", {"path": str(s.folder / "broken.gguf")}, headers=token)
        assert later[2] == first[2], "a restart forgot it"
        key = s.request("POST", "/api/v1/keys", {"name": "once"}, headers=token)
        assert key[0] == 409, key  # the same token for another request
        key = s.request("POST", "/api/v1/keys", {"name": "once"}, headers={"Idempotency-Key": "k"})
        assert key[0] == 201
        said = problem(409, "POST", "/api/v1/keys", {"name": "once"}, headers={"Idempotency-Key": "k"})
        assert "once" in said["detail"], said

    def openai_errors():
        ask = {"model": "smollm2", "messages": [{"role": "user", "content": "Hi"}]}
        said = openai_error(404, "POST", "/v1/chat/completions", ask)
        assert "freehold run smollm2" in said["message"], said
        said = openai_error(404, "POST", "/v1/chat/completions", {**ask, "model": "smolm2"})
        assert "smollm2" in said["message"], said
        openai_error(404, "POST", "/v1/chat/completions", {**ask, "model": "deployment/none"})
        status, head, _ = s.request("POST", "/v1/chat/completions", {**ask, "model": "auto"})
        assert status == 503 and head["retry-after"], (status, head)
        openai_error(400, "POST", "/v1/chat/completions", {"model": "smollm2"}, param="messages")
        openai_error(400, "POST", "/v1/chat/completions", {**ask, "temperature": "hot"}, param="temperature")
        openai_error(400, "POST", "/v1/chat/completions", "{")
        openai_error(400, "POST", "/v1/completions", {"model": "smollm2"}, param="prompt")
        openai_error(404, "GET", "/v1/models/nothing")
        openai_error(404, "GET", "/v1/nothing")
        openai_error(405, "GET", "/v1/chat/completions")
        openai_error(405, "DELETE", "/v1/models")
        openai_error(401, "GET", "/v1/models", key=None)
        openai_error(415, "POST", "/v1/chat/completions", json.dumps(ask), headers={"Content-Type": "text/plain"})
        assert s.json("GET", "/v1/models") == {"object": "list", "data": []}

    def too_large():
        c = http.client.HTTPConnection("127.0.0.1", s.port, timeout=PATIENCE)
        c.putrequest("POST", "/v1/chat/completions")
        c.putheader("Content-Length", str(64 << 20))
        c.putheader("Content-Type", "application/json")
        c.endheaders()
        assert c.getresponse().status == 413

    def the_page():
        status, head, body = s.request("GET", "/", key=None)
        assert status == 200 and b"<html" in body
        assert s.request("GET", "/", key=None, headers={"If-None-Match": head["etag"]})[0] == 304
        status, zipped, small = s.request("GET", "/", key=None, headers={"Accept-Encoding": "gzip, br"})
        assert zipped["content-encoding"] == "gzip" and gzip.decompress(small) == body
        assert "content-encoding" not in s.request("GET", "/", key=None, headers={"Accept-Encoding": "gzip;q=0"})[1]
        status, head, empty = s.request("HEAD", "/", key=None)
        assert status == 200 and empty == b"" and int(head["content-length"]) == len(body)
        navigation = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
        assert s.request("GET", "/", key=None, headers=navigation)[0] == 200, "a link from elsewhere opens the page"

    def metrics():
        status, head, body = s.request("GET", "/metrics")
        assert status == 200 and head["content-type"].startswith("text/plain; version=0.0.4")
        lines = body.decode().splitlines()
        names = {l.split("{")[0].split(" ")[0] for l in lines if not l.startswith("#")} | {l.split()[2] for l in lines if l.startswith("# TYPE ")}
        for name in ("gen_ai_server_request_duration_seconds", "gen_ai_server_time_to_first_token_seconds", "freehold_deployments", "freehold_build_info"):
            assert name in names, sorted(names)
        for l in lines:
            if not l.startswith("#"):
                float(l.rsplit(" ", 1)[1])

    def events():
        got, ready = [], threading.Event()

        def listen():
            c = http.client.HTTPConnection("127.0.0.1", s.port, timeout=PATIENCE)
            c.request("GET", "/api/v1/events", headers={"Authorization": "Bearer " + s.key})
            reply = c.getresponse()
            assert reply.status == 200 and reply.getheader("content-type").startswith("text/event-stream")
            kind = None
            while len(got) < 3:
                line = reply.readline().decode().rstrip("\n")
                if line.startswith("event: "):
                    kind = line[7:]
                if line.startswith("data: "):
                    got.append((kind, json.loads(line[6:])))
                    ready.set()
            c.close()
        thread = threading.Thread(target=listen, daemon=True)
        thread.start()
        assert ready.wait(PATIENCE), "no hello"
        made = s.json("POST", "/api/v1/deployments", {"model": "smollm2"})
        thread.join(PATIENCE)
        assert got[0][0] == "hello" and got[1][0] == "deployment", got
        assert got[1][1]["deployment"] == made["name"] and got[1][1]["to"], got
        fits(doc, s.json("GET", "/api/v1/deployments/" + made["name"]), {"$ref": "#/components/schemas/Deployment"}, "deployment")
        status, _, body = s.request("GET", f"/api/v1/deployments/{made['name']}/events")
        reply_fits("GET", "events", "/api/v1/deployments/{name}/events", 200, body)
        if not with_weights:
            return
        s.request("DELETE", "/api/v1/deployments/" + made["name"])

    for fn, text in [(every_path_is_there, "every described operation is there"), (what_is_not_described_is_not_there, "other methods and paths are refused with what to do"),
                     (reads_fit, "reads have the described members"), (queries_are_held_to_their_bounds, "parameters of queries are described and held to their bounds"), (keys_and_links, "keys, links and sessions have the described members and end"),
                     (bad_requests, "bad requests name the field at fault"), (paths_outside_are_refused, "files outside the import folders are refused"),
                     (imports_run_and_fail_with_reasons, "an import runs beside the server and says why it fails"), (idempotency, "a repeated request is not done twice, also after a restart"),
                     (openai_errors, "errors under /v1 have OpenAI's shape"), (too_large, "a body that is too large is refused before it is sent"),
                     (the_page, "the page: tags, gzip, HEAD, links from elsewhere"), (metrics, "metrics parse and have their names"), (events, "events come as they happen")]:
        tap.check(text, fn)


if __name__ == "__main__":
    main()
