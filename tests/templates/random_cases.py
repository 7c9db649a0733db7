#!/usr/bin/env python3
"""Templates made at random from a grammar of the language, rendered by us and by `transformers`' jinja2: the same text, or an error from both. What Python
prints as an address in memory, or computes beyond 64 bits, ours must refuse.

usage: random_cases.py RENDER [COUNT [SEED]]   TAP on standard output."""
import random
import sys

from compare import Ours, show, theirs

VARIABLES = {
    "s": "Hello, World", "empty": "", "uni": "Größe ß ﬁ İstanbul ΟΔΟΣ 日本 🙂 é", "ws": " \t two  words\nand lines \r\n", "html": "<a href='x'>T&C \"q\"</a>",
    "num": "42", "fl": "3.75e2", "i": 7, "neg": -3, "zero": 0, "f": 2.5, "tiny": 1e-7, "big": 123456789012345678, "huge": 1e22, "t": True, "no": False, "nil": None,
    "words": ["b", "A", "c", "a", "B"], "nums": [3, 1, 2, 2, -1, 0], "mixed": [1, "two", 3.0, None, True, [1, 2], {"k": "v"}], "nest": [[1, 2], [3], []],
    "d": {"name": "Ann", "age": 30, "items": [1, 2], "tags": ["x", "y"], "nil": None, "inner": {"a": {"b": [10, 20]}}}, "e": {}, "one": {"k": 1},
    "people": [{"n": "Bob", "a": 5, "c": "X"}, {"n": "al", "a": 3, "c": "y"}, {"n": "Cy", "a": 5, "c": "x"}, {"n": "dee", "a": 1}],
    "text": "line one\nline two\n\nlast", "csv": "a,b,,c", "path": "x/y/z", "fmt": "%s-%d", "fmt2": "{}|{1}", "keys": {"b": 1, "a": 2, "C": 3, "10": 4},
    "messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "<think>\nhm\n</think>\n\nyo"}, {"role": "user", "content": ["p", "q"]}],
}
STRINGS = ["s", "empty", "uni", "ws", "html", "num", "fl", "text", "csv", "path"]
LISTS = ["words", "nums", "mixed", "nest", "people", "messages"]
LITERALS = ["1", "0", "-2", "3", "10", "2.5", "0.1", "1e3", "'a'", "'b,c'", "''", "\"q'q\"", "'\\n'", "'l'", "true", "false", "none", "[]", "{}", "[1, 2, 3]", "['x', 'y']",
            "(1, 2)", "()", "(1,)", "{'a': 1, 'b': 'c'}", "{'k': [1, {'z': none}]}", "1_000", "0x1f", "'ä'", "' '"]
NO_ARG_FILTERS = ["abs", "capitalize", "count", "d", "default", "dictsort", "e", "escape", "first", "float", "forceescape", "groupby", "int", "items", "join", "last", "length",
                  "list", "lower", "map", "max", "min", "reject", "replace", "reverse", "round", "safe", "select", "sort", "string", "sum", "title", "tojson", "trim", "unique",
                  "upper", "urlencode", "wordcount", "filesizeformat", "center", "indent", "truncate", "attr", "batch", "slice", "format"]
