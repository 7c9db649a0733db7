#!/usr/bin/env python3
"""What stands behind the fake `sky` program (fakes/bin/sky): clusters on an account, in the shapes that SkyPilot 0.14 prints with -o json. The program asks here over HTTP, so
that the same faults reach it as the other fakes' clients."""
from account import Refused, check_setup, main

TYPES = [("1x-H200-32-65536", "H200", 1, 143771, 64, 3.1, "Sweden, SE, EU"), ("8x-H200-256-524288", "H200", 8, 143771, 512, 24.5, "Sweden, SE, EU"),
         ("1x-RTX4090-16-32768", "RTX4090", 1, 24564, 32, 0.31, "Norway, NO, EU"), ("1x-RTX4090-16-65536", "RTX4090", 1, 24564, 64, 0.36, "France, FR, EU")]


def name_of(machine):
    return machine["tag"].replace(":", "-") or f"c{machine['id']}"


class SkyPilot:
    busy = {"error": "too many requests"}

    def __init__(self, account):
        self.account = account
        account.autodown = True

    @staticmethod
    def call_of(method, path):
        return {"/gpus": "offers", "/status": "list", "/launch": "rent", "/down": "end"}[path]

    @staticmethod
    def error(status, code, message):
        return status, {"error": message}

    def refuse(self, kind):
        return self.error(400, kind, "sky.exceptions.ResourcesUnavailableError: Failed to provision all possible launchable resources.")

    @staticmethod
    def again(account):
        return None

    def handle(self, method, path, body, account):
        if path == "/gpus":
            name, _, count = body["gpu"].partition(":")
            return 200, {name: [{"cloud": "Vast", "instance_type": t, "accelerator_name": g, "accelerator_count": float(n), "cpu_count": 32.0, "device_memory": m / 1024,
                                 "memory": float(ram), "price": p, "spot_price": p / 2, "region": r} for t, g, n, m, ram, p, r in TYPES if g == name and count in ("", str(n))]}
        if path == "/status":
            return 200, [{"name": name_of(m), "launched_at": int(m["utc"]), "status": {"running": "UP"}.get(m["state"], "INIT"), "autostop": 5, "to_down": True, "nodes": 1,
                          "cluster_hash": m["id"], "cluster_ever_up": False, "user_hash": "u", "user_name": "u", "workspace": "default", "is_managed": False} for m in account.shown()]
        if path == "/launch":
            return 200, {"name": name_of(self.launch(body, account))}
        for machine in account.machines.values():
            if name_of(machine) == body["name"]:
                return 200, {"name": name_of(account.end(machine["id"]))}
        raise Refused(404, "gone", f"Cluster {body['name']!r} not found.")

    @staticmethod
    def launch(body, account):
        task, words = body["task"], body["words"]
        resources = task["resources"]
        price = next((p for t, g, n, _, _, p, r in TYPES if (t, f"{g}:{n}", r) == (resources["instance_type"], resources["accelerators"], resources["region"])), None)
        if price is None or resources["cloud"] != "Vast" or resources["use_spot"] or set(task) != {"name", "resources", "secrets", "run"} or words != ["-y", "-d", "-c", body["name"], "-i", "5", "--down"]:
            raise Refused(400, "invalid", f"the task is not as documented: {task} {words}")
        check_setup(task["secrets"], task["run"])
        if any(name_of(m) == body["name"] and m["gone"] is None for m in account.machines.values()):
            raise Refused(400, "there", "it is there already")
        return account.make(body["name"], {"price": price, "setup": {"script": task["run"], "image": resources.get("image_id", ""), "env": task["secrets"]}})


if __name__ == "__main__":
    main(SkyPilot)
