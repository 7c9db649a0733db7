#!/usr/bin/env python3
"""Tool calls there and back: every chat template that llama.cpp ships writes an assistant's turn with thought, text and calls; our parser reads that turn, cut at
every byte and at random, and must give back the same thought, text and calls, with arguments of the same types.

usage: toolfmt.py TOOLFMT   (built from toolfmt.c). Rendering is `transformers`' own. TAP on standard output."""
import copy
import json
import subprocess
import sys

import compare

STRING, INTEGER, NUMBER, BOOL, LIST, OBJECT = ({"type": t, "description": "d"} for t in ("string", "integer", "number", "boolean", "array", "object"))
TOOLS = [
    {"type": "function", "function": {"name": "get_weather", "description": "Weather in a city", "parameters": {
        "type": "object", "properties": {"city": STRING, "days": INTEGER, "metric": BOOL, "share": NUMBER}, "required": ["city"]}}},
    {"type": "function", "function": {"name": "write_file", "description": "Writes a file", "parameters": {
        "type": "object", "properties": {"path": STRING, "text": STRING, "tags": {**LIST, "items": {"type": "string"}},
                                         "options": {**OBJECT, "additionalProperties": False, "properties": {"mode": {"type": "string"}, "depth": {"type": "integer"}}}}, "required": ["path"]}}},
    {"type": "function", "function": {"name": "now", "description": "The time", "parameters": {"type": "object", "properties": {}, "required": []}}},
]
CASES = {
    "one": [("get_weather", {"city": "Paris", "days": 3})],
    "quotes": [("get_weather", {"city": 'São "Paulo" \\ {x} é', "days": -2, "metric": True, "share": 0.5})],
    "number-like string": [("get_weather", {"city": "12", "days": 7})],
    "two": [("get_weather", {"city": "Rome", "days": 1}), ("write_file", {"path": "q", "text": ""})],
    "text": [("write_file", {"path": "/a b.c", "text": "int main(void)\n{\n    return a < b && c > d;\n}\n// <b>x</b>"})],
    "nested": [("write_file", {"path": "p", "tags": ["a", "b c"], "options": {"mode": "w", "depth": 2}})],
    "no arguments": [("now", {})],
}
ENDS = ["<|im_end|>", "<|eot_id|>", "<|eom_id|>", "</s>", "<｜end▁of▁sentence｜>", "<|end_of_text|>", "<seed:eos>", "<end_of_turn>", "<turn|>", "<SPECIAL_12>", "[e~[",
        "<|end|>", "<sep>", "<|role_end|>", "</assistant>", "<|END_OF_TURN_TOKEN|>", "<end_of_sentence>", "<｜hy_eos:opensource｜>", "<|start_header_id|>assistant<|end_header_id|>",
        "<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>", "<｜Assistant｜>"]

# What a template changes of the turn it is given, so that the rest is expected back.
CHANGES = {
    "NVIDIA-Nemotron-Nano-v2": "text of the last turn is taken for the beginning of the answer that is asked for",
    "openai-gpt-oss-120b": "text beside a call becomes a thought; one call a turn",
    "deepseek-ai-DeepSeek-R1-Distill-Qwen-32B": "text is put behind the calls, into a turn of its own",
}
# Words that the prompt of an answer ends with, but that the template leaves out when it shows the answer later.
OPENED = {"Apriel-1.6-15b-Thinker-fixed": "Here are my reasoning steps:\n"}



def message(calls, content, reasoning, as_text):
    m = {"role": "assistant", "content": content, "tool_calls": []}
    for i, (name, args) in enumerate(calls):
        m["tool_calls"].append({"id": f"call0000{i}", "type": "function", "function": {"name": name, "arguments": json.dumps(args, ensure_ascii=False) if as_text else args}})
    if reasoning:
        m["reasoning_content"] = m["reasoning"] = m["thinking"] = reasoning
    return m


