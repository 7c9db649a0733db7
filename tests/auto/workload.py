"""A mixed workload whose answers can be checked, and upstreams of known quality that answer it.

Four kinds of tasks: sums and products of one to four digits, JSON by a schema, tool calls, short facts. Each synthetic upstream is a model of a size: whether it answers
a task right is drawn once from (model, task), by a table of how able such a model is, so that it is known beforehand what any choice of models would have reached. A wrong
answer to a task with a form is out of form two times in three, and otherwise well-formed and wrong, which nobody but whoever asked can see."""
import hashlib
import http.server
import json
import random
import threading

# name: billions of parameters, $ a million tokens in and out, microjoules a token; able: share right by kind and difficulty 0..3.
# Joules: 0.165 and 1.25 a token are Llama-3.1-8B and Llama-3.3-70B on H100s at 32 streams (ML.ENERGY v3, 2026); the small one is scaled from them.
MODELS = {
    "tiny-1b": {"params": 1e9, "in": 0.05, "out": 0.10, "uj": 20_000,
                "able": {"sum": [.95, .6, .2, .03], "form": [.8, .6, .35, .2], "tool": [.7, .5, .4, .3], "fact": [.7, .45, .25, .1]}},
    "medium-8b": {"params": 8e9, "in": 0.15, "out": 0.40, "uj": 165_000,
                  "able": {"sum": [1, .97, .8, .45], "form": [.97, .95, .9, .8], "tool": [.95, .92, .9, .85], "fact": [.95, .85, .7, .5]}},
    "large-70b": {"params": 70e9, "in": 0.80, "out": 3.00, "uj": 1_250_000,
                  "able": {"sum": [1, 1, .97, .9], "form": [.99, .99, .98, .96], "tool": [.99, .98, .98, .97], "fact": [.99, .97, .94, .9]}},
}
FACTS = [("the capital of France", "Paris"), ("the capital of Japan", "Tokyo"), ("the chemical symbol of gold", "Au"), ("the number of legs of a spider", "8"),
         ("the largest planet of the sun", "Jupiter"), ("the author of Moby-Dick", "Melville"), ("the year in which the Second World War ended", "1945"),
         ("the freezing point of water in degrees Celsius", "0"), ("the capital of Burkina Faso", "Ouagadougou"), ("the atomic number of rhenium", "75"),
         ("the longest river of Siberia", "Yenisei"), ("the inventor of the barometer", "Torricelli")]
SCHEMAS = [{"name": "string"}, {"name": "string", "age": "integer"}, {"name": "string", "age": "integer", "tags": ["string"]},
           {"name": "string", "address": {"street": "string", "number": "integer"}, "tags": ["string"]}]


def schema_of(shape):
    if isinstance(shape, str):
        return {"type": shape}
    if isinstance(shape, list):
        return {"type": "array", "items": schema_of(shape[0])}
    return {"type": "object", "properties": {k: schema_of(v) for k, v in shape.items()}, "required": list(shape), "additionalProperties": False}


def fill(shape, rng):
    if shape == "string":
        return rng.choice(["Ada", "Blaise", "Carl", "Diophantus", "Emmy"])
    if shape == "integer":
        return rng.randrange(1, 99)
    return [fill(shape[0], rng)] if isinstance(shape, list) else {k: fill(v, rng) for k, v in shape.items()}


