#!/usr/bin/env python3
"""Images by URL through a real server with its ordinary flags, in a network of its own where public addresses, name server and the services inside are the test's: what is
public is fetched and reaches hosted endpoints as data; what is inside is never reached, by no form of its address, no redirect, no name that changes; hostile servers cost
nobody else anything. Prints TAP."""
import base64
import http.server
import json
import socket
import ssl
import subprocess
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
import inside
from synthetic import Synthetic
from freehold import Tap, free_port
from hostile import MB, PAIRS, held, stand_back

PUBLIC, PUBLIC6, OTHER = "93.184.216.34", "2606:2800:220:1::34", "93.184.216.35"
INSIDE = ["127.0.0.1", "::1", "10.0.0.5", "192.168.1.1", "172.16.0.1", "100.64.0.1", "169.254.169.254", "168.63.129.16", "fd00:ec2::254", "198.18.0.1"]
PNG = b"\x89PNG\r\n\x1a\n" + bytes(20)
JPEG = b"\xff\xd8\xff\xe0" + bytes(20)
LOAD_SECONDS = 9
NAMES = {
    "images.test": [PUBLIC], "six.test": [PUBLIC6], "other.test": [OTHER], "mixed.test": ["127.0.0.1", PUBLIC, "10.0.0.5"], "closed.test": ["93.184.216.36"],
    "metadata.google.internal": ["169.254.169.254"], "ten.test": ["10.0.0.5"], "loop.test": ["127.0.0.1"], "loop6.test": ["::1"], "ec2.test": ["fd00:ec2::254"],
    "mapped.test": ["::ffff:127.0.0.1"], "nat64.test": ["64:ff9b::7f00:1"], "sixtofour.test": ["2002:7f00:1::1"], "azure.test": ["168.63.129.16"],
    # names that change: what is judged is what is used, and a redirect to the same name is judged anew
    "once.test": [[PUBLIC], ["127.0.0.1"]], "then.test": [[PUBLIC], ["169.254.169.254"]], "later.test": [["127.0.0.1"], [PUBLIC]],
}


class Images(http.server.BaseHTTPRequestHandler):
    """The public server. Paths: what to answer."""
    protocol_version = "HTTP/1.1"
    reached = []

    def setup(self):
        stand_back()
        super().setup()

    def log_message(self, *_):
        pass

    def whole(self, data, kind="image/png", **more):
        self.send_response(200)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(data)), **more}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self):
        self.reached.append((self.headers["Host"], self.path, dict(self.headers)))
        path, _, query = self.path.partition("?")
        if path == "/a.png":
            self.whole(PNG)
        elif path == "/b.jpg":
            self.whole(JPEG, "image/jpeg")
        elif path == "/to":
            self.send_response(302)
            self.send_header("Location", query)
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif path == "/page":
            self.whole(b"<html>", "text/html")
        elif path == "/liar":
            self.whole(b"<html>", "image/png")
        elif path == "/gzip":
            self.whole(b"\x1f\x8b" + bytes(30), "image/png", Content_Encoding="gzip")
        elif path == "/long":
            self.send_response(200)
            self.send_header("Content-Type", "image/png")
            self.send_header("Content-Length", "99999999999")
            self.end_headers()
        elif path == "/endless":
            self.send_response(200)
            self.send_header("Content-Type", "image/png")
            self.end_headers()
            while True:
                self.wfile.write(PNG * 2000)
        elif path == "/drip":
            self.send_response(200)
            self.send_header("Content-Type", "image/png")
            self.send_header("Content-Length", "100000")
            self.end_headers()
            while True:
                self.wfile.write(b"\x89")
                self.wfile.flush()
                time.sleep(1)
        elif path == "/headers":
            self.wfile.write(b"HTTP/1.1 200 OK\r\n" + 1000 * b"X-A: 0123456789012345678901234567890123456789\r\n" + b"\r\n")
            self.close_connection = True
        elif path == "/never":
            time.sleep(60)
        else:
            self.send_error(404)


class Endpoint(http.server.BaseHTTPRequestHandler):
    """A hosted endpoint of both APIs that remembers what it was asked."""
    protocol_version = "HTTP/1.1"
    asked = []

    def log_message(self, *_):
        pass

    def say(self, what):
        data = json.dumps(what).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self):
        self.say({"data": [{"id": "eyes"}, {"id": "eyes-too"}]})

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.asked.append(body)
        if self.path == "/v1/messages":
            self.say({"id": "msg_1", "type": "message", "role": "assistant", "model": "eyes", "content": [{"type": "text", "text": "seen"}], "stop_reason": "end_turn",
                      "stop_sequence": None, "usage": {"input_tokens": 1, "output_tokens": 1}})
        else:
            self.say({"id": "x", "object": "chat.completion", "created": 1, "model": "eyes", "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
                      "choices": [{"index": 0, "message": {"role": "assistant", "content": "seen"}, "finish_reason": "stop"}]})