def render(template, messages, prompt):
    return compare.theirs(template, {"messages": messages, "tools": TOOLS, "functions": json.dumps(TOOLS), "datetime": "today", "bos_token": "<s>", "eos_token": "</s>",
                                     "add_generation_prompt": prompt, "enable_thinking": True}).get("text")


def split_turn(prompt, turn):
    """Where the model's text begins in the turn: behind what the prompt and the turn share, but not inside a tag."""
    n = 0
    while n < min(len(prompt), len(turn)) and prompt[n] == turn[n]:
        n += 1
    if n < len(prompt):
        tag = max(turn.rfind("<", 0, n), turn.rfind("[", 0, n))
        if tag >= 0 and not any(c in turn[tag:n] for c in ">]\n"):
            n = tag
    return turn[:n], turn[n:]


def strip_end(text):
    """Without what the engine stops at, and without what the template puts behind (Command R+) or before."""
    text = text.split("<|START_OF_TURN_TOKEN|><|SYSTEM_TOKEN|>")[0].removeprefix("<|CHATBOT_TOKEN|>")
    changed = True
    while changed:
        changed = False
        for end in ENDS:
            if text.rstrip().endswith(end):
                text, changed = text.rstrip()[:-len(end)], True
    return text


class Ours(compare.Ours):
    def ask(self, request):
        self.process.stdin.write(json.dumps(request).encode() + b"\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())


def shown(template, case, as_text):
    """The conversation up to the answer, and the answer's turn, as the template writes them; None where it cannot."""
    calls, content, reasoning = case
    user = [{"role": "user", "content": "hi"}]
    prompt = render(template, user, True)
    turn = render(template, user + [message(calls, content, reasoning, as_text)], False)
    if prompt is None or turn is None or any(name not in turn.replace(prompt, "") for name, _ in calls):
        return None
    return split_turn(prompt, turn)


def complaint(got, case, template_shows):
    calls, content, reasoning = case
    found = [(c["name"], json.loads(c["arguments"])) for c in got["calls"]]
    if found != [(n, a) for n, a in calls]:
        return f"calls {found}"
    if not all(c["complete"] for c in got["calls"]):
        return "a call is not complete"
    if got["content"].strip() != (content if content in template_shows else ""):
        return f"content {got['content']!r}"
    if reasoning and reasoning in template_shows and got["reasoning"].strip() != reasoning:
        return f"reasoning {got['reasoning']!r}"
    return None


def check(ours, name, template, case):
    """What is wrong, or None; False when the template does not write the call."""
    for as_text in (False, True):
        pair = shown(template, case, as_text)
        if not pair:
            continue
        prompt, reply = pair[0], strip_end(pair[1])
        if case[2] and name in OPENED:
            prompt += OPENED[name]
        got = ours.ask({"prompt": prompt, "reply": reply, "tools": TOOLS})
        if "cut differently" in got:
            return f"whole and cut differ: {got}"
        wrong = complaint(got, case, reply)
        return f"{wrong} from {reply!r}" if wrong else None
    return False


def main():
    ours = Ours(sys.argv[1])
    number = wrong = 0
    for name, source in compare.templates():
        if source is None:
            continue
        number += 1
        what = ours.ask({"template": source})
        done, missing, bad = 0, [], []
        for title, calls in CASES.items():
            for content, reasoning in (("", ""), ("", "I think."), ("Let me see.", ""), ("Let me see.", "I think.")):
                if content and name in CHANGES:
                    continue
                result = check(ours, name, source, (calls, content, reasoning))
                done += result is None
                if result is False:
                    missing.append(title)
                elif result:
                    bad.append(f"{title}, content {content!r}, reasoning {reasoning!r}: {result}")
        note = f"{what.get('family')}: {done} turns back" + (f"; not written by the template: {', '.join(dict.fromkeys(missing))}" if missing else "")
        print(f"{'not ok' if bad else 'ok'} {number} - {name}: {note}")
        for line in bad[:4]:
            print("# " + line)
        wrong += bool(bad)
    print(f"1..{number}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
