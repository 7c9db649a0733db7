#!/usr/bin/env python3
"""Malformed HTTP, and bodies that are no JSON, against a real server with an engine behind it that records what reaches it: everything is refused with the status that fits,
the connection is closed where HTTP was malformed, and nothing reaches the engine. Every request carries a valid key, so that only its form stands against it. Prints TAP."""
import re
import socket
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from synthetic import Synthetic
from freehold import PATIENCE, Tap

BODY = b'{"model":"smollm2","messages":[{"role":"user","content":"Hi"}],"max_tokens":1}'
OK_CHUNKS = b"%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY)
PATH = b"/v1/chat/completions"


def cases(key, port):
    host = b"Host: 127.0.0.1:%d\r\n" % port
    auth = b"Authorization: Bearer " + key + b"\r\nContent-Type: application/json\r\n"
    length = b"Content-Length: %d\r\n" % len(BODY)
    chunked = b"Transfer-Encoding: chunked\r\n"

    def line(text, status=400):
        return text + b"\r\n" + host + auth + length + b"\r\n" + BODY, status

    def head(more, body=BODY, framing=length, status=400, hosts=host):
        return b"POST " + PATH + b" HTTP/1.1\r\n" + hosts + auth + framing + more + b"\r\n" + body, status

    def framed(framing, body=BODY, status=400):
        return head(b"", body, framing, status)

    def chunks(body, status=400):
        return framed(chunked, body, status)

    def behind(request):
        """A request that is fine, and behind it on the same connection one that is not."""
        data, status = request
        return b"GET /healthz HTTP/1.1\r\n" + host + b"\r\n" + data, ("first fine", status)

    inner = b"POST " + PATH + b" HTTP/1.1\r\n" + host + auth + length + b"\r\n" + BODY
    found = {
        # the request line
        "an empty request": (b"\r\n\r\n\r\n", 400),
        "no version": line(b"POST " + PATH),
        "HTTP/0.9": line(b"POST " + PATH + b" HTTP/0.9", (400, 505)),
        "HTTP/2.0": line(b"POST " + PATH + b" HTTP/2.0", (400, 505)),
        "HTTP/1.10": line(b"POST " + PATH + b" HTTP/1.10", (400, 505)),
        "HTTP/01.1": line(b"POST " + PATH + b" HTTP/01.1", (400, 505)),
        "http/1.1 in small letters": line(b"POST " + PATH + b" http/1.1", (400, 505)),
        "a version with a blank behind it": line(b"POST " + PATH + b" HTTP/1.1 "),
        "two blanks before the version": line(b"POST " + PATH + b"  HTTP/1.1"),
        "two blanks before the target": line(b"POST  " + PATH + b" HTTP/1.1"),
        "a blank before the method": line(b" POST " + PATH + b" HTTP/1.1"),
        "a tab instead of a blank": line(b"POST\t" + PATH + b" HTTP/1.1"),
        "a blank in the target": line(b"POST /v1/chat /completions HTTP/1.1"),
        "a control character in the target": line(b"POST /v1/chat\x01/completions HTTP/1.1"),
        "NUL in the target": line(b"POST /v1/chat\0/completions HTTP/1.1"),
        "a byte beyond ASCII in the target": line(b"POST /v1/ch\xe4t/completions HTTP/1.1"),
        "a method that is no token": line(b"PO(ST " + PATH + b" HTTP/1.1"),
        "no method": line(b" " + PATH + b" HTTP/1.1"),
        "a target without a slash": line(b"POST v1/chat/completions HTTP/1.1"),
        "an absolute target of another scheme": line(b"POST ftp://127.0.0.1:%d" % port + PATH + b" HTTP/1.1"),
        "an absolute target of another host": line(b"POST http://other.example" + PATH + b" HTTP/1.1", (400, 421)),
        "CONNECT": line(b"CONNECT 127.0.0.1:%d HTTP/1.1" % port, (400, 405, 501)),
        "an absolute target with a user": line(b"POST http://me@127.0.0.1:%d" % port + PATH + b" HTTP/1.1"),
        "an asterisk as the target of a POST": line(b"POST * HTTP/1.1"),
        "a target beyond the path's end by an escaped NUL": line(b"POST /healthz%00/../v1/chat/completions HTTP/1.1"),
        "a backslash segment": line(b"POST /v1\\..\\v1/chat/completions HTTP/1.1", (400, 404)),
        "a fragment in the target": line(b"POST " + PATH + b"#x HTTP/1.1"),
        "a broken escape in the path": line(b"POST /v1/chat%2/completions HTTP/1.1"),
        "an escape that is no number": line(b"POST /v1/chat%zz/completions HTTP/1.1"),
        "an escaped NUL in the path": line(b"POST /v1/chat/completions%00 HTTP/1.1"),
        "dot segments": line(b"POST /v1/../v1/chat/completions HTTP/1.1"),
        "escaped dot segments": line(b"POST /v1/%2e%2e/v1/chat/completions HTTP/1.1"),
        "an empty segment": line(b"POST //v1/chat/completions HTTP/1.1"),
        "UTF-8 that is too long": line(b"POST /v1/chat%c0%afcompletions HTTP/1.1"),
        "a request line of 9,000 bytes": line(b"POST /" + 9000 * b"a" + b" HTTP/1.1", 414),
        "a request line that ends in a bare LF": (b"POST " + PATH + b" HTTP/1.1\n" + host + auth + length + b"\r\n" + BODY, 400),
        "a request line that ends in a bare CR": (b"POST " + PATH + b" HTTP/1.1\r" + host + auth + length + b"\r\n" + BODY, 400),
        "a TLS greeting": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(64)) + b"\r\n\r\n", 400),
        "the preface of HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", (400, 505)),
        # headers
        "a header without a colon": head(b"X-A\r\n"),
        "a header without a name": head(b": b\r\n"),
        "a blank before the colon": head(b"X-A : b\r\n"),
        "a tab before the colon": head(b"X-A\t: b\r\n"),
        "a name with a blank in it": head(b"X A: b\r\n"),
        "a name that is no token": head(b"X(A): b\r\n"),
        "a name beyond ASCII": head(b"X-\xe4: b\r\n"),
        "a folded header": head(b"X-A: b\r\n c\r\n"),
        "a folded header by a tab": head(b"X-A: b\r\n\tc\r\n"),
        "a first header that is folded": (b"POST " + PATH + b" HTTP/1.1\r\n X: y\r\n" + host + auth + length + b"\r\n" + BODY, 400),
        "NUL in a value": head(b"X-A: a\0b\r\n"),
        "a control character in a value": head(b"X-A: a\x07b\r\n"),
        "DEL in a value": head(b"X-A: a\x7fb\r\n"),
        "a bare CR in a value": head(b"X-A: a\rb\r\n"),
        "a header line that ends in a bare LF": head(b"X-A: b\n"),
        "an end of headers by bare LFs": (b"POST " + PATH + b" HTTP/1.1\r\n" + host + auth + length + b"X-A: b\n\n" + BODY, 400),
        "a CR before a value": head(b"X-A:\rb\r\n"),
        "a CR before the end of a line": head(b"X-A: b\r\r\n"),
        "a CR alone as a header line": head(b"\rX-A: b\r\n"),
        "a header whose name is quoted": head(b'"X-A": b\r\n'),
        "no Host": head(b"", hosts=b""),
        "two Hosts": head(host),
        "an empty Host": head(b"", hosts=b"Host:\r\n", status=(400, 421)),
        "a Host with a path": head(b"", hosts=b"Host: 127.0.0.1/x\r\n"),
        "a Host with a user": head(b"", hosts=b"Host: me@127.0.0.1\r\n"),
        "a Host with a blank": head(b"", hosts=b"Host: 127.0.0.1 evil\r\n"),
        "a Host that is a list": head(b"", hosts=b"Host: 127.0.0.1, evil\r\n"),
        "a Host with a port that is none": head(b"", hosts=b"Host: 127.0.0.1:http\r\n"),
        "a Host with an open bracket": head(b"", hosts=b"Host: [::1\r\n"),
        "a Host with NUL": head(b"", hosts=b"Host: 127.0.0.1\0\r\n"),
        "a Host beyond ASCII": head(b"", hosts="Host: 127.0.0.１\r\n".encode()),
        "two Authorizations": head(b"Authorization: Bearer x\r\n"),
        "two Content-Types": head(b"Content-Type: text/plain\r\n"),
        "101 headers": head(101 * b"X-A: b\r\n", status=431),
        "a header of 40,000 bytes": head(b"X-A: " + 40000 * b"b" + b"\r\n", status=431),
        "an expectation that is unknown": head(b"Expect: 200-maybe\r\n", status=417),
        # length
        "two lengths that differ": head(b"Content-Length: 3\r\n"),
        "two lengths that agree": head(length),
        "a list of lengths": framed(b"Content-Length: %d, %d\r\n" % (len(BODY), len(BODY))),
        "a length with a plus": framed(b"Content-Length: +%d\r\n" % len(BODY)),
        "a length with a minus": framed(b"Content-Length: -1\r\n"),
        "a length in hex": framed(b"Content-Length: 0x%x\r\n" % len(BODY)),
        "a length with a blank in it": framed(b"Content-Length: 7 8\r\n"),
        "a length with a dot": framed(b"Content-Length: %d.0\r\n" % len(BODY)),
        "a length with an exponent": framed(b"Content-Length: 1e2\r\n"),
        "a length with an underline": framed(b"Content-Length: 7_8\r\n"),
        "an empty length": framed(b"Content-Length:\r\n"),
        "a length with a CR behind it": framed(b"Content-Length: %d\r\r\n" % len(BODY)),
        "a length in quotes": framed(b'Content-Length: "%d"\r\n' % len(BODY)),
        "a length with a leading zero": framed(b"Content-Length: 0%d\r\n" % len(BODY)),
        "a length beyond 64 bits": framed(b"Content-Length: 18446744073709551694\r\n", status=(400, 413)),
        "a length beyond the limit": framed(b"Content-Length: 2147483648\r\n", b"", 413),
        "a length that is a letter": framed(b"Content-Length: n\r\n"),
        "a length beyond ASCII": framed("Content-Length: ７８\r\n".encode()),
        # transfer codings
        "a length and chunks": head(length, OK_CHUNKS, chunked),
        "chunks and a length": head(chunked, OK_CHUNKS, length),
        "chunked twice": framed(b"Transfer-Encoding: chunked, chunked\r\n", OK_CHUNKS),
        "chunked in two headers": framed(chunked + chunked, OK_CHUNKS),
        "chunked, then something": framed(b"Transfer-Encoding: chunked, identity\r\n", OK_CHUNKS, (400, 501)),
        "gzip, chunked": framed(b"Transfer-Encoding: gzip, chunked\r\n", OK_CHUNKS, (400, 501)),
        "an unknown coding": framed(b"Transfer-Encoding: xchunked\r\n", OK_CHUNKS, (400, 501)),
        "identity": framed(b"Transfer-Encoding: identity\r\n", BODY, (400, 501)),
        "chunked in quotes": framed(b'Transfer-Encoding: "chunked"\r\n', OK_CHUNKS, (400, 501)),
        "chunked with a parameter": framed(b"Transfer-Encoding: chunked;x=y\r\n", OK_CHUNKS, (400, 501)),
        "chunked behind a control character": framed(b"Transfer-Encoding: \x0bchunked\r\n", OK_CHUNKS),
        "an empty coding": framed(b"Transfer-Encoding:\r\n", OK_CHUNKS, (400, 501)),
        "a coding with a blank before the colon": framed(b"Transfer-Encoding : chunked\r\n", OK_CHUNKS),
        "a folded coding": framed(b"Transfer-Encoding:\r\n chunked\r\n", OK_CHUNKS),
        "chunks over HTTP/1.0": (b"POST " + PATH + b" HTTP/1.0\r\n" + host + auth + chunked + b"\r\n" + OK_CHUNKS, 400),
        "chunked behind an empty item": framed(b"Transfer-Encoding: , chunked\r\n", OK_CHUNKS, (400, 501)),
        "chunked before an empty item": framed(b"Transfer-Encoding: chunked,\r\n", OK_CHUNKS, (400, 501)),
        "chunked behind a CR": framed(b"Transfer-Encoding: \rchunked\r\n", OK_CHUNKS),
        "chunked before a CR": framed(b"Transfer-Encoding: chunked\r\r\n", OK_CHUNKS),
        "chunked behind a form feed": framed(b"Transfer-Encoding: \x0cchunked\r\n", OK_CHUNKS),
        "chunked with a NUL": framed(b"Transfer-Encoding: chunked\0\r\n", OK_CHUNKS),
        "chunked beyond ASCII": framed("Transfer-Encoding: chunKed\r\n".replace("K", "\u212a").encode(), OK_CHUNKS, (400, 501)),
        "a compressed body": head(b"Content-Encoding: gzip\r\n", status=415),
        # chunks
        "a chunk size 0x5": chunks(b"0x5\r\nhello\r\n0\r\n\r\n"),
        "a chunk size with a plus": chunks(b"+5\r\nhello\r\n0\r\n\r\n"),
        "a chunk size with a minus": chunks(b"-5\r\nhello\r\n0\r\n\r\n"),
        "an empty chunk size": chunks(b"\r\nhello\r\n0\r\n\r\n"),
        "a blank before the chunk size": chunks(b" 5\r\nhello\r\n0\r\n\r\n"),
        "a blank behind the chunk size": chunks(b"5 \r\nhello\r\n0\r\n\r\n"),
        "a chunk size that is no hex": chunks(b"5g\r\nhello\r\n0\r\n\r\n"),
        "a chunk size beyond 64 bits": chunks(b"10000000000000005\r\nhello\r\n0\r\n\r\n", (400, 413)),
        "a chunk size of 40 digits": chunks(40 * b"0" + b"5\r\nhello\r\n0\r\n\r\n"),
        "a chunk line that ends in a bare LF": chunks(b"5\nhello\r\n0\r\n\r\n"),
        "a chunk line that ends in a bare CR": chunks(b"5\rhello\r\n0\r\n\r\n"),
        "a chunk that is longer than it says": chunks(b"5\r\nhello!\r\n0\r\n\r\n"),
        "a chunk that ends in a bare LF": chunks(b"5\r\nhello\n0\r\n\r\n"),
        "a chunk extension with NUL": chunks(b"5;a=\0\r\nhello\r\n0\r\n\r\n"),
        "a chunk extension with a bare LF": chunks(b"5;a\n0\r\nhello\r\n0\r\n\r\n"),
        "a chunk extension with a bare CR": chunks(b"5;a\rb\r\nhello\r\n0\r\n\r\n"),
        "a chunk that lacks its end": chunks(b"5\r\nhello0\r\n\r\n"),
        "a chunk size in other digits": chunks("５\r\nhello\r\n0\r\n\r\n".encode()),
        "a chunk extension without end": chunks(b"5;" + 1000 * b"a" + b"\r\nhello\r\n0\r\n\r\n"),
        "extensions without end": chunks(50 * (b"1;" + 200 * b"a" + b"\r\nx\r\n") + b"0\r\n\r\n"),
        "a trailer that names a length": chunks(OK_CHUNKS[:-2] + b"Content-Length: 5\r\n\r\n"),
        "a trailer that names a host": chunks(OK_CHUNKS[:-2] + b"Host: evil\r\n\r\n"),
        "a trailer that names a key": chunks(OK_CHUNKS[:-2] + b"Authorization: Bearer x\r\n\r\n"),
        "a trailer with a blank before the colon": chunks(OK_CHUNKS[:-2] + b"X-A : b\r\n\r\n"),
        "a trailer with a bare LF": chunks(OK_CHUNKS[:-2] + b"X-A: b\n\r\n"),
        # smuggling: a second request that one reader sees and another does not
        "CL.TE with a request inside": framed(length + chunked, b"0\r\n\r\n" + inner),
        "TE.CL with a request inside": framed(chunked + b"Content-Length: 4\r\n", b"%x\r\n%s\r\n0\r\n\r\n" % (len(inner), inner)),
        "TE.TE with a request inside": framed(chunked + b"Transfer-Encoding: cow\r\n", b"0\r\n\r\n" + inner, (400, 501)),
        "CL.0 by a plus with a request inside": framed(b"Content-Length: +0\r\n", inner),
        "a chunk line by a bare LF with a request inside": chunks(b"2;\nxx\r\n%x\r\n0\r\n\r\n%s" % (len(inner), inner)),
        "a length behind a bare CR with a request inside": head(b"X-A: b\rContent-Length: 0\r\n", inner),
        "a length in a folded line with a request inside": framed(b"X-A: b\r\n Content-Length: 0\r\n", inner),
        "a request in the trailers": chunks(b"0\r\n" + inner),
        "a request behind a coding in HTTP/1.0": (b"POST " + PATH + b" HTTP/1.0\r\n" + host + auth + length + chunked + b"\r\n0\r\n\r\n" + inner, 400),
        "a request after a body that is too long": framed(b"Content-Length: 40000000\r\n", inner, 413),
        # pipelining
        "a malformed request behind a good one": behind(head(b"X-A : b\r\n")),
        "two lengths behind a good one": behind(head(length)),
        "an ambiguous coding behind a good one": behind(framed(b"Transfer-Encoding: chunked, identity\r\n", OK_CHUNKS, (400, 501))),
        "rubbish behind a good one": behind((b"\x00\x01\x02\x03\r\n\r\n", 400)),
        "a good one behind a bad one": (head(b"X-A : b\r\n")[0] + inner, 400),
        "a good one behind one that is too long": (framed(b"Content-Length: 2147483648\r\n", b"", 413)[0] + inner, 413),
    }
    return found