class Task:
    def __init__(self, number, seed):
        rng = random.Random(f"{seed}/{number}")
        self.number, self.kind, self.level = number, rng.choice(["sum", "form", "tool", "fact"]), rng.randrange(4)
        self.body = {"max_tokens": 24, "temperature": 0}
        getattr(self, "make_" + self.kind)(rng)
        self.body["messages"] = [{"role": "user", "content": self.text}]

    def make_sum(self, rng):
        a, b = (rng.randrange(10 ** self.level, 10 ** (self.level + 1)) for _ in range(2))
        self.answer = str(a * b if self.level > 1 else a + b)
        self.text = f"What is {a} {'*' if self.level > 1 else '+'} {b}? Say the number alone. (question {self.number})"

    def make_fact(self, rng):
        what, self.answer = FACTS[3 * self.level + rng.randrange(3)]
        self.text = f"What is {what}? Answer in one word. (question {self.number})"

    def make_form(self, rng):
        self.answer = fill(SCHEMAS[self.level], rng)
        self.text = f"Write as JSON: {'; '.join(f'{k} is {v}' for k, v in self.answer.items())}. (question {self.number})"
        self.body["response_format"] = {"type": "json_schema", "json_schema": {"name": "record", "strict": True, "schema": schema_of(SCHEMAS[self.level])}}

    def make_tool(self, rng):
        names = rng.sample(["set_light", "play_song", "send_note", "open_door", "set_alarm"], self.level + 1)
        self.answer = {"place": rng.choice(["kitchen", "hall", "garden"]), "level": rng.randrange(1, 10)}
        self.tool = names[0]
        self.text = f"Use {self.tool} with place {self.answer['place']} and level {self.answer['level']}. (question {self.number})"
        parameters = schema_of({"place": "string", "level": "integer"})
        self.body["tools"] = [{"type": "function", "function": {"name": n, "parameters": parameters}} for n in names]
        self.body["tool_choice"] = "required"

    def right(self, reply):
        """Does the reply (a chat completion) answer it?"""
        message = reply["choices"][0]["message"]
        try:
            if self.kind == "tool":
                call = message["tool_calls"][0]["function"]
                return call["name"] == self.tool and json.loads(call["arguments"]) == self.answer
            if self.kind == "form":
                return json.loads(message["content"]) == self.answer
            said = message["content"].replace(",", "")
            return self.answer.lower() in (word.strip(".:;!?*'\"").lower() for word in said.split())
        except (KeyError, TypeError, ValueError, IndexError):
            return False


def chance(*what):
    return int.from_bytes(hashlib.sha256("/".join(map(str, what)).encode()).digest()[:4], "big") / 2**32


def is_right(model, task):
    return chance(model, "right", task.text) < MODELS[model]["able"][task.kind][task.level]


def formed(model, task):
    """Of a wrong answer: has it the form that was asked for all the same?"""
    return chance(model, "formed", task.text) < 1 / 3


def message_of(model, task):
    good, shaped = is_right(model, task), formed(model, task)
    if task.kind == "tool":
        arguments = json.dumps(task.answer if good else {"place": "attic", "level": 0}) if good or shaped else '{"place": "att'
        return {"role": "assistant", "content": None, "tool_calls": [{"id": "call_1", "type": "function", "function": {"name": task.tool, "arguments": arguments}}]}
    if task.kind == "form":
        wrong = json.dumps({k: (0 if isinstance(v, int) else "?" if isinstance(v, str) else v) for k, v in task.answer.items()})
        return {"role": "assistant", "content": json.dumps(task.answer) if good else wrong if shaped else "Here you are: " + wrong}
    return {"role": "assistant", "content": task.answer if good else "I think it is 42 or so."}


class Upstreams:
    """One HTTP server that serves all synthetic models. served: tokens by model, in and out, as long as it runs."""

    def __init__(self, tasks):
        self.tasks = {t.text: t for t in tasks}
        self.served = {m: [0, 0] for m in MODELS}
        self.lock = threading.Lock()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def log_message(self, *_):
                pass

            def send(self, document):
                body = json.dumps(document).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_GET(self):
                self.send({"object": "list", "data": [{"id": m, "object": "model"} for m in MODELS]})

            def do_POST(self):
                self.send(outer.answer(json.loads(self.rfile.read(int(self.headers["Content-Length"])))))

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def answer(self, request):
        model, task = request["model"], self.tasks[request["messages"][-1]["content"]]
        message = message_of(model, task)
        usage = tokens_of(task, message)
        with self.lock:
            self.served[model][0] += usage[0]
            self.served[model][1] += usage[1]
        return {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": model,
                "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls" if "tool_calls" in message else "stop"}],
                "usage": {"prompt_tokens": usage[0], "completion_tokens": usage[1], "total_tokens": sum(usage)}}

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def tokens_of(task, message):
    said = message["content"] or message["tool_calls"][0]["function"]["arguments"]
    return len(json.dumps(task.body)) // 4, len(said) // 4 + 1


def group_of(models):
    """Members for POST /api/v1/groups, with their figures."""
    return [{"name": f"provider/lab/{m}", "input_nusd_per_million": round(MODELS[m]["in"] * 1e9), "output_nusd_per_million": round(MODELS[m]["out"] * 1e9),
             "uj_per_token": MODELS[m]["uj"], "active_parameters": int(MODELS[m]["params"])} for m in models]
