#!/usr/bin/env python3
"""Machines of a pool that are machines to each other: networks, addresses, processes and host names of their own, joined by a bridge. The cheapest serves; power failures,
lines that are cut in silence, lossy ones, routers that hide who is behind them, IPv6. Prints TAP."""
import shutil
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import hosts
from machines import LONG, PATIENCE, Node, Pool, Tap, at
from freehold import STARTER, Skip, need_starter
from greedy import check, greedy

BROKEN_S, SILENT_S = 3, 10  # within which a lost machine is to be noticed
FIRST, SECOND = "smollm2-135m", "second"


def until(condition, what):
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.02)


def here(pool, name):
    return pool.json("GET", f"/api/v1/nodes/{name}")["here"]


def machines_join(pool, cheap, dear):
    dear.join(pool.token(), "--ask", "0.90")
    cheap.join(pool.token(), "--ask", "0.10")
    pool.wait(lambda nodes: all(nodes.get(n, {}).get("facts") for n in ("cheap", "dear")), "they do not say what they have")
    found = {name: node["facts"]["host"] for name, node in pool.nodes().items()}
    assert found == {"cheap": "cheap", "dear": "dear"}, found


def cheapest_serves(pool, cheap, dear):
    pool.run("--on", "pool")
    pool.wait_live(at(FIRST, "node/cheap"), "the cheapest machine does not serve")
    assert cheap.engines() and not dear.engines(), (cheap.engines(), dear.engines())
    pool.run("--on", "node/dear", "--name", SECOND)
    pool.wait_live(at(SECOND, "node/dear"), "the second one does not serve")
    pool.known = greedy(pool, LONG)


def what_is_refused(pool, third):
    token = pool.token()
    third.join(token)
    pool.wait_here("third")
    Node(pool, "fourth", inside=third.inside).join(token).refused("used already")
    done = pool.cli("run", "smollm2", "Hello.", "--on", "node/third", "--engine", "llama-server", timeout=PATIENCE)
    assert done.returncode != 0 and "llama" in done.stderr, done


def lost_under_a_stream(pool, nodes, lose, within):
    """A stream whose machine is lost: whole all the same. How long until the loss is noticed, and until the rest has come."""
    seen = {}

    def then(place):
        seen["name"], seen["begun"] = place.removeprefix("node/"), time.monotonic()
        lose(nodes[seen["name"]])
        until(lambda: not here(pool, seen["name"]), "its loss is not noticed")
        seen["noticed"] = time.monotonic() - seen["begun"]

    text = pool.stream(then=then)
    took = time.monotonic() - seen["begun"]
    check("a moved stream", text, pool.known)
    assert seen["noticed"] < within, seen
    return seen["name"], f"{seen['name']} was lost: noticed after {seen['noticed']:.2f} s, the stream of {len(text)} characters whole after {took:.1f} s"


def serves_again(pool, name):
    """What ran there has got another place, or this one again."""
    pool.wait_here(name)
    pool.wait_live(lambda f: all(f.get(d, {}).get("state") == "ready" for d in (FIRST, SECOND)), "not both are ready again")


def power_fails(pool, nodes):
    name, said = lost_under_a_stream(pool, nodes, Node.kill_all, BROKEN_S)
    begun = time.monotonic()
    if name == "cheap":
        pool.wait_live(lambda f: f[FIRST]["state"] == "ready" and f[FIRST]["place"] != "node/cheap", "no other machine takes over")
        said += f"; {pool.live()[FIRST]['place']} took its place after {time.monotonic() - begun:.1f} s more"
    nodes[name].join()
    serves_again(pool, name)
    return said


def line_is_cut(pool, nodes, cables):
    name, said = lost_under_a_stream(pool, nodes, lambda node: cables[node.name].cut(), SILENT_S)
    cables[name].mend()
    begun = time.monotonic()
    pool.wait_here(name)
    said += f"; mended, it was back after {time.monotonic() - begun:.1f} s"
    serves_again(pool, name)
    return said


def short_cut(pool, cables):
    """Shorter than what counts as silence: nobody but the stream notices."""
    found = {}

    def then(place):
        cable = cables[place.removeprefix("node/")]
        cable.cut()
        time.sleep(3)
        cable.mend()
        found["place"] = place

    before = {name: pool.live()[name]["place"] for name in (FIRST, SECOND)}
    text = pool.stream(then=then)
    check("a moved stream", text, pool.known)
    after = {name: pool.live()[name]["place"] for name in (FIRST, SECOND)}
    assert here(pool, found["place"].removeprefix("node/")) and after == before, (before, after)


