"""A network of its own for a test: the program starts itself again inside, where addresses of the public internet are this machine's, and names are what it says.

    if not inside.enter(): Tap.skip_all(inside.why)
    inside.own("93.184.216.34", "2606:2800:220:1::34")
    names = inside.Names({"images.test": ["93.184.216.34"]})

Needs namespaces of users or root. Python's standard library only."""
import fcntl
import os
import socket
import struct
import subprocess
import sys
import tempfile
import threading

why = "no network of its own can be made here (unshare --net)"
MARK = "FREEHOLD_TEST_INSIDE"
SIOCSIFADDR, SIOCSIFNETMASK, SIOCGIFFLAGS, SIOCSIFFLAGS, UP = 0x8916, 0x891C, 0x8913, 0x8914, 1


def enter():
    """True inside; outside it does not come back, or says False because that cannot be had here."""
    if os.environ.get(MARK):
        up("lo")
        return True
    for more in ([], ["--user", "--map-root-user"]):
        command = ["unshare", *more, "--net", "--mount", "--propagation", "private"]
        if subprocess.run([*command, "true"], capture_output=True).returncode == 0:
            done = subprocess.run([*command, sys.executable, *sys.argv], env={**os.environ, MARK: "1"})
            sys.exit(done.returncode)
    return False


def up(name):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        asked = struct.pack("16sH22x", name.encode(), 0)
        flags = struct.unpack("16sH22x", fcntl.ioctl(s, SIOCGIFFLAGS, asked))[1]
        fcntl.ioctl(s, SIOCSIFFLAGS, struct.pack("16sH22x", name.encode(), flags | UP))


def own(*addresses):
    """Addresses that are this machine's from now on."""
    index = socket.if_nametoindex("lo")
    for n, text in enumerate(addresses):
        if ":" in text:
            with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as s:
                fcntl.ioctl(s, SIOCSIFADDR, struct.pack("16sIi", socket.inet_pton(socket.AF_INET6, text), 128, index))
            continue
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            for what, value in ((SIOCSIFADDR, text), (SIOCSIFNETMASK, "255.255.255.255")):
                fcntl.ioctl(s, what, struct.pack("16sHH4s8x8x", f"lo:{n + 1}".encode(), socket.AF_INET, 0, socket.inet_aton(value)))


class Names:
    """A name server, and this network's only one. A name has addresses, or a list of lists: the first asked for gets the first of them, and so on; the last stays."""

    def __init__(self, table):
        self.table, self.asked = table, {}
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.153", 53))
        self.configuration = tempfile.NamedTemporaryFile("w", suffix=".conf")
        self.configuration.write("nameserver 127.0.0.153\n")
        self.configuration.flush()
        subprocess.run(["mount", "--bind", self.configuration.name, "/etc/resolv.conf"], check=True)
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            query, client = self.socket.recvfrom(4096)
            self.socket.sendto(self.answer(query), client)

    def addresses(self, name, kind):
        found = self.table.get(name, [])
        if found and isinstance(found[0], list):
            n = self.asked.get((name, kind), 0)
            self.asked[name, kind] = n + 1
            found = found[min(n, len(found) - 1)]
        return [a for a in found if (":" in a) == (kind == 28)]

    def answer(self, query):
        labels, at = [], 12
        while query[at]:
            labels.append(query[at + 1:at + 1 + query[at]].decode().lower())
            at += 1 + query[at]
        name, kind = ".".join(labels), struct.unpack(">H", query[at + 1:at + 3])[0]
        found = self.addresses(name, kind) if kind in (1, 28) else []
        code = 0 if name in self.table else 3
        reply = query[:2] + struct.pack(">HHHHH", 0x8180 | code, 1, len(found), 0, 0) + query[12:at + 5]
        for address in found:
            data = socket.inet_pton(socket.AF_INET6 if kind == 28 else socket.AF_INET, address)
            reply += b"\xc0\x0c" + struct.pack(">HHIH", kind, 1, 0, len(data)) + data
        return reply