class Inside:
    """Services that must not be reached: they remember every connection."""

    def __init__(self):
        self.reached = []
        for address in INSIDE:
            for port in (80, 443):
                s = socket.create_server((address, port), family=socket.AF_INET6 if ":" in address else socket.AF_INET)
                threading.Thread(target=self.serve, args=(s, address), daemon=True).start()

    def serve(self, s, address):
        while True:
            c, _ = s.accept()
            self.reached.append(address)
            c.close()


def serve(handler, address, port, certificates=None):
    class Server(http.server.ThreadingHTTPServer):
        address_family = socket.AF_INET6 if ":" in address else socket.AF_INET
        daemon_threads, request_queue_size = True, 256

        def handle_error(self, *_):
            pass  # clients that leave

        def get_request(self):
            s, peer = super().get_request()
            return (self.context.wrap_socket(s, server_side=True, do_handshake_on_connect=False) if certificates else s), peer

    server = Server((address, port), handler)
    if certificates:
        server.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server.context.load_cert_chain(*certificates)

    def run():
        stand_back()
        server.serve_forever()

    threading.Thread(target=run, daemon=True).start()


def openssl(*words):
    subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True)


def certificates(folder, name, names):
    """An authority, and a server's certificate that it vouches for."""
    ca, ca_key, cert, key, request, more = (folder / f"{name}-{n}" for n in ("ca.pem", "ca.key", "cert.pem", "key.pem", "request", "extensions"))
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    openssl("req", "-x509", *curve, "-days", 2, "-subj", f"/CN={name} authority", "-keyout", ca_key, "-out", ca)
    openssl("req", "-new", *curve, "-subj", f"/CN={name}", "-keyout", key, "-out", request)
    more.write_text("subjectAltName=" + ",".join(("IP:" if n[0].isdigit() else "DNS:") + n for n in names))
    openssl("x509", "-req", "-in", request, "-CA", ca, "-CAkey", ca_key, "-CAcreateserial", "-days", 2, "-extfile", more, "-out", cert)
    return ca, cert, key


def ask(s, urls, api="chat", model="provider/open/eyes"):
    if api == "chat":
        parts = [{"type": "text", "text": "what?"}, *({"type": "image_url", "image_url": {"url": u, "detail": "low"}} for u in urls)]
        return s.request("POST", "/v1/chat/completions", {"model": model, "messages": [{"role": "user", "content": parts}]}, timeout=120)
    if api == "responses":
        parts = [{"type": "input_text", "text": "what?"}, *({"type": "input_image", "image_url": u, "detail": "low"} for u in urls)]
        return s.request("POST", "/v1/responses", {"model": model, "input": [{"role": "user", "content": parts}]}, timeout=120)
    parts = [{"type": "text", "text": "what?"}, *({"type": "image", "source": {"type": "url", "url": u}} for u in urls)]
    return s.request("POST", "/v1/messages", {"model": model, "max_tokens": 9, "messages": [{"role": "user", "content": parts}]}, timeout=120)


def data_of(body):
    """What images an endpoint got, as (type, bytes)."""
    found = []
    for part in body["messages"][-1]["content"]:
        if part["type"] == "image_url":
            kind, _, data = part["image_url"]["url"].removeprefix("data:").partition(";base64,")
            assert part["image_url"].get("detail", "low") == "low", part
        elif part["type"] == "image":
            assert part["source"]["type"] == "base64", part
            kind, data = part["source"]["media_type"], part["source"]["data"]
        else:
            continue
        found.append((kind, base64.b64decode(data, validate=True)))
    return found


