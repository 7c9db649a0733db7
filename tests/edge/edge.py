#!/usr/bin/env python3
"""The HTTP edge of a running server: TLS and its reload, threads, sockets that are handed over. Prints TAP."""
import concurrent.futures
import http.client
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from freehold import PATIENCE, Server, Tap, need_starter, processes


def certificate(folder, name):
    """A certificate for localhost that vouches for itself."""
    cert, key = folder / f"{name}.pem", folder / f"{name}.key"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=localhost",
                    "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", str(key), "-out", str(cert)], check=True, capture_output=True)
    return cert, key


def peer_certificate(port):
    return ssl.get_server_certificate(("127.0.0.1", port))


def wait_log(server, text):
    until = time.monotonic() + PATIENCE
    while text not in server.output():
        assert time.monotonic() < until, f"'{text}' does not show in\n{server.output()}"
        time.sleep(0.01)


def wait_tls(server):
    until = time.monotonic() + PATIENCE
    while True:
        try:
            return peer_certificate(server.port)
        except OSError:
            assert time.monotonic() < until, server.output()
            time.sleep(0.02)


def tls(tap):
    with Server(start=False) as s:
        first, second = certificate(s.folder, "first"), certificate(s.folder, "second")
        cert, key = s.folder / "cert.pem", s.folder / "key.pem"

        def install(pair):
            cert.write_bytes(pair[0].read_bytes())
            key.write_bytes(pair[1].read_bytes())

        install(first)
        s.spawn("--tls-cert", str(cert), "--tls-key", str(key))
        wait_tls(s)
        https = {**s.environment(), "FREEHOLD_URL": f"https://localhost:{s.port}"}

        def cli(*words):
            return s.cli(*words, environment=https)

        def trusted():
            done = cli("ps", "--ca-file", str(cert))
            assert done.returncode == 0, done.stderr

        def untrusted():
            done = cli("ps")
            assert done.returncode == 5 and "ca-file" in done.stderr, (done.returncode, done.stderr)

        def plain():
            with socket.create_connection(("127.0.0.1", s.port), timeout=PATIENCE) as c:
                c.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
                got = c.makefile("rb").read()
            assert got.startswith(b"HTTP/1.1 400") and b"https://" in got, got

        def link():
            assert f"https://127.0.0.1:{s.port}" in s.output(), s.output()

        def bad_reload():
            before = peer_certificate(s.port)
            key.write_bytes(second[1].read_bytes())
            os.kill(s.process.pid, signal.SIGHUP)
            wait_log(s, "the new certificate is not used")
            assert "key values mismatch" in s.output()
            assert peer_certificate(s.port) == before

        def reload():
            before = peer_certificate(s.port)
            install(second)
            os.kill(s.process.pid, signal.SIGHUP)
            wait_log(s, "certificate reloaded")
            assert peer_certificate(s.port) != before
            trusted()

        def bodies():
            """Large ones over TLS: of who has a key read to the end, of who has none refused so that it is seen."""
            body = json.dumps({"model": "nothing", "messages": [{"role": "user", "content": "x" * (8 << 20)}]})
            for bearer, wanted in ((s.key, 404), (None, 401)):
                c = http.client.HTTPSConnection("localhost", s.port, timeout=PATIENCE, context=ssl.create_default_context(cafile=str(cert)))
                c.request("POST", "/v1/chat/completions", body, {"Content-Type": "application/json", **({"Authorization": f"Bearer {bearer}"} if bearer else {})})
                reply = c.getresponse()
                assert reply.status == wanted, (reply.status, reply.read())
                c.close()

        tap.check("the command line speaks https to a server whose certificate it was given", trusted)
        tap.check("and refuses one that nobody vouches for, saying what to do", untrusted)
        tap.check("plain HTTP is told to write https", plain)
        tap.check("large bodies are read, or refused, over TLS too", bodies)
        tap.check("the server says its address with https", link)
        tap.check("a reload of files that do not fit changes nothing and logs why", bad_reload)
        tap.check("a reload of good files holds for new connections", reload)


def one_connection(server, paths):
    """Each path on one kept-alive connection; the statuses."""
    c = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)
    got = []
    for path in paths:
        c.request("GET", path, headers={"Authorization": "Bearer " + server.key})
        reply = c.getresponse()
        reply.read()
        got.append(reply.status)
    c.close()
    return got


