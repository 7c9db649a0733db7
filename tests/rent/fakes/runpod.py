#!/usr/bin/env python3
"""RunPod, REST v2, as documented: /catalog/gpus, /pods, /billing/pods. Errors are RFC 9457. Prices are those of GPUs; a pod's disk is billed on top of them."""
import re
import shlex
from datetime import datetime, timedelta, timezone
from urllib.parse import parse_qs, urlparse

from account import Refused, check_setup, main

GPUS = [("NVIDIA H200", 141, 8, 3.99, 3.59, "HIGH"), ("NVIDIA H100 80GB HBM3", 80, 8, 2.99, 2.69, "MEDIUM"), ("NVIDIA A100 80GB PCIe", 80, 8, 1.64, 1.19, "LOW"),
        ("NVIDIA GeForce RTX 4090", 24, 6, 0.69, 0.34, "HIGH"), ("NVIDIA B200", 180, 8, 5.99, 0, "NONE"), ("NVIDIA RTX 2000 Ada Generation", 16, 4, 0.24, 0.2, "HIGH")]

DISK = 100 * 0.10 / 720  # an hour of a pod's container disk


class RunPod:
    busy = {"title": "Too Many Requests", "status": 429, "detail": "slow down"}

    def __init__(self, account):
        self.account = account

    @staticmethod
    def call_of(method, path):
        if path.startswith("/catalog/"):
            return "offers"
        if path.startswith("/billing/"):
            return "bill"
        return {"GET": "list", "POST": "rent", "DELETE": "end"}[method]

    @staticmethod
    def error(status, code, message):
        return status, {"type": "about:blank", "title": code, "status": status, "detail": message, "errors": []}

    def refuse(self, kind):
        return self.error(400, "no-capacity", "There are no instances currently available with the requested specifications")

    def again(self, account):
        """The reply to a rent tells the machine, as it turned out to be."""
        return 201, self.pod({"state": "starting", **list(account.machines.values())[-1]})

    def handle(self, method, path, body, account):
        where = urlparse(path).path
        if where == "/catalog/gpus":
            return 200, {"gpus": [{"id": g, "memory": m, "maxCount": {"secure": n, "community": n}, "price": {"secure": s, "community": c, "serverless": None},
                                   "availability": a, "dataCenters": [], "cudaVersions": ["12.8"]} for g, m, n, s, c, a in GPUS]}
        if where == "/pods" and method == "GET":
            return 200, {"pods": [self.pod(m) for m in account.shown()]}
        if where == "/pods" and method == "POST":
            return 201, self.pod({"state": "starting", **self.rent(body, account)})
        if where == "/billing/pods" and method == "GET":
            return 200, self.bill({name: values[0] for name, values in parse_qs(urlparse(path).query).items()}, account)
        found = re.fullmatch(r"/pods/([^/]+)", where)
        if found and method == "DELETE":
            account.end(found[1])
            return 204, {}
        raise Refused(404, "not-found", "no such path")

    @staticmethod
    def rent(body, account):
        unknown = set(body) - {"name", "image", "templateId", "gpu", "cpu", "cloud", "dataCenterIds", "disk", "mounts", "ports", "env", "args", "registry", "globalNetworking",
                               "startSsh", "startJupyter"}
        price = next((s if body["cloud"] == "SECURE" else c for g, _, _, s, c, _ in GPUS if g == body["gpu"]["id"]), None)
        words = shlex.split(body["args"])
        if unknown or not body["name"] or not body["image"] or price is None or words[:2] != ["bash", "-c"] or len(words) != 3:
            raise Refused(422, "invalid", f"the body is not as documented: {sorted(unknown)}")
        check_setup(body["env"], words[2])
        return account.make(body["name"], {"price": price * body["gpu"]["count"] + DISK, "setup": {"script": words[2], "image": body["image"], "env": body["env"]}})

    def pod(self, m):
        status = "RUNNING" if m["state"] == "running" else "PROVISIONING"
        return {"id": m["id"], "name": m["tag"], "status": status, "actions": [], "cost": m["price"] - DISK, "ssh": {"proxy": None, "direct": {"host": "192.0.2.7", "port": 22022, "username": "root", "command": ""}}, "dataCenterId": "EU-RO-1",
                "runtime": None, "startedAt": datetime.fromtimestamp(m["utc"], timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")}

    @staticmethod
    def bill(query, account):
        """A record a pod and day that the window touches."""
        if "startTime" not in query or "endTime" not in query or query.get("bucketSize") != "day":
            raise Refused(400, "Bad Request", "startTime and endTime must be provided together")
        at, end, records = datetime.fromisoformat(query["startTime"]), datetime.fromisoformat(query["endTime"]), []
        while at < end:
            day, at = (at.timestamp(), (at + timedelta(days=1)).timestamp()), at + timedelta(days=1)
            for m in account.machines.values():
                lived = min(m["utc"] + (m["gone"] or account.now()) - m["made"], day[1]) - max(m["utc"], day[0])
                if lived > 0 and query.get("podId") in (None, m["id"]):
                    records.append({"startTime": day[0], "endTime": day[1], "podId": m["id"], "cpuAmount": 0, "diskAmount": DISK * lived / 3600,
                                    "gpuAmount": (m["price"] - DISK) * lived / 3600, "totalAmount": m["price"] * lived / 3600})
        totals = {k: sum(r[k] for r in records) for k in ("totalAmount", "gpuAmount", "cpuAmount", "diskAmount")}
        return {"records": records, "metadata": {"query": query, "recordCount": len(records), "uniquePodCount": len({r["podId"] for r in records}), "totals": totals}}


if __name__ == "__main__":
    main(RunPod)
