#!/usr/bin/env python3
"""The plan of each of the ten nearest the frontier, at 128K tokens of one stream, against what is published of them (2026-11): weights and cache within 8 percent and never
under, the hosts that their makers name would do, the price's row is named, and beside it the cheapest hosted endpoint with the break-even.

Prices are made up (prices.csv beside this). With FREEHOLD_PRICES=FOLDER, a folder of price lists (docs/PLANNING.md), the same is planned with those, and the cheapest host
must be one that the makers name or one of EXPLAINED. --table writes the table of docs/PLANNING.md."""
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from freehold import PROGRAM, Tap  # noqa: E402

HERE = Path(__file__).resolve().parent
NAMES = {"b300": "B300 (HGX)", "b200": "B200 (HGX)", "h200": "H200 SXM 141 GB", "gb200": "GB200 (one GPU of an NVL72 or NVL4 tray)", "mi355x": "Instinct MI355X"}
# model, variant, published weights and cache of one stream of 128K tokens (GB), hosts that are named for it (the first is in both price lists), list prices of endpoints
# (name, date, dollars a million tokens in and out)
TEN = [
    ("kimi-k3.1-pro", "native", 1560, 2.3, ["8 b300"], [("Moonshot", "2026-10-24", 2, 10), ("Novita", "2026-11", 2, 10)]),
    ("kimi-k3", "native", 1560, 2.3, ["8 b300"], [("Moonshot", "2026-08", 3, 15), ("cheapest third party seen", "2026-09", 2.07, 11.59)]),
    ("deepseek-v4.1-flash", "native", 511, 0.1, ["8 h200", "4 gb200"],
     [("DeepSeek off-peak", "2026-10-27", 0.15, 0.6), ("DeepSeek peak", "2026-10-27", 0.3, 1.2), ("Fireworks", "2026-10", 0.22, 0.66)]),
    ("glm-5.3", "native", 744, 6.7, ["8 h200"], [("Z.ai", "2026-09", 1.4, 4.4), ("Venice", "2026-10", 1.75, 5.5)]),
    ("qwen3.8-2.4t", "nvfp4", 1451, 3.1, ["8 b300"], [("Alibaba Qwen3.8-Max", "2026-09", 2, 6), ("apiyi open weights", "2026-10", 1.72, 5.16)]),
    ("hy4-preview", "fp8", 770, 6.7, ["8 h200", "8 b200"], [("Tencent", "2026-09", 0.834, 2.501)]),
    ("mimo-v2.6-pro", "native", 570, 3.4, ["8 h200", "4 mi355x"], []),
    ("glm-5.3-flash", "native", 328, 1.1, ["4 h200", "4 gb200"], [("FriendliAI", "2026-10", 0.15, 0.5)]),
    ("mistral-large-4", "fp8", 1100, 9.4, ["8 b200"], [("Mistral", "2026-11", 0.68, 2.09), ("OpenRouter", "2026-11", 0.7, 2.1)]),
    ("muse-spark-open", "nvfp4", 470, 4.7, ["8 h200", "4 gb200"], [("Venice", "2026-10", 1.56, 5.31)]),
]
# Hosts that the makers do not name and that do: cheaper, with the memory that is asked for.
EXPLAINED = {
    "8 x Instinct MI350X": "288 GB each, as the MI355X that is named beside the B300",
    "8 x Instinct MI300X": "192 GB each: more memory than eight H200",
    "4 x Instinct MI300X": "768 GB: the memory of a GB200 tray",
    "8 x RTX PRO 6000 Blackwell (workstation / server)": "768 GB without NVLink: its speed is that of a host with it, and so is too high",
    "4 x RTX PRO 6000 Blackwell (workstation / server)": "384 GB hold 328 GB of weights; without NVLink, as above",
    "8 x A100 80 GB SXM": "608 GB that may be used hold 550; it computes in 16 bits",
    "8 x H100 SXM5 80 GB": "608 GB that may be used",
}


