#!/usr/bin/env python3
"""What a server plans with by itself: price lists that it was given once, kept over a restart, and hosted endpoints at the prices that their operator said, in one list with
machines by the hour. Prints TAP."""
import http.server
import json
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from freehold import Server, Tap, need_starter  # noqa: E402

HERE = Path(__file__).resolve().parent
MANY = 100000


class Models(http.server.BaseHTTPRequestHandler):
    """An endpoint that lists models that nobody can run here; it is never asked for an answer."""

    def do_GET(self):
        body = json.dumps({"object": "list", "data": [{"id": "zai-org/GLM-5.3", "object": "model"}, {"id": "kimi", "object": "model"}]}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


def ask(server, model="glm-5.3", **more):
    status, _, reply = server.request("POST", "/api/v1/plans", {"model": model, "context_tok": 131072, "streams": 1, **more})
    assert status == 200, (status, reply)
    return json.loads(reply)


def restart(server):
    server.stop()
    server.start()


def is_imported(server):
    said = server.cli("offers", "import", str(HERE / "prices.csv")).stdout
    assert "prices: 10 offers of 10 rows" in said, said
    plans = ask(server)["plans"]
    assert {p["place"] for p in plans} == {"prices"} and plans[0]["source"].startswith("prices.csv:"), plans[0]


def is_kept(server):
    before = ask(server)
    restart(server)
    assert ask(server) == before


def bad_lists_change_nothing(server, folder):
    before = ask(server)
    bad = folder / "prices.csv"
    bad.write_text((HERE / "prices.csv").read_text().replace("45.00", "dear"))
    done = server.cli("offers", "import", str(bad))
    assert done.returncode and 'prices.csv: line 5, column 6 (Price): "dear" is no number' in done.stderr, done.stderr
    for body in ({"name": "prices", "offers": [{"place": "x", "device": "h2000", "hour_nusd": 1}]}, {"name": "Not good", "offers": []}, {"name": "../x", "offers": []}):
        status, _, reply = server.request("POST", "/api/v1/price-lists", body)
        assert status == 400, (status, reply)
    assert ask(server) == before


def endpoints_are_ranked(server, url):
    server.cli("provider", "add", "cheap", "--url", url, "--price", "1.00/3.00", "--price", "kimi=2/10", "--region", "eu-west-1")
    server.cli("provider", "add", "silent", "--url", url)
    ranking = ask(server)
    first = ranking["plans"][0]
    assert (first["place"], first["name"], first["region"], first["nusd_per_million"]) == ("provider/cheap", "zai-org/GLM-5.3", "eu-west-1", 5000000000), first
    assert {p["place"] for p in ranking["plans"]} == {"provider/cheap", "prices"}, "machines and endpoints stand in one list"
    assert ranking["unpriced"] == ["provider/silent"], ranking["unpriced"]
    even = ranking["break_even"]
    assert even["hosted"]["place"] == "provider/cheap" and even["tokens_per_second"] == 15000000000 * 1000000 // 3600 // 5000000000, even
    assert ask(server, "kimi-k3.1-pro")["break_even"]["hosted"]["nusd_per_million"] == 14000000000
    text = server.cli("plan", "glm-5.3", "--context", "131072", "--streams", "1").stdout
    assert "renting wins above 833 tokens/s" in text and "provider/silent serves it too" in text, text
    restart(server)
    assert ask(server) == ranking


def regions_have_their_water(server):
    def water(**more):
        return next(p for p in ask(server, region="north", **more)["plans"])["ul_per_million"]
    dry = water(regions=[{"name": "north", "pue_milli": 1100, "wue_ml_kwh": 0, "grid_ml_kwh": 100}])
    wet = water(regions=[{"name": "north", "pue_milli": 1500, "wue_ml_kwh": 2000, "grid_ml_kwh": 6000}])
    assert dry < water() < wet, (dry, water(), wet)
    assert {p["region"] for p in ask(server, region="eu-west-1")["plans"]} == {"eu-west-1"}
    status, _, reply = server.request("POST", "/api/v1/plans", {"model": "glm-5.3", "region": "nowhere"})
    assert status == 400 and b"nowhere" in reply, reply


def many(server):
    offers = [{"place": f"rent/{i % 200}", "name": f"type-{i % 3000}", "region": f"r{i % 50}", "device": ["h200", "b200", "b300", "mi300x"][i % 4], "devices": [1, 2, 4, 8][i // 4 % 4],
               "hour_nusd": 10**9 + i * 7919 % 10**11} for i in range(MANY)]
    status, _, reply = server.request("POST", "/api/v1/price-lists", {"name": "many", "offers": offers})
    assert status == 201, (status, reply[:200])
    ranking = ask(server)
    assert ranking["fit"] > MANY / 10 and sum(r["count"] for r in ranking["refused"]) + ranking["fit"] > MANY, ranking["fit"]
    took = []
    for _ in range(20):
        begin = time.monotonic()
        ask(server)
        took.append((time.monotonic() - begin) * 1000)
    return f"{MANY} offers, from the question to the plans read: {min(took):.0f} to {max(took):.0f} ms, median {sorted(took)[10]:.0f}"


def is_forgotten(server):
    server.cli("offers", "forget", "many")
    listed = json.loads(server.cli("offers", "lists", "--json").stdout)["items"]
    assert [(l["name"], l["offers"]) for l in listed] == [("prices", 10)], listed
    assert server.cli("offers", "forget", "many").returncode == 3


def main():
    need_starter()
    tap = Tap()
    endpoint = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Models)
    threading.Thread(target=endpoint.serve_forever, daemon=True).start()
    with Server() as server:
        tap.check("a price list is given once, and plans go by it", is_imported, server)
        tap.check("it is kept over a restart", is_kept, server)
        tap.check("a list with a mistake changes nothing, and the mistake is named", bad_lists_change_nothing, server, server.folder)
        tap.check("hosted endpoints stand in one list with machines, at the prices that were said", endpoints_are_ranked, server, f"http://127.0.0.1:{endpoint.server_port}")
        tap.check("places have the water that is said of them", regions_have_their_water, server)
        tap.check("a question over a hundred thousand offers need not bring them", many, server)
        tap.check("a list is forgotten", is_forgotten, server)
    endpoint.shutdown()
    tap.end()


main()
