"""Engines of others on this machine, for tests: where they are, and how a server is told so. Nothing is fetched: tests/tools/peers gets them.

others.py FOLDER         prints the words behind --engine for llama-server (what has to be made for it comes into FOLDER), or exits 3 and says why not
others.py FOLDER vllm    for vLLM, and in a second line the folder of safetensors that it can run"""
import re
import shutil
import subprocess
import sys
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "tests/support"))
from freehold import STARTER  # noqa: E402


def peer(name):
    """What `peers find` says, or (None, why not)."""
    found = subprocess.run([TOP / "tests/tools/peers", "find", name], capture_output=True, text=True)
    if found.returncode:
        return None, found.stderr.strip()
    return dict(line.split("=", 1) for line in found.stdout.splitlines()), None


def llama_server(folder):
    """The words behind --engine, or (None, why not). A build of another distribution comes with a script around it that starts programs, which a sandbox does not allow:
    the last line of it alone will do."""
    there, why = peer("llama.cpp")
    program = Path(there["bin"]) / "llama-server" if there else None
    if not program or not program.is_file():
        return None, why or "llama-server is not built"
    if program.read_bytes()[:2] != b"#!":
        return f"llama-server={program}", None
    line = next(x for x in program.read_text().splitlines() if "exec" in x)
    own = folder / "llama-server"
    own.write_text("#!/bin/sh\n" + line.replace('"${args[@]}"', '"$@"') + "\n")
    own.chmod(0o755)
    whole = re.search(r'(/[^ "]*/debian-[^/]*)/', line).group(1)
    return f"llama-server={own}:{whole}", None


def vllm(folder):
    """The words behind --engine, and the starter model as safetensors: made once beside the peer, by its own interpreter. Or (None, why not)."""
    there, why = peer("vllm")
    if not there:
        return None, why
    made = Path(there["python"]).parents[1] / "smollm2-safetensors"
    if not (made / "config.json").is_file():
        subprocess.run([there["python"], TOP / "tests/tools/gguf-to-safetensors", STARTER, folder / "making"], check=True, capture_output=True, timeout=600)
        shutil.move(folder / "making", made)
    return f"vllm={Path(there['python']).parent / 'vllm'}", made


if __name__ == "__main__":
    words, more = vllm(Path(sys.argv[1])) if sys.argv[2:] == ["vllm"] else llama_server(Path(sys.argv[1]))
    print(words or more)
    if words and more:
        print(more)
    sys.exit(0 if words else 3)
