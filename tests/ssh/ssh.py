#!/usr/bin/env python3
"""Boxes with a login: a real server, a real sshd on loopback, the starter model. It sets itself up, serves, and leaves nothing behind, whatever is killed meanwhile; what is
wrong with a box is said in words. Prints TAP."""
import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from boxes import PATIENCE, Box, Home, Tap
from freehold import PROGRAM, STARTER, Skip, need_starter, processes

ASK = {"model": "smollm2", "messages": [{"role": "user", "content": "What is a lighthouse for?"}], "temperature": 0, "max_tokens": 16}


def answer(home):
    status, headers, body = home.request("POST", "/v1/chat/completions", ASK)
    assert status == 200, body
    return headers["x-freehold-place"], json.loads(body)["choices"][0]["message"]["content"]


# ---- a life ----

def runs_there(home, box):
    begun = time.monotonic()
    done = home.cli("run", "smollm2", "Say hello.", "--on", "provider/box", timeout=PATIENCE)
    assert done.returncode == 0 and done.stdout.strip(), (done.stdout, done.stderr, home.output()[-3000:])
    took = time.monotonic() - begun
    assert len(box.agents()) == 1 and len(box.running()) > 1, box.running()
    place, home.text = answer(home)
    assert "order-" in place or "box" in place, place
    home.place = place
    return f"the first word after {took:.1f} s, {place}"


def no_secret_in_arguments(home, box):
    """The token and the key are in no command line, here or there."""
    token = (box.folders()[0] / "token").read_text().strip()
    secret = token.rsplit(".", 1)[-1]
    assert len(secret) > 20 and not processes(secret)
    assert oct((box.folders()[0] / "token").stat().st_mode & 0o777) == "0o600"
    assert oct(box.folders()[0].stat().st_mode & 0o777) == "0o700"


def one_at_a_time(home, box):
    """A second machine is not had of one box, and the words say who has it."""
    status, _, body = home.request("POST", "/api/v1/deployments", {"model": "smollm2", "place": "provider/box", "name": "second"})
    if status < 400:
        d = home.wait_reason("second", "is held for")
        home.stop_deployment("second")
        return d["reason"]
    assert b"is held for" in body, body
    return json.loads(body)["detail"]


def server_killed_while_it_serves(home, box):
    before = box.running()
    for _ in range(2):
        home.kill()
        time.sleep(0.3)
        home.start_pool()
        home.wait_state("smollm2-135m", "ready")
        assert answer(home)[1] == home.text
    assert sorted(box.running()) == sorted(before), (before, box.running())


def connection_killed(home, box):
    """All connections break, the tunnel's too: the same agent comes back by another."""
    before = box.agents()
    box.cut()
    time.sleep(0.5)
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        status, _, body = home.request("POST", "/v1/chat/completions", ASK)
        if status == 200:
            break
        time.sleep(0.3)
    assert status == 200, (body, home.deployment("smollm2-135m"))
    assert box.agents() == before, (before, box.agents())


def sockets(home, name):
    """Where they lie when the home's path is too deep for them."""
    return Path("/tmp/fh" + (home.data / "ssh" / name / "id").read_text())


def stopped_leaves_nothing(home, box):
    assert sockets(home, "box").is_dir()
    home.stop_deployment("smollm2-135m")
    box.wait_clean()
    assert not sockets(home, "box").exists()
    until = time.monotonic() + PATIENCE
    while processes(f"{home.data}/ssh/") and [p for p in processes(f"{home.data}/ssh/") if "hold" in Path(f"/proc/{p}/cmdline").read_text()]:
        assert time.monotonic() < until, "a tunnel is left here"
        time.sleep(0.1)


def agent_killed(home, box):
    """What an agent left that was killed is ended, and the box is set up again."""
    home.post("provider/box", "killed")
    home.wait_state("killed", "ready")
    before = box.agents()
    for pid in processes(f"{box.folders()[0]}/node"):
        if b"node\0join" in Path(f"/proc/{pid}/cmdline").read_bytes():
            os.kill(pid, 9)
    box.wait(lambda: box.agents() and box.agents() != before, "it is not set up again")
    home.wait_state("killed", "ready")
    assert len(box.agents()) == 1
    home.stop_deployment("killed")
    box.wait_clean()
    assert not sockets(home, "box").exists()


