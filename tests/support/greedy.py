"""Whether a text is the greedy answer, but for a difference at a token whose two best candidates are nearly tied there: what else is in a batch, and on which machine it
is computed, changes the last bits of sums."""
NEARLY_TIED = 0.5  # nats


def greedy(server, body):
    """[(bytes of the text up to and with a token, how much likelier it was than the next best)] and the text."""
    choice = server.json("POST", "/v1/chat/completions", {**body, "temperature": 0, "logprobs": True, "top_logprobs": 2}, timeout=120)["choices"][0]
    ends, at = [], 0
    for token in choice["logprobs"]["content"]:
        at += len(bytes(token["bytes"]))
        best = sorted((t["logprob"] for t in token["top_logprobs"]), reverse=True)
        ends.append((at, best[0] - best[1] if len(best) > 1 else 99.0))
    return ends, choice["message"]["content"]


def judge(name, text, known):
    """"same", "tie" or what is wrong with a text for which greedy() said `known`. Prints each difference."""
    ends, want = known
    if text == want:
        return "same"
    a, b = text.encode(), want.encode()
    at = next((i for i in range(min(len(a), len(b))) if a[i] != b[i]), None)
    if at is None:
        return f"{name!r} is cut, or goes on where it ended: {len(a)} bytes for {len(b)}: {a[-30:]!r} for {b[-30:]!r}"
    gap = next(gap for end, gap in ends if end > at)
    print(f"# {name!r} differs from its greedy answer at byte {at} of {len(b)}, where the best two are {gap:.3f} nats apart: {a[max(0, at - 20):at + 20]!r}")
    return "tie" if gap < NEARLY_TIED else f"{name!r} differs where there is no tie ({gap:.2f} nats): {a[max(0, at - 30):at + 30]!r} for {b[max(0, at - 30):at + 30]!r}"


def check(name, text, known):
    said = judge(name, text, known)
    assert said in ("same", "tie"), said
