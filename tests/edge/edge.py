#!/usr/bin/env python3
"""The HTTP edge of a running server: TLS and its reload. Prints TAP."""
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from freehold import Server, Tap, need_starter


def certificate(folder, name):
    """A certificate for localhost that vouches for itself."""
    cert, key = folder / f"{name}.pem", folder / f"{name}.key"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=localhost",
                    "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", str(key), "-out", str(cert)], check=True, capture_output=True)
    return cert, key


def peer_certificate(port):
    return ssl.get_server_certificate(("127.0.0.1", port))


def wait_log(server, text, seconds=10):
    until = time.monotonic() + seconds
    while text not in server.output():
        assert time.monotonic() < until, f"'{text}' does not show in\n{server.output()}"
        time.sleep(0.01)


def wait_tls(server):
    until = time.monotonic() + 10
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
            with socket.create_connection(("127.0.0.1", s.port), timeout=5) as c:
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

        tap.check("the command line speaks https to a server whose certificate it was given", trusted)
        tap.check("and refuses one that nobody vouches for, saying what to do", untrusted)
        tap.check("plain HTTP is told to write https", plain)
        tap.check("the server says its address with https", link)
        tap.check("a reload of files that do not fit changes nothing and logs why", bad_reload)
        tap.check("a reload of good files holds for new connections", reload)


def main():
    need_starter()
    tap = Tap()
    tls(tap)
    tap.end()


if __name__ == "__main__":
    main()