def threads(tap):
    with Server(start=False) as s:
        s.start("--threads", "3")
        paths = ["/v1/models", "/api/v1/deployments", "/healthz", "/metrics", "/api/v1/keys", "/v1/models", "/api/v1/models", "/"] * 5

        def everywhere():
            with concurrent.futures.ThreadPoolExecutor(16) as pool:
                for got in pool.map(lambda _: one_connection(s, paths), range(64)):
                    assert set(got) == {200}, got

        def taken():
            other = Server(start=False)
            other.data.mkdir(exist_ok=True)
            other.port = s.port
            other.spawn("--threads", "3")
            assert other.ended() == 1
            said = other.output()
            other.__exit__()
            assert "another program uses this address" in said, said

        tap.check("64 connections ask three threads for all parts of the server, in turn", everywhere)
        tap.check("a port that another server has is refused, though its threads share it", taken)


def activation(tap):
    with Server(start=False) as s, socket.socket() as listener:
        listener.bind(("127.0.0.1", s.port))
        listener.listen(64)

        def early():
            """A client that came before the server is served once it is there."""
            with socket.create_connection(("127.0.0.1", s.port), timeout=PATIENCE) as c:
                c.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                s.spawn("--threads", "2", "--listen", "127.0.0.1:1", passed=[listener])
                assert c.makefile("rb").read().startswith(b"HTTP/1.1 200")
            assert f"listens on http://127.0.0.1:{s.port}" in s.output()

        def again():
            """A stop and a start with the socket held by another: a client in between only waits."""
            s.stop()
            with socket.create_connection(("127.0.0.1", s.port), timeout=PATIENCE) as c:
                c.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                s.spawn(passed=[listener])
                assert c.makefile("rb").read().startswith(b"HTTP/1.1 200")

        def refused():
            s.stop()
            with socket.socket() as no_listener:
                s.spawn(passed=[no_listener])
                assert s.ended() == 1
            assert "is no TCP socket that listens" in s.output()

        tap.check("a socket that systemd holds is served, and its address shown", early)
        tap.check("a restart with a held socket loses no connection", again)
        tap.check("what was handed over and does not listen is refused", refused)


