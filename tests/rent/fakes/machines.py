"""What stands behind a fake account's machines, when it is asked for: each that runs is a process group of its own with a home of its own, which runs the script that it was
rented with. So what joins the server's pool is freehold's real node, and ending the machine kills all of it. Python's standard library only."""
import contextlib
import os
import signal
import subprocess
import threading
import time
from pathlib import Path

TICK_S = 0.05


def holding(folder):
    """pids of processes that name something in that folder."""
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and str(folder).encode() in (entry / "cmdline").read_bytes():
                yield int(entry.name)


class Machines:
    def __init__(self, account, folder, path):
        self.account, self.folder, self.path, self.running = account, Path(folder), path, {}
        threading.Thread(target=self.watch, daemon=True).start()

    def watch(self):
        while True:
            with self.account.lock:
                for machine in list(self.account.machines.values()):
                    self.look(machine)
            time.sleep(TICK_S)

    def look(self, machine):
        now, number = self.account.now(), machine["id"]
        gone = machine["gone"] is not None and machine["gone"] <= now
        if self.account.autodown and not gone and number in self.running and self.running[number].poll() is not None:
            machine["gone"] = now
        elif gone and number in self.running:
            self.end(number)
        elif not gone and machine["runs"] <= now and not machine["foreign"] and not machine.get("started"):
            machine["started"] = True
            self.start(machine)

    def start(self, machine):
        home = self.folder / machine["id"]
        home.mkdir(parents=True)
        setup = machine["setup"]
        env = {"HOME": str(home), "PATH": self.path, "MACHINE_ID": machine["id"], "RUNPOD_POD_ID": machine["id"], "CONTAINER_ID": machine["id"], **setup.get("env", {})}
        with open(home / "log", "ab") as log:
            self.running[machine["id"]] = subprocess.Popen(["bash", "-c", setup["script"]], cwd=home, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)

    def end(self, number):
        process = self.running.pop(number)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        for pid in holding(self.folder / number):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait()
