#!/usr/bin/env python3
"""auto and groups, from end to end: upstreams of known quality behind a server. Prints TAP."""
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from freehold import PROGRAM, STARTER, Server, Tap
from workload import MODELS, Task, Upstreams, formed, group_of, is_right

CHAT = "/v1/chat/completions"


def ask(s, task, model="three", **headers):
    status, head, body = s.request("POST", CHAT, {"model": model, **task.body}, headers={k.replace("_", "-"): v for k, v in headers.items()})
    assert status == 200, (status, body)
    return head, json.loads(body)


def main():
    if not PROGRAM.is_file():
        Tap.skip_all(f"{PROGRAM} is not built: run make")
    tap, tasks = Tap(), [Task(i, "test") for i in range(400)]
    upstreams, s = Upstreams(tasks), Server(start=False)
    try:
        s.start()
        assert s.cli("provider", "add", "lab", "--url", upstreams.url).returncode == 0
        check_all(tap, s, tasks, upstreams)
    finally:
        s.__exit__()
        upstreams.close()
    tap.end()


def check_all(tap, s, tasks, upstreams):
    made = s.json("POST", "/api/v1/groups", {"name": "three", "models": group_of(MODELS)})
    by_kind = {k: [t for t in tasks if t.kind == k] for k in ("sum", "form", "tool", "fact")}
    escalated = next(t for t in by_kind["tool"] if not is_right("tiny-1b", t) and is_right("large-70b", t) and not formed("tiny-1b", t))

    def listed():
        assert [m["name"] for m in made["models"]] == [f"provider/lab/{m}" for m in MODELS]
        assert [g["name"] for g in s.json("GET", "/api/v1/groups")["items"]] == ["three"]
        assert "three" in [m["id"] for m in s.json("GET", "/v1/models")["data"]]
        assert s.json("GET", "/v1/models/three")["id"] == "three"

    def said():
        head, _ = ask(s, by_kind["sum"][0])
        assert head["x-freehold-model"] in MODELS and head["x-freehold-place"] == "provider/lab", head
        others = {part.split()[0] for part in head["x-freehold-alternatives"].split(", ")}
        assert others == set(MODELS) - {head["x-freehold-model"]}, head
        assert "of 3 models" in head["x-freehold-reason"], head

    def checked():
        head, reply = ask(s, escalated, x_freehold_exclude="medium-8b")
        assert head["x-freehold-model"] == "large-70b" and escalated.right(reply), (head, reply)
        assert "asked instead of tiny-1b" in head["x-freehold-reason"], head
        assert s.metric("freehold_gateway_escalations_total") >= 1 and s.metric("freehold_gateway_unsent_tokens_total") > 10

    def wished():
        task = by_kind["fact"][0]
        assert ask(s, task, x_freehold_models="medium-8b")[0]["x-freehold-model"] == "medium-8b"
        assert ask(s, task, x_freehold_exclude="large-70b, provider/lab/medium-8b")[0]["x-freehold-model"] == "tiny-1b"
        for headers, status in (({"x-freehold-max-cost": "0.0000000001"}, 400), ({"x-freehold-max-cost": "0.000000001"}, 402), ({"x-freehold-models": "none"}, 503),
                                ({"x-freehold-licence": "free"}, 403)):
            got, _, body = s.request("POST", CHAT, {"model": "three", **task.body}, headers=headers)
            assert got == status and json.loads(body)["error"]["message"], (headers, got, body)

    def told():
        task = by_kind["fact"][1]
        for _ in range(12):
            head, _ = ask(s, task, x_freehold_models="tiny-1b")
            assert s.request("POST", "/api/v1/outcomes", {"request": head["x-request-id"], "good": True})[0] == 204
        assert s.request("POST", "/api/v1/outcomes", {"request": head["x-request-id"], "good": True})[0] == 404
        head, _ = ask(s, task)
        assert head["x-freehold-model"] == "tiny-1b", head

    def kept():
        s.stop()
        s.start()
        head, _ = ask(s, by_kind["fact"][1])
        assert head["x-freehold-model"] == "tiny-1b" and "good enough" in head["x-freehold-reason"], head
        text = (s.data / "freehold.db").read_bytes() + b"".join(p.read_bytes() for p in s.data.glob("freehold.db-*"))
        assert not any(t.text.encode() in text for t in tasks), "a prompt is in the database"

    def cheaper():
        before = {m: list(v) for m, v in upstreams.served.items()}
        work = by_kind["form"] + by_kind["tool"]
        right = sum(t.right(ask(s, t)[1]) for t in work)
        spent = sum((v[i] - before[m][i]) * MODELS[m][("in", "out")[i]] for m, v in upstreams.served.items() for i in (0, 1))
        largest = sum(t.right(ask(s, t, "large-70b")[1]) for t in work)
        most = sum(upstreams.served["large-70b"][i] * MODELS["large-70b"][("in", "out")[i]] for i in (0, 1))
        assert spent < 0.7 * most, (spent, most)
        assert right >= largest - 0.3 * len(work), (right, largest)
        return f"{right} of {len(work)} right for {spent / most:.2f} of what the largest costs, which has {largest}"

    def replaced():
        assert s.request("POST", "/api/v1/groups", {"name": "auto", "models": group_of(["tiny-1b"])})[0] == 201
        assert ask(s, by_kind["sum"][1], "auto")[0]["x-freehold-model"] == "tiny-1b"
        assert s.request("DELETE", "/api/v1/groups/auto")[0] == 204
        got, _, body = s.request("POST", CHAT, {"model": "auto", **by_kind["sum"][1].body})
        assert got == 503 and b"nothing runs" in body, body

    def refused():
        for body, param in (({"name": "Three", "models": group_of(["tiny-1b"])}, "name"), ({"name": "smollm2", "models": group_of(["tiny-1b"])}, "name"),
                            ({"name": "none", "models": []}, "models"), ({"name": "odd", "models": [{"name": "auto"}]}, "models[0]"),
                            ({"name": "odd", "models": ["x"]}, "models[0]"), ({"name": "odd", "models": [{"name": "x", "uj_per_token": -1}]}, "uj_per_token")):
            got, _, text = s.request("POST", "/api/v1/groups", body)
            assert got == 400 and json.loads(text)["param"] == param, (body, got, text)
        assert s.request("POST", "/api/v1/groups", {"name": "three", "models": group_of(["tiny-1b"])})[0] == 409
        assert s.request("DELETE", "/api/v1/groups/nothing")[0] == 404

    tap.check("a group is made, and listed with the models", listed)
    tap.check("what was chosen is said, and what else there was", said)
    tap.check("an answer that does not do is replaced by the best model's, and counted", checked)
    tap.check("what a request allows is a hard rule", wished)
    tap.check("a client that says that small answers do gets them", told)
    tap.check("what was learned is there after a restart, and no prompt is", kept)
    tap.check("forms and tool calls cost less than the largest model's", cheaper)
    tap.check("a group named auto takes the place of the built-in one", replaced)
    tap.check("what cannot be a group is refused by the name of what is wrong", refused)


if __name__ == "__main__":
    main()