FILTERS = ["default({e})", "default({e}, true)", "d('x', boolean=true)", "join({s})", "join(', ', attribute='n')", "replace({s}, {s})", "replace('l', 'L', 1)", "trim({s})", "int({e})",
           "int(0, 16)", "float({e})", "round({n})", "round(1, 'ceil')", "round(0, 'floor')", "sort(reverse=true)", "sort(attribute='n')", "sort(case_sensitive=true)",
           "sort(attribute='a,n')", "dictsort(true)", "dictsort(false, 'value')", "dictsort(reverse=true)", "map('upper')", "map(attribute='n')", "map(attribute='c', default='?')",
           "map('default', 'z')", "map(attribute='inner.a')", "select('odd')", "select('string')", "reject('none')", "select('gt', 1)", "select('in', [1, 2, 'a'])",
           "selectattr('c')", "selectattr('a', 'gt', 2)", "selectattr('c', 'defined')", "rejectattr('c', 'undefined')", "rejectattr('a', 'eq', 5)", "groupby('a')",
           "groupby('c', default='-')", "unique(case_sensitive=true)", "unique(attribute='a')", "min(attribute='a')", "max(attribute='a')", "sum(attribute='a')", "sum(start=10)",
           "sum(start=[])", "batch(2)", "batch(2, 'f')", "slice(2)", "slice(3, 'f')", "tojson(indent=2)", "tojson(indent=4, sort_keys=true)", "tojson(ensure_ascii=true)",
           "tojson(separators=(',', ':'))", "indent(2)", "indent(width='> ', first=true)", "indent(2, true, true)", "truncate(9)", "truncate(9, true)", "truncate(5, false, '.', 0)",
           "center(20)", "format({e}, {e})", "format(a={e})", "attr({s})", "list|length", "list|first", "list|last", "list|tojson", "string|length", "filesizeformat(true)",
           "reverse|list", "map('int')|sum", "map('length')|list", "map('tojson')|join(';')", "items|list", "wordcount"]
TESTS = ["defined", "undefined", "none", "string", "number", "integer", "float", "boolean", "mapping", "sequence", "iterable", "true", "false", "odd", "even", "lower", "upper",
         "divisibleby 2", "divisibleby({n})", "eq {a}", "equalto({e})", "ne({e})", "gt({e})", "lt({e})", "ge 1", "le(3)", "in({e})", "sameas none", "sameas(true)", "escaped", "callable",
         "filter", "test"]
METHODS = ["upper()", "lower()", "title()", "capitalize()", "swapcase()", "strip()", "lstrip()", "rstrip()", "strip({s})", "lstrip('H<')", "rstrip({s})", "split()", "split({s})",
           "split(',', 1)", "split(none, 1)", "rsplit({s}, 1)", "rsplit(none, 1)", "rsplit()", "splitlines()", "splitlines(true)", "startswith({s})", "endswith({s})", "startswith(('H', 'l'))",
           "replace({s}, {s})", "replace('', '-')", "replace('l', 'L', 1)", "find({s})", "rfind({s})", "index({s})", "count({s})", "count('')", "join({e})", "join(words)", "format({e}, {e})",
           "format(x={e})", "center(15, '*')", "ljust(14)", "rjust(14, '.')", "zfill(8)", "isdigit()", "isalpha()", "isalnum()", "isspace()", "isupper()", "islower()", "istitle()",
           "isnumeric()", "isdecimal()", "isidentifier()", "isascii()", "isprintable()", "partition({s})", "rpartition('l')", "removeprefix('He')", "removesuffix({s})", "expandtabs(4)",
           "find('o', 5)", "startswith('lo', 3)", "items()", "keys()", "values()", "get({s})", "get('name', {e})", "get({e})", "copy()", "index({e})", "count({e})", "append(1)",
           "pop()", "update({})", "bit_length()", "is_integer()", "items()|list", "keys()|list", "values()|list|length", "split('\\n')[-1]", "split('</think>')[-1].lstrip('\\n')", "nothing()"]
ATTRS = ["name", "age", "items", "inner.a.b", "inner.a", "missing", "role", "n", "0", "real", "keys", "__class__", "_x", "nil"]
NAMES = list(VARIABLES) + ["missing", "x", "y", "item", "loop", "ns", "range"]