def weights_may_stay(home, box):
    home.added("keeper", box, "keep=yes")
    home.post("provider/keeper", "kept")
    home.wait_state("kept", "ready")
    home.stop_deployment("kept")
    box.wait(lambda: not box.running() and box.folders() and [p.name for p in box.folders()[0].iterdir()] == ["node"], "more than weights stays, or less")
    assert [p.name for p in (box.folders()[0] / "node").iterdir()] == ["weights"]
    shutil.rmtree(box.folders()[0])


# ---- killed at any moment ----

def killed_while_it_is_set_up(home, box):
    """kill -9 of the server again and again while the box is set up: one agent at most, and it serves in the end."""
    home.post("provider/box", "often")
    seen = []
    for pause in (0.05, 0.15, 0.3, 0.5, 0.8, 1.2, 1.7, 2.3):
        time.sleep(pause)
        d = home.deployment("often")
        seen.append(d["reason"] if d else "-")
        home.kill()
        assert len(box.agents()) <= 1, box.agents()
        home.start_pool()
    home.wait_state("often", "ready")
    assert len(box.agents()) == 1 and len(box.folders()) == 1
    return "; ".join(dict.fromkeys(seen))[:300]


def killed_while_it_is_ended(home, box):
    home.stop_deployment("often")
    for pause in (0.02, 0.2, 0.6):
        time.sleep(pause)
        home.kill()
        home.start_pool()
    box.wait_clean()
    assert not box.agents()


# ---- what is wrong with a box ----

def refused(home, place, name, *texts):
    status, _, body = home.request("POST", "/api/v1/deployments", {"model": "smollm2", "place": place, "name": name})
    if status >= 400:
        said = json.loads(body)
        said = said["detail"] + " " + said.get("hint", "")
    else:
        d = home.wait_state(name, "failed")
        said = d["reason"] + " " + (d.get("hint") or "")
    for text in texts:
        assert text in said, (text, said, home.output()[-2000:])
    return said


def wrong_key(home, box):
    key = box.make_key("stranger")
    home.added("locked", box, key=key)
    said = refused(home, "provider/locked", "locked", "does not let in", str(key), "authorized_keys")
    assert box.is_clean()
    return said


def open_key(home, box):
    key = box.make_key("open")
    key.chmod(0o644)
    done = home.add("careless", box, key=key)
    assert done.returncode != 0 and "others can read the key file" in done.stderr and "chmod 600" in done.stderr, done
    done = home.add("odd", box, "colour=red")
    assert done.returncode != 0 and "colour" in done.stderr and "tunnel" in done.stderr, done


def changed_host_key(home, box):
    box.stop()
    box.host_key = box.make_key("host2")
    box.start()
    said = refused(home, "provider/box", "changed", "another host key", "known_hosts")
    assert box.is_clean()
    (home.data / "ssh/box/known_hosts").unlink()
    home.post("provider/box", "again")
    home.wait_state("again", "ready")
    home.stop_deployment("again")
    box.wait_clean()
    return said


def other_kind(home, box):
    box.program("uname", 'case $1 in -m) echo riscv64 ;; *) exec /usr/bin/uname "$@" ;; esac')
    said = refused(home, "provider/box", "kind", "riscv64")
    (box.bin / "uname").unlink()
    assert box.is_clean()
    return said


def full_disk(home, box):
    box.program("df", 'echo "Filesystem 1024-blocks Used Available Capacity Mounted on"; echo "/dev/sda1 100 90 10 90% /"')
    said = refused(home, "provider/box", "full", "MB of disk free", "folder=DIR")
    (box.bin / "df").unlink()
    assert box.is_clean()
    return said