def bodies():
    """Bodies in good HTTP form that two readers could read differently, or that are no JSON: (body, content type, status)."""
    rest = BODY[len(b'{"model":"smollm2",'):]
    json_type = b"application/json"
    texts = {
        "nothing": b"", "a blank": b" ", "half of it": BODY[:40], "a second document behind it": BODY + BODY, "rubbish behind it": BODY + b"x", "NUL behind it": BODY + b"\0",
        "a byte order mark": b"\xef\xbb\xbf" + BODY, "UTF-16": BODY.decode().encode("utf-16"), "an array": b"[" + BODY + b"]", "a string": b'"x"', "null": b"null",
        "a model named twice": b'{"model":"smollm2","model":"other",' + rest, "a model named twice, once by an escape": b'{"model":"smollm2","mod\\u0065l":"other",' + rest,
        "messages twice": BODY[:-1] + b',"messages":[{"role":"user","content":"other"}]}', "a key twice deep inside": BODY[:-1] + b',"metadata":{"a":"b","a":"c"}}',
        "NUL in a key": BODY[:-1] + b',"a\\u0000b":1}', "NUL in a string": BODY.replace(b"Hi", b"\0"), "a raw line feed in a string": BODY.replace(b"Hi", b"\n"),
        "broken UTF-8": BODY.replace(b"Hi", b"\xff"), "UTF-8 that is too long": BODY.replace(b"Hi", b"\xc0\xaf"), "a surrogate in UTF-8": BODY.replace(b"Hi", b"\xed\xa0\x80"),
        "half a pair of surrogates": BODY.replace(b"Hi", b"\\ud800"), "an escape that is none": BODY.replace(b"Hi", b"\\x41"), "single quotes": BODY.replace(b'"', b"'"),
        "a comment": BODY[:-1] + b"/**/}", "a comma too many": BODY[:-1] + b",}", "NaN": BODY[:-1] + b',"temperature":NaN}', "a leading zero": BODY[:-1] + b',"seed":01}',
        "a plus": BODY[:-1] + b',"seed":+1}', "a number beyond all bounds": BODY[:-1] + b',"temperature":1e999}', "an integer beyond 64 bits": BODY[:-1] + b',"seed":18446744073709551617}',
        "arrays in arrays": BODY[:-1] + b',"metadata":' + 2000 * b"[" + 2000 * b"]" + b"}", "objects in objects": BODY[:-1] + b',"metadata":' + 2000 * b'{"a":' + b"1" + 2001 * b"}",
    }
    return {**{name: (text, json_type, 400) for name, text in texts.items()}, "text that says it is text": (BODY, b"text/plain", 415),
            "what says it is a form": (BODY, b"application/x-www-form-urlencoded", 415), "what does not say what it is": (BODY, None, 415)}


