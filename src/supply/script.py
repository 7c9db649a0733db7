#!/usr/bin/env python3
"""A shell script as a C string: script.py SCRIPT NAME OUT. Its comments stay behind."""
import sys
from pathlib import Path

script, name, out = sys.argv[1:]
lines = [line for line in Path(script).read_text().splitlines() if not line.lstrip().startswith("#")]
text = "\n".join(f'    "{line.replace(chr(92), chr(92) * 2).replace(chr(34), chr(92) + chr(34))}\\n"' for line in lines)
Path(out).write_text(f'extern const char {name}[];\nconst char {name}[] =\n{text};\n')