def without_library(box, library):
    """sshd in a view of the files of its own, where that library is not there; box.lib keeps it."""
    found = subprocess.run(["ldd", str(PROGRAM)], capture_output=True, text=True).stdout
    path = next(Path(line.split()[2]) for line in found.splitlines() if library in line)
    layers, box.lib = box.folder / "layers", box.folder / "lib"
    layers.mkdir()
    box.lib.mkdir()
    shutil.copy(path, box.lib / library)
    script = (f"mount -t tmpfs t {layers} && mkdir {layers}/upper {layers}/work && "
              f"mount -t overlay o -o lowerdir={path.parent},upperdir={layers}/upper,workdir={layers}/work {path.parent} && rm {path.parent}/{library}*")
    if subprocess.run(["unshare", "-m", "sh", "-c", script], capture_output=True).returncode:
        raise Skip("no view of files of its own can be made here")
    box.start(under=("unshare", "-m", "sh", "-c", f'{script} && exec "$@"', "sh"))
    return path.parent


def library_missing(home):
    """Named with its package; installed where the operator said so. Nothing is left where it was not."""
    with contextlib.closing(Box(home.folder, "bare")) as box:
        where = without_library(box, "libhwloc.so.15")
        home.added("bare", box)
        said = refused(home, "provider/bare", "bare", "lacks libhwloc.so.15", "apt-get install libhwloc15", "install=yes")
        box.wait_clean()
        box.program("apt-get", f'echo "$*" >>{box.folder}/apt; case $* in *install*libhwloc15*) cp {box.lib}/* {where}/ ;; esac')
        home.added("bare-too", box, "install=yes")
        home.post("provider/bare-too", "bare-too")
        home.wait_state("bare-too", "ready")
        assert "install libhwloc15" in (box.folder / "apt").read_text()
        home.stop_deployment("bare-too")
        box.wait_clean()
    return said


def not_there_yet(home, box):
    """A box that is switched off is waited for, and one whose connections break while it is set up is set up all the same."""
    box.stop()
    home.post("provider/box", "late")
    said = home.wait_reason("late", "trying again")["reason"]
    box.start()
    for _ in range(4):
        box.wait(lambda: box.connections() or box.agents(), "nobody comes")
        time.sleep(0.3)
        box.cut()
    home.wait_state("late", "ready")
    assert len(box.agents()) == 1, box.agents()
    home.stop_deployment("late")
    box.wait_clean()
    return said


def dials_itself(home, box):
    """Without a tunnel the box dials the pool."""
    home.added("direct", box, "tunnel=no")
    home.post("provider/direct", "direct")
    home.wait_state("direct", "ready")
    assert f"https://127.0.0.1:{home.pool_port} " in box.agents()[0], box.agents()
    home.stop_deployment("direct")
    box.wait_clean()


def main():
    need_starter()
    tap = Tap()
    with Home(STARTER) as home, Box(home.folder) as box:
        home.added("box", box)
        tap.check("a box is set up and serves", runs_there, home, box)
        tap.check("no secret stands in a command line", no_secret_in_arguments, home, box)
        tap.check("a box is one machine", one_at_a_time, home, box)
        tap.check("kill -9 of the server while it serves: the same agent goes on", server_killed_while_it_serves, home, box)
        tap.check("broken connections come back", connection_killed, home, box)
        tap.check("stopped: nothing is left, there or here", stopped_leaves_nothing, home, box)
        tap.check("kill -9 of the agent: the box is cleaned and set up again", agent_killed, home, box)
        tap.check("weights stay where that is wanted", weights_may_stay, home, box)
        tap.check("kill -9 of the server while it is set up", killed_while_it_is_set_up, home, box)
        tap.check("kill -9 of the server while it is ended", killed_while_it_is_ended, home, box)
        tap.check("a wrong key is refused in words", wrong_key, home, box)
        tap.check("a key that others can read, and a setting that is none", open_key, home, box)
        tap.check("a box of another kind is refused", other_kind, home, box)
        tap.check("a full disk is seen before anything is copied", full_disk, home, box)
        tap.check("a box that is not there is waited for", not_there_yet, home, box)
        tap.check("a box dials by itself where there is no tunnel", dials_itself, home, box)
        tap.check("a library that is missing is named with its package, or installed", library_missing, home)
        tap.check("a changed host key is refused", changed_host_key, home, box)
    tap.end()


main()
