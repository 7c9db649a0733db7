#!/usr/bin/env python3
"""Who may speak, and who is refused: keys, hosts, origins, forms, the console's link, and that no secret shows anywhere. Prints TAP."""
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from freehold import PROGRAM, Server, Tap, need_starter, processes

ASK = {"model": "smollm2", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 1}
OPEN = ["/healthz", "/readyz", "/"]
CLOSED = [("GET", "/v1/models"), ("POST", "/v1/chat/completions"), ("POST", "/v1/completions"), ("POST", "/v1/embeddings"), ("GET", "/metrics"), ("POST", "/tokenize"), ("POST", "/detokenize"),
          ("POST", "/apply-template"), ("POST", "/v1/chat/completions/input_tokens"),
          ("GET", "/api/v1/models"), ("GET", "/api/v1/deployments"), ("POST", "/api/v1/deployments"), ("GET", "/api/v1/events"), ("GET", "/api/v1/keys"),
          ("POST", "/api/v1/keys"), ("GET", "/api/v1/machine"), ("GET", "/api/v1/weights")]


def malformed(port):
    """The eleven requests of which common servers accept up to nine."""
    host = f"Host: 127.0.0.1:{port}\r\n"
    post = "POST /v1/chat/completions HTTP/1.1\r\n" + host + "Content-Type: application/json\r\n"
    return {
        "Content-Length with Transfer-Encoding": post + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "two Content-Lengths": post + "Content-Length: 2\r\nContent-Length: 3\r\n\r\n{} ",
        "a blank before the colon": "GET /v1/models HTTP/1.1\r\n" + host + "X-A : b\r\n\r\n",
        "an unknown Transfer-Encoding": post + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        "a folded header": "GET /v1/models HTTP/1.1\r\n" + host + "X-A: b\r\n c\r\n\r\n",
        "a bare LF": "GET /v1/models HTTP/1.1\n" + host.replace("\r", "") + "\n",
        "Content-Length +5": post + "Content-Length: +5\r\n\r\nhello",
        "NUL in a header": "GET /v1/models HTTP/1.1\r\n" + host + "X-A: a\0b\r\n\r\n",
        "no Host": "GET /v1/models HTTP/1.1\r\nX-A: b\r\n\r\n",
        "chunk size 0x5": post + "Transfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n0\r\n\r\n",
        "a negative Content-Length": post + "Content-Length: -5\r\n\r\nhello",
    }


def raw(port, data):
    """What comes back until the server closes."""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as s:
        s.sendall(data)
        got = b""
        while True:
            more = s.recv(65536)
            if not more:
                return got
            got += more