def fetched(tap, s, services):
    def arrives(urls, want, api="chat", model="provider/open/eyes"):
        before, reached = len(Endpoint.asked), len(services.reached)
        status, _, reply = ask(s, urls, api, model)
        assert status == 200 and b"seen" in reply, (status, reply)
        assert len(Endpoint.asked) == before + 1 and len(services.reached) == reached
        assert data_of(Endpoint.asked[-1]) == want, Endpoint.asked[-1]
        assert "https://" not in json.dumps(Endpoint.asked[-1])

    png, jpeg = ("image/png", PNG), ("image/jpeg", JPEG)
    for api in ("chat", "responses", "messages"):
        for model in ("provider/open/eyes", "provider/native/eyes"):
            tap.check(f"{api} over {model}: images arrive as data, in order", arrives, ["https://images.test/a.png?x=1", "https://images.test/b.jpg", "https://images.test/a.png"],
                      [png, jpeg, png], api, model)
    for name, url in {
        "by IPv6": "https://six.test/a.png", "by an address": f"https://{PUBLIC}/a.png", "by a relative redirect": "https://images.test/to?a.png",
        "by a redirect to another host": "https://images.test/to?https://other.test/a.png", "of a name with addresses inside too": "https://mixed.test/a.png",
        "of a name that changes behind our back": "https://once.test/a.png", "by four redirects": "https://images.test/to?/to?/to?/to?/a.png",
    }.items():
        tap.check(f"an image {name}", arrives, [url], [png])

    def nothing_of_ours():
        headers = {k.lower() for _, _, h in Images.reached for k in h}
        assert headers <= {"host", "user-agent", "accept"}, headers
    tap.check("our requests have no cookies, no credentials and nothing of the client's", nothing_of_ours)

    def hundred():
        start = len(Images.reached)
        arrives([f"https://images.test/a.png?{i}" for i in range(100)], [png] * 100)
        assert len(Images.reached) == start + 100
        status, _, reply = ask(s, [f"https://images.test/a.png?{i}" for i in range(101)])
        assert status == 400 and json.loads(reply)["error"]["param"] == "messages[0].content[101]", (status, reply)
    tap.check("100 images, and not 101", hundred)


def refused(tap, s, services):
    def nothing(url, says, api="chat"):
        asked, reached = len(Endpoint.asked), len(services.reached)
        begun = time.monotonic()
        status, _, reply = ask(s, [url], api)
        assert status == 400, (status, reply)
        error = json.loads(reply)["error"]
        where = error["message"].split(":")[0] if api == "messages" else error["param"]
        assert where == ("input[0].content[1]" if api == "responses" else "messages[0].content[1]"), error
        assert says in error["message"], error
        assert len(Endpoint.asked) == asked, "the endpoint was asked"
        assert len(services.reached) == reached, f"reached inside: {services.reached[reached:]}"
        return f"{error['message']} ({time.monotonic() - begun:.1f} s)"

    no, form = "has no public address", "four decimal numbers"
    forms = {
        "https://127.0.0.1/": "loopback", "https://[::1]/": "loopback", "https://10.0.0.5/": "private", "https://192.168.1.1/": "private", "https://172.16.0.1/": "private",
        "https://100.64.0.1/": "carrier", "https://169.254.169.254/latest/meta-data/": "link-local", "https://168.63.129.16/": "metadata", "https://[fd00:ec2::254]/": "private",
        "https://198.18.0.1/": "benchmarks", "https://0.0.0.0/": "this network", "https://255.255.255.255/": "reserved", "https://224.0.0.1/": "multicast",
        "https://2130706433/": form, "https://0x7f000001/": form, "https://0x7f.0.0.1/": form, "https://0177.0.0.1/": form, "https://127.1/": form,
        "https://2852039166/latest/": form, "https://0xA9FEA9FE/": form, "https://[::ffff:127.0.0.1]/": "not written as IPv6", "https://[::ffff:a9fe:a9fe]/": "not written as IPv6",
        "https://[64:ff9b::a9fe:a9fe]/": "NAT64", "https://[2002:a9fe:a9fe::]/": "6to4", "https://[::127.0.0.1]/": "reserved", "https://127.0.0.1./": "no name and no address",
        "https://images.test@127.0.0.1/": "a user", "https://images.test:443@169.254.169.254/": "a user", "https://127.0.0.1\\@images.test/": "percent-encoded",
        "https://images.test:80/a.png": "another port", "https://images.test:22/": "another port", "http://images.test/a.png": "https://", "http://169.254.169.254/": "https://",
        "file:///etc/passwd": "https://", "gopher://127.0.0.1:443/_x": "https://", "ftp://127.0.0.1/": "https://", "//127.0.0.1/": "https://", "/etc/passwd": "https://",
        "https://loop.test/": no, "https://loop6.test/": no, "https://ten.test/": no, "https://metadata.google.internal/computeMetadata/v1/": no, "https://ec2.test/": no,
        "https://mapped.test/": no, "https://nat64.test/": no, "https://sixtofour.test/": no, "https://azure.test/": no, "https://localhost/": no, "https://nobody.test/": no,
        "https://later.test/a.png": no,
    }
    for url, says in forms.items():
        tap.check(f"{url} is refused and nothing is reached", nothing, url, says)
    for to, says in {
        "https://169.254.169.254/latest/": "link-local", "https://127.0.0.1/": "loopback", "https://[::1]/": "loopback", "https://2852039166/": "link-local", "https://0x7f.1/": "loopback",
        "http://127.0.0.1/": "https://", "https://loop.test/": no, "https://metadata.google.internal/": no, "//10.0.0.5/": "private", "file:///etc/passwd": "redirected",
        "/to?/to?/to?/to?/to?/a.png": "redirected too often", "https://me@images.test/": "a user", "": "redirected to what is no URL",
    }.items():
        tap.check(f"a redirect to {to or 'nowhere'}", nothing, "https://images.test/to?" + to, says)
    tap.check("a redirect to the same name, which is inside by then", nothing, "https://then.test/to?https://then.test/a.png", no)
    for api in ("responses", "messages"):
        tap.check(f"{api} names the part", nothing, "https://loop.test/", no, api)
    for path, says in {"page": "another type", "liar": "no PNG, JPEG", "gzip": "no PNG, JPEG", "long": "too large", "endless": "too large", "missing": "status 404", "headers": "broke",
                       "never": "too slow", "drip": "too long"}.items():
        tap.check(f"a server that answers with {path}", nothing, f"https://images.test/{path}", says)
    tap.check("a server that is not there", nothing, "https://closed.test/", "cannot be reached")
    tap.check("a server that nobody vouches for", nothing, "https://unknown.test/", "nobody whom we trust")


