#!/usr/bin/env python3
"""Lambda Cloud as documented: /api/v1/instance-types, instances, launch, terminate."""
from account import Refused, check_setup, main

TYPES = [("gpu_8x_h100_sxm5", "H100 (80 GB SXM5)", 8, 2392, ["us-east-1", "us-west-2"]), ("gpu_1x_gh200", "GH200 (96 GB)", 1, 149, ["us-east-3"]),
         ("gpu_1x_a10", "A10 (24 GB PCIe)", 1, 75, ["us-west-1"]), ("gpu_8x_b200_sxm6", "B200 (180 GB SXM6)", 8, 3992, [])]


class Lambda:
    busy = {"error": {"code": "global/too-many-requests", "message": "too many requests", "suggestion": "wait"}}

    def __init__(self, account):
        self.account = account

    @staticmethod
    def call_of(method, path):
        if path == "/api/v1/instance-types":
            return "offers"
        return {"/api/v1/instances": "list", "/api/v1/instance-operations/launch": "rent"}.get(path, "end")

    @staticmethod
    def error(status, code, message):
        return status, {"error": {"code": code, "message": message, "suggestion": ""}}

    def refuse(self, kind):
        return self.error(400, "instance-operations/launch/insufficient-capacity", "Not enough capacity to fulfill launch request.")

    @staticmethod
    def again(account):
        return None  # the reply to a rent tells an id alone

    def handle(self, method, path, body, account):
        if path == "/api/v1/instance-types":
            return 200, {"data": {name: {"instance_type": {"name": name, "description": about, "gpu_description": about, "price_cents_per_hour": cents,
                                                           "specs": {"vcpus": 26 * n, "memory_gib": 225 * n, "storage_gib": 2816 * n, "gpus": n}},
                                         "regions_with_capacity_available": [{"name": r, "description": r} for r in regions]} for name, about, n, cents, regions in TYPES}}
        if path == "/api/v1/instances":
            return 200, {"data": [{"id": m["id"], "name": m["tag"], "ip": "192.0.2.11", "status": {"running": "active"}.get(m["state"], "booting"),
                                   "region": {"name": "us-east-1"}, "instance_type": {"name": "t", "price_cents_per_hour": round(m["price"] * 100)}} for m in account.shown()]}
        if path == "/api/v1/instance-operations/launch":
            return 200, {"data": {"instance_ids": [self.launch(body, account)["id"]]}}
        if path == "/api/v1/instance-operations/terminate":
            return 200, {"data": {"terminated_instances": [{"id": account.end(i)["id"]} for i in body["instance_ids"]]}}
        raise Refused(404, "global/object-does-not-exist", "no such path")

    @staticmethod
    def launch(body, account):
        unknown = set(body) - {"region_name", "instance_type_name", "ssh_key_names", "quantity", "name", "file_system_names", "hostname", "image", "user_data", "tags"}
        cents = next((c for name, _, _, c, regions in TYPES if name == body["instance_type_name"] and body["region_name"] in regions), None)
        if unknown or cents is None or len(body["ssh_key_names"]) != 1 or body.get("quantity") != 1 or not body["user_data"].startswith("#!"):
            raise Refused(400, "global/invalid-parameters", f"the body is not as documented: {sorted(unknown)}")
        check_setup({}, body["user_data"])
        return account.make(body["name"], {"price": cents / 100, "setup": {"script": body["user_data"], "image": ""}})


if __name__ == "__main__":
    main(Lambda)