def bad_line(pool, seed):
    try:
        far = hosts.Host("far", 5, hosts.bad_line(0.05, 0.05, seed))
    except OSError as e:
        raise Skip(e)
    node = Node(pool, "far", inside=far.inside)
    shutil.copytree(pool.data / "weights", node.data / "weights")  # what such a line takes long to bring
    begun = time.monotonic()
    node.join(pool.token())
    pool.wait(lambda nodes: nodes.get("far", {}).get("facts"), "it does not say what it has")
    joined = time.monotonic() - begun
    pool.run("--on", "node/far", "--name", "faraway")
    text = pool.stream({**LONG, "model": "deployment/faraway"})
    check("a moved stream", text, pool.known)
    assert pool.cli("stop", "faraway").returncode == 0 and here(pool, "far")
    node.stop()
    far.end()
    return f"50 ms and 5 % lost each way (seed {seed}): joined after {joined:.1f} s, {len(text)} characters after {time.monotonic() - begun:.1f} s"


def behind_a_router(pool):
    if not shutil.which("nft"):
        raise Skip("nft is not here: install nftables")
    router = hosts.Host("router", 6)
    hidden = hosts.Host("hidden", 7, hosts.behind(router))
    node = Node(pool, "hidden", inside=hidden.inside).join(pool.token())
    pool.wait(lambda nodes: nodes.get("hidden", {}).get("facts"), "it does not say what it has")
    pool.run("--on", "node/hidden", "--name", "inner")
    check("inner", pool.stream({**LONG, "model": "deployment/inner"}), pool.known)
    router.do("nft", "delete", "table", "ip", "nat")  # it forgets whom it lent its address to
    router.do("nft", "-f", "-", stdin=hosts.MASQUERADE)
    pool.wait_live(at("inner", "node/hidden"), "it does not come back")
    assert pool.cli("stop", "inner").returncode == 0
    node.stop()
    for host in (hidden, router):
        host.end()


def six(pool, host, name, address):
    node = Node(pool, name, server=address, inside=host.inside).join(pool.token())
    pool.wait(lambda nodes: nodes.get(name, {}).get("facts"), "it does not say what it has")
    pool.run("--on", f"node/{name}", "--name", f"over-{name}")
    check(name, pool.stream({**LONG, "model": f"deployment/over-{name}"}), pool.known)
    assert pool.cli("stop", f"over-{name}").returncode == 0
    node.stop()


def drained(pool, nodes):
    assert pool.cli("node", "drain", "cheap").returncode == 0
    pool.wait_live(lambda f: any(n.startswith(FIRST) and d["state"] == "ready" and d["place"] != "node/cheap" for n, d in f.items()), "it does not leave the machine that is drained")
    until(lambda: not nodes["cheap"].engines(), "its engine does not end")


def removed(pool, nodes):
    assert pool.cli("node", "remove", "cheap").returncode == 0
    nodes["cheap"].refused("removed from the pool")
    nodes["cheap"].join().refused("removed from the pool")  # its certificate is refused
    assert "cheap" not in pool.nodes()


def main():
    need_starter()
    why = hosts.enter()
    if why:
        Tap.skip_all(why)
    tap, seed = Tap(), int(time.time())
    cables = {name: hosts.Host(name, number) for number, name in enumerate(("cheap", "dear", "third"), 2)}
    with Pool(STARTER, hosts.SERVER) as pool:
        nodes = {name: Node(pool, name, inside=host.inside) for name, host in cables.items()}
        tap.check("machines with networks of their own join, and say who they are", machines_join, pool, nodes["cheap"], nodes["dear"])
        tap.check("the cheapest machine that it fits on serves", cheapest_serves, pool, nodes["cheap"], nodes["dear"])
        tap.check("a token opens once, and what its owner did not install is not run", what_is_refused, pool, nodes["third"])
        tap.check("power fails under a stream: another machine goes on, no character lost", power_fails, pool, nodes)
        tap.check("a line is cut in silence under a stream: another machine goes on, no character lost", line_is_cut, pool, nodes, cables)
        tap.check("a line that is cut for 3 s loses nothing", short_cut, pool, cables)
        tap.check("a slow line that loses packets carries a stream", bad_line, pool, seed)
        tap.check("a machine behind a router serves, also when the router forgets it", behind_a_router, pool)
        tap.check("a drained machine is left", drained, pool, nodes)
        tap.check("a removed machine is out, and its certificate is refused", removed, pool, nodes)
        known = pool.known
    with Pool(STARTER, "[::]") as pool:
        pool.known = known
        tap.check("machines join over IPv6", six, pool, cables["dear"], "dear", f"[{hosts.SERVER6}]")
        tap.check("at [::] they join over IPv4 too", six, pool, cables["third"], "third", hosts.SERVER)
    for host in cables.values():
        host.end()
    tap.end()


if __name__ == "__main__":
    main()