class Maker:
    def __init__(self, seed):
        self.r = random.Random(seed)
        self.depth = 0
        self.macros = 0
        self.in_loop = 0

    def pick(self, items):
        return self.r.choice(items)

    def fill(self, pattern):
        while "{e}" in pattern:
            pattern = pattern.replace("{e}", self.expr(), 1)
        while "{a}" in pattern:
            pattern = pattern.replace("{a}", self.pick(["1", "'a'", "s", "nums", "none", "2.5"]), 1)
        while "{s}" in pattern:
            pattern = pattern.replace("{s}", self.pick(["'l'", "'o'", "','", "' '", "'lo'", "'\\n'", "s", "'name'", "'H'", "'é'", "''"]), 1)
        while "{n}" in pattern:
            pattern = pattern.replace("{n}", self.pick(["0", "1", "2", "3", "-1"]), 1)
        return pattern

    def atom(self):
        k = self.r.random()
        if k < 0.45:
            return self.pick(list(VARIABLES))
        if k < 0.8:
            return self.pick(LITERALS)
        if k < 0.9:
            return self.pick(NAMES)
        return self.pick(["range(3)", "range(5, 1, -2)", "range(0)", "dict(a=1)", "namespace(q=1).q", "loop.index", "loop.last", "loop.nextitem", "loop.previtem", "loop.length", "loop.first",
                          "loop.cycle('a', 'b')", "loop.changed(item)", "ns.v", "ns.missing", "caller()", "m0(1)", "m0()", "m0(1, k=2)", "m1('z')", "cycler(1, 2).next()"])

    def expr(self):
        if self.depth > 3:
            return self.atom()
        self.depth += 1
        try:
            return self.compound()
        finally:
            self.depth -= 1

    def mostly_good(self):
        """An expression that Python can evaluate, most of the time: errors end a template early and hide what comes behind them."""
        for _ in range(20):
            e = self.expr()
            if "text" in theirs("{{ " + e + " }}", VARIABLES) or self.r.random() < 0.05:
                return e
        return "i"

    def compound(self):
        k = self.r.random()
        e = self.expr
        if k < 0.22:
            return self.atom()
        if k < 0.38:
            return f"{self.atom()}|{self.fill(self.pick(FILTERS))}"
        if k < 0.44:
            return f"{self.atom()}|{self.pick(NO_ARG_FILTERS)}"
        if k < 0.55:
            return f"{self.atom()}.{self.fill(self.pick(METHODS))}"
        if k < 0.60:
            return f"{self.atom()}.{self.pick(ATTRS)}"
        if k < 0.66:
            return self.pick(["{0}[{1}]", "{0}[{1}:]", "{0}[:{1}]", "{0}[::{1}]", "{0}[{1}:{1}]", "{0}[-1]", "{0}[::-1]", "{0}['name']"]).format(self.pick(list(VARIABLES)), self.pick(["0", "1", "-1", "2", "-2", "5", "'a'", "none", "i"]))
        if k < 0.76:
            return f"{e()} {self.pick(['+', '-', '*', '/', '//', '%', '~', '~', '**'])} {self.pick(['1', '2', '0', 's', 'f', 'nums', e()])}"
        if k < 0.82:
            return f"{e()} {self.pick(['==', '!=', '<', '<=', '>', '>=', 'in', 'not in'])} {e()}"
        if k < 0.87:
            return f"{self.atom()} is {self.pick(['', 'not '])}{self.fill(self.pick(TESTS))}"
        if k < 0.91:
            return f"{e()} {self.pick(['and', 'or'])} {e()}"
        if k < 0.93:
            return f"not {e()}"
        if k < 0.96:
            return self.pick(["({0} if {1} else {2})", "({0} if {1})"]).format(e(), e(), e())
        if k < 0.98:
            return self.pick(["[{0}, {1}]", "{{'k': {0}, {1}: 2}}", "({0}, {1})", "-{0}", "({0})"]).format(e(), self.atom())
        return f"{self.pick(['%s|%d', '%5.2f', '%-6s.', '%05d', '%r', '%x', '%+d', '%%', '%c', '%(k)s', '%.3s'])!r} % {self.pick([self.atom(), '(' + self.atom() + ',)', 'one'])}"

    def tag(self, text):
        return "{%" + self.pick(["", "-", "", "+"]) + " " + text + " " + self.pick(["", "-", "", ""]) + "%}"

    def text(self):
        return self.pick(["", "a", " ", "\n", "  \n", "\n  ", "T: ", " b\n", "{# note #}", "{#- note -#}\n", "\t", "<|im|>", "x  ", "{% raw %}{{ r }}{% endraw %}", "é"])

    def statement(self, level):
        k = self.r.random()
        body = lambda: self.body(level + 1)
        if k < 0.40:
            return self.pick(["{{ %s }}", "{{- %s }}", "{{ %s -}}", "{{- %s -}}"]) % self.mostly_good()
        if k < 0.52:
            other = self.pick(["", self.tag("else") + body(), self.tag(f"elif {self.mostly_good()}") + body() + self.tag("else") + body()])
            return self.tag(f"if {self.mostly_good()}") + body() + other + self.tag("endif")
        if k < 0.68:
            target = self.pick(["item", "item", "x", "x, y", "item, (x, y)"])
            over = self.pick([self.mostly_good(), self.pick(LISTS), "d.items()", "range(4)", "keys|dictsort", "nums", "people", "words"])
            extra = self.pick(["", "", f" if {self.mostly_good()}", " if item"])
            self.in_loop += 1
            inner = body() + self.pick(["", "", self.tag(f"if {self.mostly_good()}") + self.tag(self.pick(["break", "continue"])) + self.tag("endif")])
            self.in_loop -= 1
            return self.tag(f"for {target} in {over}{extra}") + inner + self.pick(["", self.tag("else") + body()]) + self.tag("endfor")
        if k < 0.80:
            return self.tag(f"set {self.pick(['x', 'y', 'item', 's', 'x, y', 'ns.v', 'i'])} = {self.mostly_good()}")
        if k < 0.84:
            return self.tag(f"set {self.pick(['x', 'y'])}{self.pick(['', ' | upper', ' | trim'])}") + body() + self.tag("endset")
        if k < 0.89:
            name = self.pick(["m0", "m1"])
            sig = self.pick(["", "p", "p, k=3", "p='d', k=s", "p=x"])
            saved, self.in_loop = self.in_loop, 0
            inner = body() + self.pick(["", "{{ p }}{{ k }}", "{{ varargs }}", "{{ kwargs }}", "{{ caller() if caller is defined }}"])
            self.in_loop = saved
            return self.tag(f"macro {name}({sig})") + inner + self.tag("endmacro")
        if k < 0.92:
            return self.tag("filter " + self.pick(["upper", "trim", "length", "indent(2)", "replace('a', 'b')"])) + body() + self.tag("endfilter")
        if k < 0.95:
            return self.tag(f"with {self.pick(['x', 'q'])} = {self.mostly_good()}{self.pick(['', ', y = x'])}") + body() + self.tag("endwith")
        if k < 0.97:
            saved, self.in_loop = self.in_loop, 0
            inner = body()
            self.in_loop = saved
            begin, end = self.pick([("call m0(1)", "endcall"), ("call(a) m1()", "endcall"), ("generation", "endgeneration")])
            return self.tag(begin) + inner + self.tag(end)
        return self.tag("set ns = namespace(v=1)")

    def body(self, level):
        if level > 3:
            return self.text()
        return "".join(self.text() + self.statement(level) + self.text() for _ in range(self.r.randint(0 if level else 1, 3 if level else 5)))


def in_memory(result):
    return " at 0x" in result.get("text", "")


def main():
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 4000
    first = int(sys.argv[3]) if len(sys.argv) > 3 else 1
    verbose = len(sys.argv) > 4
    ours = Ours(sys.argv[1])
    bad = errors = refused = 0
    for seed in range(first, first + count):
        m = Maker(seed)
        source = m.body(0) if seed % 2 else "{{ " + m.expr() + " }}"
        a, b = ours.render(VARIABLES, source), theirs(source, VARIABLES)
        errors += "error" in b
        unsupported = a.get("code") in ("UNSUPPORTED", "TOO_LARGE")
        refused += unsupported and "text" in b
        if unsupported and "text" in b and verbose:
            print(f"# seed {seed} not supported: {a['error']}: {source[:300]!r}")
        good = a.get("text") == b.get("text") if "text" in b and not in_memory(b) else "error" in a
        if not good and not unsupported:
            bad += 1
            print(f"# seed {seed}: {source!r}\n# " + show(a, b).replace("\n", "\n# "))
    print(f"{'not ok' if bad else 'ok'} 1 - {count} random templates: {count - bad} the same, {errors} of them errors in both, {refused} not supported here")
    print("1..1")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
