"""An engine of several ranks, for tests that need no model: a program by vLLM's name and command line, installed as an owner installs one, in a virtual environment of its
own. Each rank is a real process; they meet at --master-addr, and every answer says which ranks had a part in it. It notices nothing of a rank that is gone: that the others
end with it is not its doing.

    program = ranked.install(folder)       # the folder for PATH
    ranked.weights(folder)                 # a folder of safetensors that freehold imports, of a model as large as it says
"""
import json
import struct
import subprocess
import sys
from pathlib import Path

PROGRAM = '''
import json, os, socket, sys, threading, time
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingUnixStreamServer

words = sys.argv[1:]
after = lambda name, otherwise=None: words[words.index(name) + 1] if name in words else otherwise
rank, ranks = int(after("--node-rank", "0")), int(after("--nnodes", "1"))
meet = (after("--master-addr"), int(after("--master-port", "0")))
assert words[0] == "serve" and ranks == int(after("--pipeline-parallel-size", "1")) and ("--headless" in words) == (rank > 0), words
assert os.listdir(words[1]), "no weights"
print(f"rank={rank} ranks={ranks} kv={os.environ['VLLM_CPU_KVCACHE_SPACE']}", flush=True)


def follow():
    """Answers each question with its rank."""
    while True:
        try:
            to = socket.create_connection(meet, 5)
            break
        except OSError:
            time.sleep(0.2)
    to.settimeout(None)
    to.sendall(f"{rank}\\n".encode())
    for _ in to.makefile():
        to.sendall(f"{rank}\\n".encode())
    time.sleep(600)


class Head:
    def __init__(self):
        self.others, self.lock = {}, threading.Lock()
        if ranks > 1:
            door = socket.create_server(meet)
            while len(self.others) < ranks - 1:
                one, _ = door.accept()
                lines = one.makefile()
                self.others[int(lines.readline())] = (one, lines)

    def ask(self):
        with self.lock:
            for one, _ in self.others.values():
                one.sendall(b"?\\n")
            return [0, *sorted(int(lines.readline()) for _, lines in self.others.values())]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    address_string = lambda self: "unix"
    log_message = lambda self, *_: None

    def reply(self, body, kind="application/json"):
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        self.reply(b"", "text/plain")

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        text = "ranks " + " ".join(map(str, head.ask()))
        usage = {"prompt_tokens": 3, "completion_tokens": 3, "total_tokens": 6}
        base = {"id": "1", "created": 1, "model": asked.get("model", "")}
        if not asked.get("stream"):
            self.reply(json.dumps({**base, "object": "chat.completion", "usage": usage,
                                   "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}]}).encode())
            return
        piece = {**base, "object": "chat.completion.chunk"}
        events = [{**piece, "choices": [{"index": 0, "delta": {"role": "assistant", "content": text}, "finish_reason": None}]},
                  {**piece, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}, {**piece, "choices": [], "usage": usage}]
        self.reply(b"".join(b"data: " + json.dumps(e).encode() + b"\\n\\n" for e in events) + b"data: [DONE]\\n\\n", "text/event-stream")


if rank:
    follow()
head = Head()
print("all ranks are there", flush=True)
server = ThreadingUnixStreamServer(after("--uds"), Handler)
server.serve_forever()
'''


def install(folder):
    home = Path(folder) / "ranked"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", home], check=True, capture_output=True)
    site = next((home / "lib").glob("python3*")) / "site-packages"
    about = site / "vllm-0.32.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: vllm\nVersion: 0.32.0\n")
    program = home / "bin/vllm"
    program.write_text(f"#!{home}/bin/python\n{PROGRAM}")
    program.chmod(0o755)
    return program.parent


def weights(folder, layers=30):
    """One small tensor; its config tells of a model whose cache has that many layers."""
    made = Path(folder) / "ranked-weights"
    made.mkdir()
    header = json.dumps({"w": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}).encode()
    (made / "model.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + bytes(8))
    (made / "config.json").write_text(json.dumps({"model_type": "llama", "architectures": ["LlamaForCausalLM"], "num_hidden_layers": layers, "num_attention_heads": 8, "num_key_value_heads": 8,
                                                  "head_dim": 128, "hidden_size": 1024, "max_position_embeddings": 8192, "torch_dtype": "bfloat16"}))
    (made / "tokenizer.json").write_text(json.dumps({"version": "1.0", "model": {"type": "BPE", "vocab": {"a": 0}, "merges": []}}))
    return made
