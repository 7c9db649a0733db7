"""Machines with networks of their own, on one bridge that is this process's: each with its own addresses, host name, processes and mounts.

    if (why := hosts.enter()): Tap.skip_all(why)
    den = hosts.Host("den", 2)           # 10.99.0.2 and fd99::2; this process is 10.99.0.1 and fd99::1
    subprocess.run([*den.inside, "hostname"])
    den.cut(); den.mend()                # nothing goes either way, and nobody is told

Needs root or namespaces of users, and iproute2; whatever is made ends with this process."""
import contextlib
import ctypes
import fcntl
import heapq
import os
import random
import select
import shutil
import struct
import subprocess
import sys
import time
from multiprocessing import Process
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "edge"))
import inside

SERVER, SERVER6 = "10.99.0.1", "fd99::1"
TUNSETIFF, TAP_WITHOUT_HEAD, CLONE_NEWNET = 0x400454CA, 0x1002, 0x40000000


def ip(*words):
    done = subprocess.run(["ip", *map(str, words)], capture_output=True, text=True)
    if done.returncode:
        raise OSError(f"ip {' '.join(map(str, words))}: {done.stderr.strip()}")


def enter():
    """Inside, with the bridge: None. Outside: does not come back, or why not."""
    os.environ["PATH"] += ":/usr/sbin:/sbin"  # not everybody's
    missing = [tool for tool in ("ip", "bridge", "nsenter", "unshare", "setpriv") if not shutil.which(tool)]
    if missing:
        return f"{missing[0]} is not here: install iproute2 and util-linux"
    if not inside.enter():
        return inside.why
    try:
        ip("link", "add", "br0", "type", "bridge")
        ip("addr", "add", f"{SERVER}/24", "dev", "br0")
        ip("addr", "add", f"{SERVER6}/64", "dev", "br0", "nodad")
        ip("link", "set", "br0", "up")
    except OSError as e:
        return f"no bridge can be made here: {e}"
    return None


class Host:
    def __init__(self, name, number, link=None):
        """link: makes its eth0; a cable to the bridge without it."""
        self.name, self.number, self.port = name, number, f"p{number}"
        self.address, self.address6 = f"10.99.0.{number}", f"fd99::{number}"
        command = ["setpriv", "--pdeathsig", "KILL", "unshare", "--net", "--uts", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c",
                   f"hostname {name}; ip link set lo up; echo; exec sleep infinity"]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        self.process.stdout.readline()
        self.pid = int(Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text())
        self.inside = ["nsenter", "--target", str(self.pid), "--net", "--uts", "--mount", "--pid", "--"]
        (link or cable)(self)

    def do(self, *words, stdin=None):
        done = subprocess.run([*self.inside, *map(str, words)], input=stdin, capture_output=True, text=True)
        if done.returncode:
            raise OSError(f"{self.name}: {' '.join(map(str, words))}: {done.stderr.strip()}")

    def own(self, address, device="eth0"):
        self.do("ip", "addr", "add", address, "dev", device, *(["nodad"] if ":" in address else []))
        self.do("ip", "link", "set", device, "up")

    def cut(self):
        """What a switch does whose table is wrong: the cable is in, and nothing comes."""
        subprocess.run(["bridge", "link", "set", "dev", self.port, "state", "0"], check=True)

    def mend(self):
        subprocess.run(["bridge", "link", "set", "dev", self.port, "state", "3"], check=True)

    def end(self):
        self.process.kill()
        self.process.wait()


def cable(host):
    ip("link", "add", host.port, "type", "veth", "peer", "name", "eth0", "netns", host.pid)
    ip("link", "set", host.port, "master", "br0", "up")
    host.own(f"{host.address}/24")
    host.own(f"{host.address6}/64")


# ---- a bad line: frames go through a process, which delays some and loses some ----

def tap(name):
    fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", name.encode(), TAP_WITHOUT_HEAD))
    return fd


def carry(here, there, delay_s, lost, seed):
    chance, other, waiting, count = random.Random(seed), {here: there, there: here}, [], 0
    while True:
        pause = max(waiting[0][0] - time.monotonic(), 0) if waiting else None
        for fd in select.select([here, there], [], [], pause)[0]:
            frame = os.read(fd, 65536)
            count += 1
            if chance.random() >= lost:
                heapq.heappush(waiting, (time.monotonic() + delay_s, count, other[fd], frame))
        while waiting and waiting[0][0] <= time.monotonic():
            _, _, fd, frame = heapq.heappop(waiting)
            with contextlib.suppress(BlockingIOError):  # who does not take it in time misses it
                os.write(fd, frame)


def bad_line(delay_s, lost, seed):
    """For Host(link=...): so much later each way, and so much lost."""
    def link(host):
        if not os.access("/dev/net/tun", os.R_OK | os.W_OK):
            raise OSError("no bad line can be made here: /dev/net/tun cannot be used")
        ready_in, ready_out = os.pipe()

        def run():
            here = tap(host.port)
            with open(f"/proc/{host.pid}/ns/net") as its:
                if ctypes.CDLL(None, use_errno=True).setns(its.fileno(), CLONE_NEWNET) != 0:
                    raise OSError(ctypes.get_errno(), "setns")
            there = tap("eth0")
            os.write(ready_out, b".")
            carry(here, there, delay_s, lost, seed)

        host.carrier = Process(target=run, daemon=True)
        host.carrier.start()
        os.close(ready_out)
        assert os.read(ready_in, 1), "the bad line could not be made"
        os.close(ready_in)
        ip("link", "set", host.port, "master", "br0", "up")
        host.own(f"{host.address}/24")
        host.own(f"{host.address6}/64")
    return link


# ---- a machine behind a router that lends it its address ----

MASQUERADE = 'table ip nat {\n chain post {\n type nat hook postrouting priority 100;\n oifname "eth0" masquerade\n }\n}\n'


def behind(router):
    """For Host(link=...): its network is the router's, and nobody else knows it."""
    def link(host):
        ip("link", "add", "eth1", "netns", router.pid, "type", "veth", "peer", "name", "eth0", "netns", host.pid)
        router.own("192.168.7.1/24", "eth1")
        host.own("192.168.7.2/24")
        host.do("ip", "route", "add", "default", "via", "192.168.7.1")
        router.do("sh", "-c", "echo 1 >/proc/sys/net/ipv4/ip_forward")
        router.do("nft", "-f", "-", stdin=MASQUERADE)
    return link
