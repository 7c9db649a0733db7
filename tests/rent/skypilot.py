#!/usr/bin/env python3
"""SkyPilot's real package, as far as it goes without a cloud: what it says it could rent (of a list of prices of the test's own, for Vast.ai, whose credentials are a file alone) is
offered by the server; and the very task and words of a launch are taken by `sky launch --dryrun`, which chooses the machine that was asked for. Nothing can be rented. The
package is half a gigabyte, so it is installed into a folder of the cache when this runs, which `make check-deep` does. Prints TAP."""
import contextlib
import json
import os
import signal
import subprocess
from pathlib import Path

from rented import Renting
from freehold import Skip, Tap, is_free, need_starter, processes

PACKAGES = ["skypilot==0.14.1", "greenlet"]
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "freehold/skypilot-0.14.1"
PATIENCE = 600  # the first command starts a server of SkyPilot's own
ROW = "{t},{g},{n}.0,{c}.0,{m}.0,{p},\"{r}\",\"{{'Gpus': [{{'Name': '{g}', 'Count': {n}.0, 'MemoryInfo': {{'SizeInMiB': {s}}}}}], 'TotalGpuMemoryInMiB': {s}}}\",{p},1\n"
PRICES = "InstanceType,AcceleratorName,AcceleratorCount,vCPUs,MemoryGiB,Price,Region,GpuInfo,SpotPrice,HostingType\n" + "".join(
    ROW.format(t=t, g=g, n=n, c=32, m=64, p=p, r=r, s=s) for t, g, n, p, r, s in (("1x-H200-32-65536", "H200", 1, 3.1, "Sweden, SE, EU", 143771),
                                                                                 ("1x-RTX4090-32-65536", "RTX4090", 1, 0.31, "Norway, NO, EU", 24564)))
NAMES = "AcceleratorName,Clouds\nH200,\"['Vast']\"\nRTX4090,\"['Vast']\"\n"
MEMORY = "GPU,MemoryGB,Manufacturer\nH200,141,NVIDIA\nRTX4090,24,NVIDIA\n"
WRAPPER = """#!/bin/sh
# The real one, which launches nothing here.
case "$1" in
launch) shift; {sky} launch --dryrun "$@" >>{log} 2>&1; cp "$8" {log}.task 2>/dev/null; echo "Failed to acquire resources: this is a dry run" >&2; exit 1 ;;
*) exec {sky} "$@" ;;
esac
"""


def package():
    """The real `sky`, installed when it is not there; a Skip when it cannot be."""
    sky, done = CACHE / "bin/sky", CACHE / "complete"
    if not done.exists():
        for words in (["python3", "-m", "venv", str(CACHE)], [str(CACHE / "bin/pip"), "install", "--quiet", "--disable-pip-version-check", *PACKAGES]):
            if subprocess.run(words, capture_output=True).returncode:
                raise Skip(f"{' '.join(PACKAGES)} cannot be installed")
        site = next((CACHE / "lib").glob("python3.*/site-packages"))
        (site / "vastai_sdk.py").write_text("class VastAI:\n    pass\n")  # that it can be imported is all that is wanted of it
        done.touch()
    return sky


class Sky(Renting):
    def __init__(self, sky):
        super().__init__("skypilot")
        self.sky, self.launches, self.programs = sky, self.folder / "launches", self.folder / "programs"
        (self.folder / ".config/vastai").mkdir(parents=True)
        (self.folder / ".config/vastai/vast_api_key").write_text("none\n")
        catalogs = self.folder / ".sky/catalogs/v8"
        for name, text in (("vast/vms", PRICES), ("common/accelerators", NAMES), ("common/metadata", MEMORY)):
            file = catalogs / f"{name}.csv"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        self.programs.mkdir()
        (self.programs / "sky").write_text(WRAPPER.format(sky=sky, log=self.launches))
        (self.programs / "sky").chmod(0o755)

    def environment(self):
        return {**super().environment(), "PATH": f"{self.programs}:{os.environ['PATH']}", "SKYPILOT_DISABLE_USAGE_COLLECTION": "1"}

    def add_account(self):
        """Later: by the test."""

    def __exit__(self, *args):
        super().__exit__(*args)
        for pid in processes(str(CACHE)):  # the server that SkyPilot started
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def dry_run():
    sky = package()
    if not is_free(46580):
        raise Skip("a server of SkyPilot runs here already, at the port that each takes")
    with Sky(sky) as s:
        for _ in range(3):  # on a busy machine its server may not be there in the time that it is given
            first = subprocess.run([str(sky), "status", "-o", "json"], env=s.environment(), capture_output=True, text=True, timeout=PATIENCE)
            if first.returncode == 0:
                break
        assert first.returncode == 0 and first.stdout.strip().endswith("[]"), first
        done = s.cli("provider", "add", "cloud", "--kind", "skypilot", "--set", "infra=vast", "--set", "accelerators=H200:1,RTX4090:1", timeout=PATIENCE)
        assert done.returncode == 0 and "2 offers" in done.stdout, done
        said = s.json("POST", "/api/v1/plans", {"model": "glm-5.3"})
        told = next(p for p in said["providers"] if p["name"] == "cloud")
        assert told["offers"] == 2 and not told["error"], told
        name = s.order()
        s.wait(lambda: s.launches.exists() and ("CHOSEN" in s.launches.read_text() or "rror" in s.launches.read_text()), "the launch was not tried", PATIENCE)
        s.wait(lambda: Path(f"{s.launches}.task").exists(), "the launch did not end", PATIENCE)
        text = s.launches.read_text()
        assert "CHOSEN" in text and "1x-RTX4090-32-65536" in text and "H200" not in text, text
        task = json.loads(Path(f"{s.launches}.task").read_text())
        assert task["resources"]["region"] == "Norway, NO, EU" and "node join" in task["run"] and "FREEHOLD_JOIN_TOKEN" in task["secrets"], task
        assert "FREEHOLD_JOIN_TOKEN=" not in text and task["secrets"]["FREEHOLD_JOIN_TOKEN"] not in text, "the token was printed"
        s.json("DELETE", f"/api/v1/deployments/{name}")
        s.wait(lambda: all(a["phase"] == "over" for r in s.rentals() for a in r["acts"]) or None, "the try is not over", PATIENCE)
        assert any("dry run" in a["reason"] for r in s.rentals() for a in r["acts"]), s.rentals()
        assert not list((s.data / "skypilot").glob("*.yaml")), "a task was left"


def main():
    need_starter()
    tap = Tap()
    tap.check("SkyPilot's real package offers, and takes a launch in dry run", dry_run)
    tap.end()


main()