def exchange(port, data):
    """All that comes until the server closes; a reset counts as closing."""
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as s:
        got = b""
        try:
            s.sendall(data)
        except OSError:
            pass
        try:
            while more := s.recv(65536):
                got += more
        except ConnectionResetError:
            pass
        return got


def statuses(reply):
    return [int(code) for code in re.findall(rb"HTTP/1\.1 (\d{3}) [A-Z]", reply)]


def main():
    tap = Tap()
    with Synthetic() as s:
        def refused(data, status):
            before = len(s.reached())
            reply = exchange(s.port, data)
            got = statuses(reply)
            first_fine = isinstance(status, tuple) and status[0] == "first fine"
            wanted = status[1] if first_fine else status
            wanted = wanted if isinstance(wanted, tuple) else (wanted,)
            assert got and got[-1] in wanted, f"wanted {wanted}, got {reply[:300]!r}"
            assert got[:-1] == ([200] if first_fine else []), f"more than one reply: {got}"
            assert b"Connection: close" in reply, reply
            assert len(s.reached()) == before, s.reached()[before:]

        for name, (data, status) in cases(s.key.encode(), s.port).items():
            tap.check(name, refused, data, status)

        def body_refused(body, kind, status):
            before = len(s.reached())
            head = f"POST {PATH.decode()} HTTP/1.1\r\nHost: 127.0.0.1:{s.port}\r\nAuthorization: Bearer {s.key}\r\nConnection: close\r\nContent-Length: {len(body)}\r\n".encode()
            reply = exchange(s.port, head + (b"Content-Type: " + kind + b"\r\n" if kind else b"") + b"\r\n" + body)
            assert statuses(reply) == [status], reply
            assert len(s.reached()) == before, s.reached()[before:]

        for name, (body, kind, status) in bodies().items():
            tap.check(f"a body: {name}", body_refused, body, kind, status)

        def the_form_is_right():
            """What the cases are made of is served: it was the form that stood against them."""
            host = f"Host: 127.0.0.1:{s.port}\r\nAuthorization: Bearer {s.key}\r\nContent-Type: application/json\r\nConnection: close\r\n".encode()
            for framing, body in ((b"Content-Length: %d\r\n" % len(BODY), BODY), (b"Transfer-Encoding: chunked\r\n", OK_CHUNKS)):
                assert statuses(exchange(s.port, b"POST " + PATH + b" HTTP/1.1\r\n" + host + framing + b"\r\n" + body)) == [200]
            assert len(s.reached()) == 2, s.reached()

        tap.check("and the same requests in good form reach the engine", the_form_is_right)
    tap.end()


if __name__ == "__main__":
    main()
