#!/usr/bin/env python3
"""schemathesis on the control plane as GET /api/openapi.json describes it, and on OpenAI's specification cut to the paths that we serve: no 5xx, no status that is not documented,
no reply of another shape or type than described, nothing for a request without a key, 405 for other methods. Seeded and bounded; --deep also tries every boundary of OpenAI's many
fields, which takes minutes. Run with the interpreter of tests/tools/python-env. Prints TAP."""
import json
import subprocess
import sys
import xml.etree.ElementTree as tree
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from freehold import Server, Tap, need_starter

try:
    import openai_cut
    import schemathesis  # noqa: F401, run as a program
except ImportError:
    Tap.skip_all("schemathesis is not installed: run with the interpreter of tests/tools/python-env")

# What a client may be refused with (docs/ERRORS.md); left out are those of a broken server or upstream. 503 comes with the server's limits, and is a failure here.
REFUSALS = ["400", "401", "403", "404", "409", "413", "415", "429"]
# It tries ids that it has seen: it would revoke the key that it asks with. A hosted endpoint that does not answer when it is named is a 502 by intent.
SETTINGS = """headers = {{ Authorization = "Bearer {key}" }}
[checks]
enabled = false
not_a_server_error = {{ enabled = true }}
status_code_conformance = {{ enabled = true }}
content_type_conformance = {{ enabled = true }}
response_schema_conformance = {{ enabled = true }}
ignored_auth = {{ enabled = true }}
unsupported_method = {{ enabled = true }}
[[operations]]
include-path-regex = "^/api/v1/keys/"
parameters = {{ id = "00000000" }}
[[operations]]
include-path-regex = "^/api/v1/providers"
checks = {{ not_a_server_error = {{ enabled = false }} }}
"""


def control_plane(server):
    """As it is described, but that `default` stands for those refusals and no others. A stream of events has no end to wait for."""
    doc = server.json("GET", "/api/openapi.json")
    for methods in doc["paths"].values():
        for operation in methods.values():
            refused = operation["responses"].pop("default")
            operation["responses"].update({status: refused for status in REFUSALS if status not in operation["responses"]})
    for path in ("/api/v1/providers", "/api/v1/providers/{name}/check"):
        doc["paths"][path]["post"]["responses"]["502"] = refused
    del doc["paths"]["/api/v1/events"]
    return doc


def run(tap, server, name, doc, url, phases, examples):
    """Each operation is a check."""
    folder = server.folder / name
    folder.mkdir()
    (folder / "openapi.json").write_text(json.dumps(doc))
    (folder / "schemathesis.toml").write_text(SETTINGS.format(key=server.key))
    command = [Path(sys.executable).with_name("schemathesis"), "--config-file", "schemathesis.toml", "run", "openapi.json", "--url", url, "--phases", phases,
               "--max-examples", str(examples), "--seed", "7", "--no-shrink", "--request-timeout", "60", "--suppress-health-check", "all", "--continue-on-failure", "--no-color",
               "--report", "junit", "--report-junit-path", "report.xml"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    cases = list(tree.parse(folder / "report.xml").getroot().iter("testcase")) if (folder / "report.xml").is_file() else []

    def passes(case):
        assert not [e for e in case if e.tag in ("failure", "error")], "see below"

    def whole():
        assert done.returncode in (0, 1) and cases, done.stdout[-2000:] + done.stderr[-2000:]
        assert server.request("GET", "/v1/models")[0] == 200, "the key is gone"
        return next((line.strip() for line in done.stdout.splitlines() if "generated" in line and "case" not in line), "")
    for case in cases:
        tap.check(f"{name}: {case.get('name')}", passes, case)
    tap.check(f"{name}: ran whole", whole)
    if done.returncode and "FAILURES" in done.stdout:
        for line in done.stdout[done.stdout.index("FAILURES"):].splitlines()[:300]:
            print("#", "".join(c if c.isprintable() else "?" for c in line))


def main():
    need_starter()
    deep = "--deep" in sys.argv
    tap = Tap()
    with Server() as server:
        run(tap, server, "control plane", control_plane(server), server.url, "examples,coverage,fuzzing", 200 if deep else 10)
        server.deploy()
        run(tap, server, "OpenAI", openai_cut.cut("smollm2-135m", REFUSALS), server.url + "/v1", "examples,coverage,fuzzing" if deep else "examples,fuzzing", 200 if deep else 20)
    tap.end()


main()