def main():
    need_starter()
    tap = Tap()
    with Server() as s:
        name = s.deploy()["name"]

        def refused(status, *request, **more):
            got, head, body = s.request(*request, **more)
            assert got == status, (request, got, body[:300])
            return head, body

        def wants_a_key():
            for path in OPEN:
                assert s.request("GET", path, key=None)[0] == 200, path
            for method, path in CLOSED:
                refused(401, method, path, body={} if method == "POST" else None, key=None)
                refused(401, method, path, body={} if method == "POST" else None, key="fh_00000000_" + "A" * 43)
                refused(401, method, path, body={} if method == "POST" else None, key="nonsense")

        def errors_in_their_shape():
            _, body = refused(401, "GET", "/v1/models", key=None)
            assert set(json.loads(body)["error"]) == {"message", "type", "param", "code"}, body
            head, body = refused(401, "GET", "/api/v1/deployments", key=None)
            assert head["content-type"].startswith("application/problem+json") and json.loads(body)["status"] == 401, (head, body)

        def a_revoked_key():
            made = s.json("POST", "/api/v1/keys", {"name": "for a while", "scope": "use"})
            key = made["key"]
            assert re.fullmatch(r"fh_[0-9A-Za-z_-]{8}_[0-9A-Za-z_-]{43}", key), "shape of a key"
            assert s.request("GET", "/v1/models", key=key)[0] == 200
            refused(403, "POST", "/api/v1/keys", body={"name": "x"}, key=key)
            refused(403, "DELETE", f"/api/v1/deployments/{name}", key=key)
            assert s.request("DELETE", "/api/v1/keys/" + made["id"])[0] in (200, 204)
            refused(401, "GET", "/v1/models", key=key)

        def make(**spec):
            return s.json("POST", "/api/v1/keys", {"name": "scoped", **spec})

        def each_scope_opens_its_own_door():
            asks = {"chat": ("/v1/chat/completions", ASK), "completions": ("/v1/completions", {"model": "smollm2", "prompt": "Hi", "max_tokens": 1}),
                    "responses": ("/v1/responses", {"model": "smollm2", "input": "Hi", "max_output_tokens": 1}),
                    "messages": ("/v1/messages", {"model": "smollm2", "max_tokens": 1, "messages": ASK["messages"]}), "tokenize": ("/tokenize", {"content": "Hi"})}
            for scope in (*asks, "read", "spend", "wake", "guard"):
                key = make(scope=scope)["key"]
                for name, (path, body) in asks.items():
                    status, _, text = s.request("POST", path, body, key=key)
                    assert status == (200 if name == scope else 403), (scope, path, status, text)
                    assert status == 200 or f"'{name}'" in text.decode(), (scope, path, text)
                for path in ("/api/v1/models", "/api/v1/deployments", "/metrics"):
                    status, _, text = s.request("GET", path, key=key)
                    assert status == (200 if scope == "read" else 403), (scope, path, status)
                    assert status == 200 or "'read'" in text.decode(), (scope, path, text)
                refused(403, "GET", "/api/v1/keys", key=key)
                assert s.request("GET", "/v1/models", key=key)[0] == 200
            both = make(scope="chat,wake")
            assert both["scope"] == "chat,wake" and s.request("POST", "/v1/chat/completions", ASK, key=both["key"])[0] == 200
            _, body = refused(403, "GET", "/v1/responses/resp_x", key=both["key"])
            assert json.loads(body)["error"]["code"] == "missing_scope", body

        def a_list_of_models_bounds_a_key():
            own, other, this = make(models=["smollm2"]), make(models=["kimi-k2.6", "deployment/elsewhere"]), make(models=["deployment/" + name])
            assert own["models"] == ["smollm2-135m"], own
            for k in (own, this):
                assert [m["id"] for m in s.json("GET", "/v1/models", key=k["key"])["data"]] == ["smollm2-135m"]
                assert s.request("GET", "/v1/models/smollm2", key=k["key"])[0] == 200
                for model in ("smollm2", "smollm2-135m", "auto", "deployment/" + name):
                    status, _, text = s.request("POST", "/v1/chat/completions", {**ASK, "model": model}, key=k["key"])
                    assert status == 200, (k["models"], model, status, text)
            assert s.json("GET", "/v1/models", key=other["key"])["data"] == []
            refused(404, "GET", "/v1/models/smollm2", key=other["key"])
            for model in ("smollm2", "no-such-model", "deployment/" + name, "auto"):
                _, body = refused(403, "POST", "/v1/chat/completions", {**ASK, "model": model}, key=other["key"])
                error = json.loads(body)["error"]
                assert error["code"] == "model_not_found" and error["param"] == "model" and "smollm2" not in error["message"].replace(model, ""), error
            refused(404, "POST", "/v1/chat/completions", {**ASK, "model": "kimi-k2.6"}, key=other["key"])
            for bad in ("smollm2", [1], [""], ["a b"], ["x" * 600]):
                refused(400, "POST", "/api/v1/keys", {"name": "x", "models": bad})

        def a_rotated_key():
            old = make(scope="chat")
            new = s.json("POST", f"/api/v1/keys/{old['id']}/rotate", {"grace_s": 3600})
            assert new["id"] == old["id"] and new["key"] != old["key"] and new["scope"] == "chat" and new["old_secret_until"], new
            for k in (old, new):
                assert s.request("POST", "/v1/chat/completions", ASK, key=k["key"])[0] == 200
            done = s.cli("key", "rotate", old["id"])
            assert done.returncode == 0 and re.fullmatch(r"fh_[a-z0-9]{8}_[0-9A-Za-z_-]{43}\n", done.stdout), done
            for k in (old, new):
                refused(401, "POST", "/v1/chat/completions", ASK, key=k["key"])
            assert s.request("POST", "/v1/chat/completions", ASK, key=done.stdout.strip())[0] == 200
            refused(403, "POST", f"/api/v1/keys/{old['id']}/rotate", {}, key=done.stdout.strip())
            s.json("DELETE", "/api/v1/keys/" + old["id"])
            refused(409, "POST", f"/api/v1/keys/{old['id']}/rotate", {})
            refused(404, "POST", "/api/v1/keys/nothing1/rotate", {})
            for bad in (-1, 1 << 40, "1h"):
                refused(400, "POST", f"/api/v1/keys/{new['id']}/rotate", {"grace_s": bad})
            for bad in ("1", "h", "-1h", "31d", "1.5h", ""):
                assert s.cli("key", "rotate", old["id"], "--grace", bad).returncode == 2, bad

        def the_last_use_shows_and_outlives_a_restart():
            k = make()

            def used():
                return next(x["used"] for x in s.json("GET", "/api/v1/keys")["items"] if x["id"] == k["id"])

            assert used() is None
            s.request("GET", "/v1/models", key=k["key"])
            said = used()
            assert said and said.endswith(":00.000Z"), said
            s.stop()
            s.start()
            s.wait_ready(name)
            assert used() == said

        def a_foreign_host():
            for host in ("evil.example", f"evil.example:{s.port}", "127.0.0.1.evil.example", f"localhost.evil.example:{s.port}"):
                refused(421, "GET", "/v1/models", host=host)
                refused(421, "GET", "/", host=host, key=None)
            assert s.request("GET", "/v1/models", host=f"localhost:{s.port}")[0] == 200

        def a_foreign_origin():
            for more in ({"Origin": "https://evil.example"}, {"Origin": "null"}, {"Origin": f"http://127.0.0.1:{s.port + 1}"}, {"Sec-Fetch-Site": "cross-site"}):
                refused(403, "POST", "/v1/chat/completions", body=ASK, headers=more)
                refused(403, "POST", "/api/v1/deployments", body={"model": "smollm2"}, headers=more)
            status, head, _ = s.request("OPTIONS", "/v1/chat/completions", key=None, headers={"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"})
            assert "access-control-allow-origin" not in head, head
            assert s.request("GET", "/v1/models", headers={"Origin": s.url, "Sec-Fetch-Site": "same-origin"})[0] == 200

        def a_form():
            for kind in ("application/x-www-form-urlencoded", "text/plain", "multipart/form-data; boundary=x", None):
                refused(415, "POST", "/api/v1/deployments", body=json.dumps({"model": "smollm2"}), headers={"Content-Type": kind})
                refused(415, "POST", "/v1/chat/completions", body=json.dumps(ASK), headers={"Content-Type": kind})

        def the_link_works_once():
            link = s.cli("console", "--url-only").stdout.strip()
            assert link.startswith(s.url + "/#code="), link
            code = link.split("#code=")[1]
            key = s.json("POST", "/api/v1/session", {"code": code}, key=None)["key"]
            assert s.request("GET", "/v1/models", key=key)[0] == 200
            status, _, _ = s.request("POST", "/api/v1/session", {"code": code}, key=None)
            assert status in (401, 403), status
            status, _, _ = s.request("POST", "/api/v1/session", {"code": "guess"}, key=None)
            assert status in (401, 403), status

        def the_page_is_closed_in():
            _, head, _ = s.request("GET", "/", key=None)
            policy = head["content-security-policy"]
            for part in ("default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'none'"):
                assert part in policy, policy
            assert "unsafe" not in policy and "http" not in policy.replace("https:", ""), policy
            assert head["x-content-type-options"] == "nosniff" and head["referrer-policy"] == "no-referrer"
            assert "set-cookie" not in head

        def malformed_requests():
            said = []
            for what, text in malformed(s.port).items():
                got = raw(s.port, text.encode("latin-1"))
                assert got.startswith(b"HTTP/1.1 400 ") or got.startswith(b"HTTP/1.1 501 ") and "unknown" in what, (what, got[:200])
                assert b"\r\nConnection: close\r\n" in got or b"\r\nconnection: close\r\n" in got.lower(), (what, got[:300])
                assert got.count(b"HTTP/1.1 ") == 1, (what, got)
                said.append(what)
            assert len(said) == 11
            return "11 of 11 refused"

        def no_secret_shows():
            key = s.key
            secret = key.split("_", 2)[2].encode()
            for pid in processes(str(s.folder)):
                for part in ("cmdline", "environ"):
                    text = Path(f"/proc/{pid}/{part}").read_bytes()
                    assert secret not in text, (pid, part)
            for f in s.data.rglob("*"):
                if f.is_file() and f.stat().st_size < 32 << 20:
                    assert secret not in f.read_bytes(), f
                assert f.is_symlink() or f.stat().st_mode & 0o077 == 0 or not (s.data.stat().st_mode & 0o077), f
            assert secret not in s.output().replace(key, "", 1).encode(), "printed more than once"
            assert s.key_file.stat().st_mode & 0o777 == 0o600

        def prompts_are_not_shared():
            """What one key's request made the engine compute, another key's request cannot find."""
            other = s.json("POST", "/api/v1/keys", {"name": "somebody else", "scope": "use"})["key"]
            ask = {**ASK, "messages": [{"role": "user", "content": "The meeting about the merger is on the third floor at noon. " * 8}]}

            def cached(key, **headers):
                status, _, body = s.request("POST", "/v1/chat/completions", body=ask, key=key, headers=headers)
                assert status == 200, (status, body)
                return json.loads(body)["usage"]["prompt_tokens_details"]["cached_tokens"]

            cached(s.key, **{"x-freehold-salt": "same"})
            assert cached(s.key) > 0
            assert cached(other, **{"x-freehold-salt": "same"}) == 0
            assert cached(other) > 0

        def prompts_are_not_logged():
            s.request("POST", "/v1/chat/completions", {**ASK, "messages": [{"role": "user", "content": "zebra crossing at midnight"}]})
            for f in [s.folder / "server.log", *s.data.rglob("*.log")]:
                assert "zebra" not in f.read_text(errors="replace"), f

        def serve(data, *flags):
            return subprocess.Popen([str(PROGRAM), "serve", "--listen", "127.0.0.1:0", "--data", str(data), *flags], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                    stderr=subprocess.STDOUT, text=True, env=s.environment(), umask=0o022)

        def a_key_file_is_not_overwritten():
            before, data = s.key_file.read_text(), s.folder / "fresh"
            for flags, kept in ((["--key-file", str(s.key_file)], s.key_file), ([], data / "first-key")):
                data.mkdir(mode=0o700, exist_ok=True)
                (data / "first-key").write_text(before)
                said = (p := serve(data, *flags)).communicate(timeout=20)[0]
                assert p.returncode != 0 and "exists already" in said and "--key-file" in said, (p.returncode, said)
                assert kept.read_text() == before, "overwritten"

        def logs_get_no_key():
            data, lines = s.folder / "quiet", []
            p = serve(data)
            for line in p.stdout:
                lines.append(line)
                if "freehold console" in line:
                    break
            p.send_signal(signal.SIGTERM)
            said = "".join(lines) + p.communicate(timeout=20)[0]
            assert p.returncode == 0 and str(data / "first-key") in said, (p.returncode, said)
            assert not re.search(r"fh_[a-z0-9]{8}_|#code=", said), said
            assert re.fullmatch(r"fh_[a-z0-9]{8}_[0-9A-Za-z_-]{43}\n", (data / "first-key").read_text())
            for f in data.rglob("*"):
                assert f.stat().st_mode & 0o077 == 0, (f, oct(f.stat().st_mode))

        def a_lost_key():
            """Every key lost: one is made in the folder of a server that does not run; never beside one that does."""
            data, words = s.folder / "quiet", ("key", "create", "rescue", "--scope", "admin", "--data")
            done = s.cli(*words, str(s.data))
            assert done.returncode == 5 and "stop the server first" in done.stderr and not done.stdout, done
            done = s.cli(*words, str(s.folder / "nowhere"))
            assert done.returncode == 3 and not (s.folder / "nowhere").exists(), done
            (s.folder / "empty").mkdir()
            done = s.cli(*words, str(s.folder / "empty"))
            assert done.returncode == 3 and "freehold serve" in done.stderr and not list((s.folder / "empty").glob("*.db")), done
            done = s.cli(*words, str(data))
            assert done.returncode == 0 and re.fullmatch(r"fh_[a-z0-9]{8}_[0-9A-Za-z_-]{43}\n", done.stdout), done
            for f in data.rglob("*"):
                assert f.stat().st_mode & 0o077 == 0, (f, oct(f.stat().st_mode))
            p, at = serve(data), None
            for line in p.stdout:
                at = re.search(r"listens on http://127.0.0.1:(\d+)", line) or at
                if "freehold console" in line:
                    break
            c = http.client.HTTPConnection("127.0.0.1", int(at.group(1)), timeout=20)
            c.request("GET", "/api/v1/keys", headers={"Authorization": "Bearer " + done.stdout.strip()})
            assert [k["name"] for k in json.loads(c.getresponse().read())["items"]] == ["first", "rescue"]
            c.close()
            p.send_signal(signal.SIGTERM)
            p.communicate(timeout=20)

        def loopback_only():
            for address in ("0.0.0.0:0", "[::]:0"):
                done = subprocess.run([str(PROGRAM), "serve", "--listen", address, "--data", str(s.folder / "other")], capture_output=True, text=True, timeout=20, env=s.environment())
                assert done.returncode == 2 and "--plain-http" in done.stderr, (done.returncode, done.stderr)

        for fn, text in [(wants_a_key, "every path but health and the page wants a key"), (errors_in_their_shape, "errors come in the API's own shape"),
                         (a_revoked_key, "a key works until it is revoked, within its scope"), (each_scope_opens_its_own_door, "each scope opens its own API and no other, and is named where it lacks"),
                         (a_list_of_models_bounds_a_key, "a key with a list of models reaches and sees those alone"), (a_rotated_key, "a rotated key has two texts until the grace ends"),
                         (the_last_use_shows_and_outlives_a_restart, "a key's last use shows, and outlives a restart"), (a_foreign_host, "a foreign Host is refused"),
                         (a_foreign_origin, "a page of another origin is refused"), (a_form, "a form cannot post"), (the_link_works_once, "the console's link works once"),
                         (the_page_is_closed_in, "the page may load and reach nothing foreign"), (malformed_requests, "the eleven malformed requests are refused and the connection closed"),
                         (prompts_are_not_shared, "what one key's prompt left in the cache is out of reach of another key"), (prompts_are_not_logged, "prompts are not logged"), (no_secret_shows, "no secret in argv, environment, files or logs"),
                         (a_key_file_is_not_overwritten, "a first start overwrites no key of another server"),
                         (logs_get_no_key, "where output is no terminal, neither the first key nor a link is printed"),
                         (a_lost_key, "whoever has lost every key makes one in the data folder of a server that does not run"),
                         (loopback_only, "beyond loopback it does not listen without being told")]:
            tap.check(text, fn)
    tap.end()


main()