def cors(tap):
    page = {"Origin": "https://app.example", "Sec-Fetch-Site": "cross-site"}
    asks = {**page, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,content-type"}
    with Server() as s:
        def off():
            status, head, _ = s.request("GET", "/v1/models", headers=page)
            assert status == 403 and "access-control-allow-origin" not in head
            status, head, _ = s.request("OPTIONS", "/v1/chat/completions", key=None, headers=asks)
            assert status == 403 and "access-control-allow-origin" not in head

        def on():
            s.stop()
            s.start("--cors-origin", "https://app.example")
            status, head, _ = s.request("OPTIONS", "/v1/chat/completions", key=None, headers=asks)
            assert status == 204 and head["access-control-allow-origin"] == "https://app.example" and head["access-control-allow-headers"] == "authorization,content-type", head
            status, head, _ = s.request("GET", "/v1/models", headers=page)
            assert status == 200 and head["access-control-allow-origin"] == "https://app.example" and head["vary"] == "Origin"
            status, head, _ = s.request("GET", "/v1/models", key=None, headers=page)
            assert status == 401
            status, head, _ = s.request("GET", "/v1/models", headers={**page, "Origin": "https://other.example"})
            assert status == 403 and "access-control-allow-origin" not in head

        def never():
            for method in "GET", "OPTIONS":
                status, head, _ = s.request(method, "/api/v1/keys", headers=asks)
                assert status == 403 and "access-control-allow-origin" not in head, (method, status)

        tap.check("pages of other origins get nothing", off)
        tap.check("but those of a listed origin get the API, with a key", on)
        tap.check("and never the control plane", never)


def wrong_keys(tap):
    with Server() as s:
        def took(key):
            begun = time.monotonic()
            assert s.request("GET", "/v1/models", key=key)[0] == 401
            return time.monotonic() - begun

        def waits():
            assert took("fh_aaaaaaaa_" + 43 * "a") > 0.09
            assert min(took(None) for _ in range(50)) < 0.09, "not even one of fifty was faster"

        def gone():
            for _ in range(50):
                with socket.create_connection(("127.0.0.1", s.port)) as c:
                    c.sendall(b"GET /v1/models HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer fh_wrong\r\n\r\n")
            assert s.request("GET", "/v1/models")[0] == 200

        tap.check("a wrong key waits for its refusal, no key does not", waits)
        tap.check("clients that leave before it do no harm", gone)


def judged_by_the_head(tap):
    """The key is judged when the headers are there: of a body that nobody wants nothing need be sent."""
    with Server() as s:
        def told(path, more, key=None, body=b""):
            """What the server says to a head, until it closes or has said 100."""
            bearer = f"Authorization: Bearer {key}\r\n" if key else ""
            with socket.create_connection(("127.0.0.1", s.port), timeout=PATIENCE) as c:
                c.sendall(f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n{bearer}{more}\r\n".encode() + body)
                got = b""
                while b"100 Continue" not in got and (piece := c.recv(65536)):
                    got += piece
                return got

        def refused(status, *request, **more):
            got = told(*request, **more)
            assert got.startswith(b"HTTP/1.1 %d " % status) and b"\r\nConnection: close\r\n" in got and got.count(b"HTTP/1.1") == 1, (request, got)

        chat, wrong = "/v1/chat/completions", "fh_aaaaaaaa_" + 43 * "a"

        def strangers():
            for path in (chat, "/v1/models", "/api/v1/keys", "/api/v1/nothing", "/metrics", "/tokenize"):
                for key in (None, wrong, "nonsense"):
                    refused(401, path, "Content-Length: 1000000\r\n", key)
                refused(401, path, "Transfer-Encoding: chunked\r\n", None)
                refused(401, path, "Content-Length: 2\r\nExpect: 100-continue\r\n", wrong)
                refused(401, path, "Content-Length: 1000000\r\n", None, b"{" + 30000 * b" ")

        def known():
            for path in (chat, "/api/v1/keys"):
                assert told(path, "Content-Length: 2\r\nExpect: 100-continue\r\n", s.key) == b"HTTP/1.1 100 Continue\r\n\r\n"
                refused(413, path, "Content-Length: 2147483648\r\n", s.key)
            refused(413, "/api/v1/keys", "Content-Length: 1048577\r\n", s.key)
            assert told("/api/v1/catalog/own", "Content-Length: 1048577\r\nExpect: 100-continue\r\n", s.key).startswith(b"HTTP/1.1 100 ")

        def without_a_key():
            for path in ("/api/v1/session", "/", "/healthz", "/nothing"):
                refused(413, path, "Content-Length: 4097\r\n")
                assert told(path, "Content-Length: 4096\r\nExpect: 100-continue\r\n").startswith(b"HTTP/1.1 100 ")
                refused(413, path, "Content-Length: 4097\r\n", None, 4097 * b" ")

        def honest():
            """Clients who send all before they listen get rid of it, and see why it was not wanted."""
            for key in (None, wrong):
                assert s.request("POST", chat, json.dumps({"user": "x" * (20 << 20)}), key=key)[0] == 401
            assert s.request("POST", chat, json.dumps({"user": "x" * (33 << 20)}))[0] == 413

        def kept():
            """A request that is whole when it is judged leaves its connection to the next one."""
            with socket.create_connection(("127.0.0.1", s.port), timeout=PATIENCE) as c:
                one = f"POST {chat} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 2\r\n"
                c.sendall(f"{one}\r\n{{}}{one}Connection: close\r\n\r\n{{}}".encode())
                assert c.makefile("rb").read().count(b"HTTP/1.1 401 ") == 2

        tap.check("a body of who has no key is refused by its head, whatever is asked", strangers)
        tap.check("a body of who has one is asked for, unless it says that it is too long", known)
        tap.check("where no key is wanted, bodies are short", without_a_key)
        tap.check("clients who send all before they listen see the refusal", honest)
        tap.check("small requests of strangers keep their connection", kept)


def upgrade_signal(server, pid):
    """The pid of the server that took over."""
    os.kill(pid, signal.SIGUSR2)
    until = time.monotonic() + PATIENCE
    while True:
        others = [p for p in processes(f"--data\0{server.data}") if p != pid and "serve" in Path(f"/proc/{p}/cmdline").read_text().split("\0")]
        if others and server.output().count("handed over to the new server") > server.handed:
            server.handed += 1
            return others[0]
        assert time.monotonic() < until and "no upgrade" not in server.output(), server.output()
        time.sleep(0.01)


class Load:
    """Clients that never stop asking: some keep their connection, some make a new one each time. Every failure is kept."""

    def __init__(self, server, clients):
        self.server, self.done, self.failures, self.count = server, threading.Event(), [], 0
        self.threads = [threading.Thread(target=self.run, args=(i % 2 == 0,)) for i in range(clients)]
        for t in self.threads:
            t.start()

    def run(self, keep):
        c = None
        while not self.done.is_set():
            try:
                c = c or http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=PATIENCE)
                c.request("GET", "/v1/models", headers={"Authorization": "Bearer " + self.server.key})
                reply = c.getresponse()
                body = reply.read()
                self.count += 1
                if reply.status != 200 or b"smollm2" not in body:
                    self.failures.append((reply.status, body))
                if not keep or reply.will_close:
                    c.close()
                    c = None
            except Exception as e:
                self.failures.append(repr(e))
                c = None

    def end(self):
        self.done.set()
        for t in self.threads:
            t.join()
        return f"{self.count} requests, {len(self.failures)} failed"


def upgrade(tap):
    with Server(start=False) as s:
        s.start("--threads", "2")
        s.deploy()
        s.handed = 0

        def under_load():
            pid, pids, load = s.process.pid, set(), Load(s, 8)
            try:
                for _ in range(4):
                    time.sleep(0.3)
                    pids.add(pid)
                    pid = upgrade_signal(s, pid)
                time.sleep(0.5)
            finally:
                said = load.end()
            assert not load.failures, (said, load.failures[:5], s.output())
            s.newest = pid
            return said + f" over 4 upgrades, {len(pids)} servers"

        def stream_goes_on():
            body = json.dumps({"model": "smollm2", "stream": True, "max_tokens": 150, "temperature": 0, "messages": [{"role": "user", "content": "Tell a long story."}]})
            c = http.client.HTTPConnection("127.0.0.1", s.port, timeout=PATIENCE)
            c.request("POST", "/v1/chat/completions", body, {"Authorization": "Bearer " + s.key, "Content-Type": "application/json"})
            reply = c.getresponse()
            first = reply.readline()
            before = s.newest
            s.newest = upgrade_signal(s, before)
            rest = reply.read()
            assert first.startswith(b"data:") and b"[DONE]" in rest and b"error" not in rest, rest[-500:]
            until = time.monotonic() + PATIENCE
            while Path(f"/proc/{before}").exists() and "State:\tZ" not in Path(f"/proc/{before}/status").read_text():
                assert time.monotonic() < until, "the old server stays"
                time.sleep(0.05)

        def same_engine():
            assert len([d for d in s.deployments() if d["state"] == "ready"]) == 1
            assert s.output().count("engine=adopted") == 5, s.output()

        def bad_program():
            """A new program that cannot serve changes nothing: here, one whose certificate has gone."""
            with Server(start=False) as other:
                cert, key = certificate(other.folder, "own")
                other.spawn("--tls-cert", str(cert), "--tls-key", str(key))
                wait_tls(other)
                cert.unlink()
                os.kill(other.process.pid, signal.SIGUSR2)
                wait_log(other, "no upgrade: this server goes on")
                peer_certificate(other.port)

        tap.check("upgrades of the binary under load refuse no request", under_load)
        tap.check("a stream that has begun ends where it began, and the old server then goes", stream_goes_on)
        tap.check("the engine is the same all the time", same_engine)
        tap.check("a new program that cannot serve changes nothing", bad_program)
        os.kill(s.newest, signal.SIGTERM)


def main():
    need_starter()
    tap = Tap()
    tls(tap)
    threads(tap)
    activation(tap)
    cors(tap)
    wrong_keys(tap)
    judged_by_the_head(tap)
    upgrade(tap)
    tap.end()


if __name__ == "__main__":
    main()
