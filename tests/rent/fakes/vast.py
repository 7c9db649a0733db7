#!/usr/bin/env python3
"""Vast.ai as documented: search, asks, instances. A rate that is exceeded is told in plain text, without Retry-After; an ask that somebody else took is no_such_ask."""
import json
import re
from urllib.parse import parse_qs, urlparse

from account import Refused, check_setup, main

ASKS = [(71001, "H200", 8, 143771, 27.5, 0.998), (71002, "H200", 1, 143771, 3.1, 0.991), (71003, "H100 SXM", 8, 81559, 17.6, 0.995), (71004, "RTX 4090", 1, 24564, 0.31, 0.97),
        (71005, "RTX 4090", 4, 24564, 1.3, 0.985), (71006, "GTX 1080", 1, 8192, 0.05, 0.9)]


class Vast:
    busy = "API requests too frequent: endpoint threshold=1.0"

    def __init__(self, account):
        self.account = account

    @staticmethod
    def call_of(method, path):
        if path.startswith("/api/v0/bundles/"):
            return "offers"
        if path.startswith("/api/v0/charges/"):
            return "bill"
        return {"GET": "list", "PUT": "rent", "DELETE": "end"}[method]

    @staticmethod
    def error(status, code, message):
        return status, {"success": False, "error": code, "msg": message}

    def refuse(self, kind):
        return self.error(410, "no_such_ask", "error 404/3603: no_such_ask: this offer is no longer available")

    @staticmethod
    def again(account):
        return None  # the reply to a rent tells an id alone

    def handle(self, method, path, body, account):
        if path == "/api/v0/bundles/" and method == "POST":
            if body["type"] != "ondemand" or body["rentable"] != {"eq": True}:
                raise Refused(400, "invalid_args", "the search is not as documented")
            want = body.get("num_gpus", {}).get("eq")
            return 200, {"offers": [{"id": i, "gpu_name": g, "num_gpus": n, "gpu_ram": ram, "dph_total": p, "reliability": r, "geolocation": "Sweden, SE", "inet_down": 2400.5,
                                     "cpu_ram": 515000, "cpu_cores_effective": 48.0, "disk_space": 1800.0, "verified": True, "rentable": True}
                                    for i, g, n, ram, p, r in ASKS if want in (None, n)]}
        if path == "/api/v1/instances/" and method == "GET":
            return 200, {"instances": [{"id": int(m["id"]), "label": m["tag"], "actual_status": {"running": "running"}.get(m["state"], "loading"), "dph_total": m["price"],
                                        "start_date": m["utc"], "public_ipaddr": "192.0.2.9"} for m in account.shown()]}
        if path.startswith("/api/v0/charges/") and method == "GET":
            day = json.loads(parse_qs(urlparse(path).query)["select_filters"][0])["day"]
            ours = [m for m in account.machines.values() if m["gone"] is not None and day["gte"] <= m["utc"] <= day["lte"]]
            return 200, {"success": True, "count": len(ours), "total": len(ours), "next_token": None, "results": [
                {"start": m["utc"], "end": m["utc"], "type": "instance", "source": f"instance-{m['id']}", "description": "charges", "metadata": {"label": m["tag"]}, "items": [],
                 "amount": m["price"] * (m["gone"] - m["made"]) / 3600} for m in ours]}
        ask, instance = re.fullmatch(r"/api/v0/asks/(\d+)/", path), re.fullmatch(r"/api/v0/instances/(\d+)/", path)
        if ask and method == "PUT":
            return 200, {"success": True, "new_contract": int(self.rent(int(ask[1]), body, account)["id"])}
        if instance and method == "DELETE":
            account.end(instance[1])
            return 200, {"success": True}
        raise Refused(404, "not_found", "no such path")

    @staticmethod
    def rent(number, body, account):
        price = next((p for i, _, _, _, p, _ in ASKS if i == number), None)
        unknown = set(body) - {"image", "disk", "label", "runtype", "env", "onstart", "args", "args_str", "price", "target_state", "cancel_unavail", "vm", "image_login", "volume_info"}
        if price is None:
            raise Refused(404, "no_such_ask", "this offer is not there")
        if unknown or not body["image"] or body["runtype"] not in ("ssh", "jupyter", "args"):
            raise Refused(400, "invalid_args", f"the body is not as documented: {sorted(unknown)}")
        check_setup(body["env"], body["onstart"])
        return account.make(body["label"], {"price": price, "setup": {"script": body["onstart"], "image": body["image"], "env": body["env"]}})


if __name__ == "__main__":
    main(Vast)