def listed(tap, s, services, ca):
    """What the operator lists is reached."""
    s.stop()
    s.start("--threads", "2", "--fetch-ca", str(ca), "--fetch-allow", "10.0.0.0/8", "--fetch-allow", "loop.test")

    def reached(url, address):
        before = services.reached.count(address)
        ask(s, [url])
        assert services.reached.count(address) > before, services.reached
    tap.check("a range that is listed", reached, "https://ten.test/", "10.0.0.5")
    tap.check("a name that is listed", reached, "https://loop.test/", "127.0.0.1")

    def not_reached():
        before = len(services.reached)
        assert ask(s, ["https://localhost/"])[0] == 400 and ask(s, ["https://192.168.1.1/"])[0] == 400 and len(services.reached) == before
    tap.check("and nothing beside it", not_reached)


def never_and_without_end(s):
    """Images that never come, and images without end, as many as are fetched at once. Who asks has a key, and waits a moment between: a customer's flood of requests, whatever is in
    them, is for the limits of the key."""
    begun, statuses = time.monotonic(), []

    def ask_for(path):
        stand_back()
        while time.monotonic() < begun + LOAD_SECONDS:
            statuses.append(ask(s, [f"https://images.test/{path}?{i}" for i in range(8)])[0])
            time.sleep(0.2)

    threads = [threading.Thread(target=ask_for, args=(("endless", "never", "long", "to?https://loop.test/")[i % 4],)) for i in range(24)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert set(statuses) <= {400, 429} and 400 in statuses, set(statuses)
    return f"{len(statuses) / (time.monotonic() - begun):.0f} requests of 8 images a second, {statuses.count(429)} of {len(statuses)} told that too much is fetched"


def load(tap, s):
    bound = 400 * MB  # OUTSIDE_BYTES and what libcurl holds for OUTSIDE_FETCHES
    tap.check("images that never come and images without end, beside others", held, s, never_and_without_end, bound, 0, PAIRS)


def main():
    tap = Tap()
    if not inside.enter():
        Tap.skip_all(inside.why)
    inside.own(PUBLIC, PUBLIC6, OTHER, *(a for a in INSIDE if a not in ("127.0.0.1", "::1")))
    names = inside.Names({**NAMES, "unknown.test": [OTHER]})
    services, port = Inside(), free_port()
    s = Synthetic("--threads", "2")
    ca, *pair = certificates(s.folder, "images", [*NAMES, PUBLIC])
    s.flags += ("--fetch-ca", str(ca))
    with s:
        for address in (PUBLIC, PUBLIC6, OTHER):
            serve(Images, address, 443, pair)
        serve(Endpoint, "127.0.0.1", port)
        for name, kind in (("open", "openai"), ("native", "anthropic")):
            done = s.cli("provider", "add", name, "--url", f"http://127.0.0.1:{port}", "--kind", kind)
            assert done.returncode == 0, done
        fetched(tap, s, services)
        refused(tap, s, services)
        load(tap, s)
        listed(tap, s, services, ca)
    del names
    tap.end()


main()