def plan(model, variant, files, *more):
    offers = [word for f in files for word in ("--offers", str(f))]
    done = subprocess.run([PROGRAM, "plan", model, "--variant", variant, "--context", "131072", "--streams", "1", *offers, *more], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


class Prices:
    def __init__(self, folder, files):
        self.folder, self.files = folder, files

    def ranking(self, row, *more):
        model, variant, *_, hosted = row
        path = self.folder / "hosted.json"
        path.write_text(json.dumps([{"place": f"{name} ({date})", "input_nusd_per_million": round(i * 1e9), "output_nusd_per_million": round(o * 1e9)} for name, date, i, o in hosted]))
        return plan(model, variant, [*self.files, path], "--data", str(self.folder), *more)

    def whole(self, row):
        return json.loads(self.ranking(row, "--json"))


def cheapest(ranking):
    machines = [p for p in ranking["plans"] if p["hour_nusd"]]
    return min(machines, key=lambda p: p["hour_nusd"])


def named(row):
    return [f"{n} x {NAMES[d]}" for n, d in (h.split() for h in row[4])]


def memory(row, prices):
    """Of the first host that is named: all ranks, each of which keeps what it cannot share."""
    published = (row[2] + row[3]) * 1e9
    p = next(p for p in prices.whole(row)["plans"] if p["host"] == named(row)[0])
    ours = p["weights_bytes"] + p["cache_bytes"]
    assert published * 0.995 <= ours <= published * 1.08, (published, ours)
    assert p["source"] and p["name"], p
    return f"{ours / 1e9:.0f} GB over {p['ranks']} ranks, published {published / 1e9:.0f} of one; {p['source']}"


def hosts(row, prices):
    would = {p["host"] for p in prices.whole(row)["plans"]}
    missing = [h for h in named(row) if h not in would]
    assert not missing, (missing, would)


def rival(row, prices):
    ranking = prices.whole(row)
    even = ranking["break_even"]
    if not row[5]:
        assert even is None
        return
    name, date, i, o = min(row[5], key=lambda r: r[3] + 2 * r[2])
    million = round((o + 2 * i) * 1e9)  # 1,000 tokens in and 500 out
    assert even["hosted"]["place"] == f"{name} ({date})" and even["hosted"]["nusd_per_million"] == million, even["hosted"]
    assert even["rented"]["hour_nusd"] == cheapest(ranking)["hour_nusd"], even["rented"]
    assert even["tokens_per_second"] == even["rented"]["hour_nusd"] * 1000000 // 3600 // million, even
    text = prices.ranking(row)
    assert f"renting wins above {even['tokens_per_second']:,} tokens/s" in text and even["rented"]["source"] in text, text


def same_class(row, prices):
    p = cheapest(prices.whole(row))
    assert p["host"] in named(row) or p["host"] in EXPLAINED, p
    return f"{p['host']} at {p['hour_nusd'] / 1e9:.2f}: {EXPLAINED.get(p['host'], 'as it is named')} ({p['source']})"


def of_a_region(prices):
    row = TEN[3]
    ranking = json.loads(prices.ranking(row, "--json", "--region", "south, far"))
    assert [p["region"] for p in ranking["plans"]] == ["south, far"], ranking["plans"]
    assert any(r["reason"] == "region" for r in ranking["refused"])


def spot(prices):
    row = TEN[0]
    assert cheapest(prices.whole(row))["hour_nusd"] == 57000000000
    taken_away = cheapest(json.loads(prices.ranking(row, "--json", "--spot")))
    assert taken_away["hour_nusd"] == 20000000000 and taken_away["spot"], taken_away


def table(prices):
    print("| model | variant | weights + cache, ours / published GB | cheapest host | $/h | host that is named | $/h | endpoint, $/M | renting wins above tokens/s |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for row in TEN:
        ranking = prices.whole(row)
        c, even = cheapest(ranking), ranking["break_even"]
        known = ranking["plans"] + json.loads(prices.ranking(row, "--json", "--prefer", "speed"))["plans"]  # the fifty best of each
        n = min((p for p in known if p["host"] in named(row)), key=lambda p: p["hour_nusd"])
        ours = (n["weights_bytes"] + n["cache_bytes"]) / 1e9
        endpoint = f"{even['hosted']['place']}: {even['hosted']['nusd_per_million'] / 1e9:.2f}" if even else "-"
        above = f"{even['tokens_per_second']:,} (makes {even['rented']['most_tokens_per_second']:,.0f})" if even else "-"
        print(f"| {row[0]} | {row[1]} | {ours:,.0f} / {row[2] + row[3]:,.0f} | {c['host']}, {c['place']} ({c['source']}) | {c['hour_nusd'] / 1e9:.2f} "
              f"| {n['host']}, {n['place']} ({n['source']}) | {n['hour_nusd'] / 1e9:.2f} | {endpoint} | {above} |")


def price_lists(folder):
    return [f for f in sorted(Path(folder).iterdir()) if f.suffix in (".csv", ".json") and "InstanceType" in f.read_text()[:400] or "price_usd_hour" in f.read_text()[:4000]]


def main():
    tap, today = Tap(), os.environ.get("FREEHOLD_PRICES")
    with tempfile.TemporaryDirectory() as folder:
        if "--table" in sys.argv:
            table(Prices(Path(folder), price_lists(today)))
            return
        made_up = Prices(Path(folder), [HERE / "prices.csv"])
        for row in TEN:
            tap.check(f"{row[0]}: weights and cache are what is published, within 8 percent and never under", memory, row, made_up)
            tap.check(f"{row[0]}: the hosts that its makers name would do", hosts, row, made_up)
            tap.check(f"{row[0]}: the cheapest endpoint and the break-even stand beside it", rival, row, made_up)
        tap.check("a region is a constraint", of_a_region, made_up)
        tap.check("what may be taken away is planned with only where that is asked for", spot, made_up)
        for row in TEN:
            name = f"{row[0]}: with prices of today the host is of the class that is named"
            if not today:
                tap.skip(name, "FREEHOLD_PRICES names no folder of price lists")
                continue
            lists = Prices(Path(folder), price_lists(today))
            tap.check(name, same_class, row, lists)
            tap.check(f"{row[0]}: and its break-even is right", rival, row, lists)
    tap.end()


main()
