"""Is a text the beginning of a document that satisfies a schema? Shown by finding one: what is there is read as JSON that breaks off, the rest is made
from the schema, and the whole must please the `jsonschema` package, which has the last word. So a yes is always right; a no means that no such document was
found among those that are tried. Nothing of this knows the engine's own automaton."""
import itertools
import json
import re

import jsonschema

import languages

TRIES, DEPTH = 400, 12
BREADTH = 30
NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][-+]?\d+)?")
FORMATS = {
    "date": r"^(19|20)\d{2}-(0[1-9]|1[0-2])-(0[1-9]|1\d|2[0-8]|30|31)$", "time": r"^([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d+)?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)$",
    "date-time": r"^(19|20)\d{2}-(0[1-9]|1[0-2])-(0[1-9]|1\d|2[0-8]|30|31)T([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d+)?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)$",
    "uuid": r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$", "email": r"^[\w.+-]+@[a-z0-9.-]+\.[a-z]+$", "hostname": r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$",
    "ipv4": r"^((25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)\.){3}(25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)$",
    "ipv6": r"^(([0-9a-f]{1,4}:){7}[0-9a-f]{1,4}|([0-9a-f]{1,4}:){1,6}:[0-9a-f]{1,4}|::[0-9a-f]{1,4}|::)$",
    "duration": r"^P(\d+W|(\d+Y)?(\d+M)?(\d+D)?(T(\d+H)?(\d+M)?(\d+S)?)?)$", "uri": r"^https?://[a-z0-9.-]*[a-z0-9](:\d+)?(/[\w.~-]*)*(\?[\w.~=-]*)?(#[\w.~-]*)?$",
}

def write(value):
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


# ---- reading what is there ----

class Part:
    """A value that breaks off. at: where it begins. kind: none, string, number, word, array, object."""

    def __init__(self, kind, at, **more):
        self.kind, self.at = kind, at
        self.__dict__.update(more)


class Broken(Exception):
    pass


class Reader:
    def __init__(self, text):
        self.text, self.i = text, 0

    def blank(self):
        while self.i < len(self.text) and self.text[self.i] in " \t\r\n":
            self.i += 1
        return self.i == len(self.text)

    def string(self):
        """(whole, raw text from its quote)"""
        m = re.compile(r'"(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"').match(self.text, self.i)
        if m:
            self.i = m.end()
            return True, m.group()
        m = re.compile(r'"(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*(?:\\(?:u[0-9a-fA-F]{0,3})?)?$').match(self.text, self.i)
        if not m:
            raise Broken
        self.i = len(self.text)
        return False, m.group()

    def value(self):
        """A whole value (in a list of one), or a Part."""
        if self.blank():
            return Part("none", self.i)
        at, c = self.i, self.text[self.i]
        if c == '"':
            whole, raw = self.string()
            return [json.loads(raw)] if whole else Part("string", at)
        if c in "[{":
            return self.array(at) if c == "[" else self.object(at)
        m = re.compile(r"[-+.0-9a-zA-Z]+").match(self.text, at)
        if not m:
            raise Broken
        self.i = m.end()
        if self.i == len(self.text):
            return Part("number" if c in "-0123456789" else "word", at)
        return [json.loads(m.group())]

    def array(self, at):
        items, self.i = [], self.i + 1
        while True:
            if self.blank():
                return Part("array", at, items=items, last=None, comma=bool(items))
            if self.text[self.i] == "]" and not items:
                self.i += 1
                return [items]
            value = self.value()
            if isinstance(value, Part):
                return Part("array", at, items=items, last=value, comma=False)
            items += value
            if self.blank():
                return Part("array", at, items=items, last=None, comma=None)
            self.i += 1
            if self.text[self.i - 1] == "]":
                return [items]
            if self.text[self.i - 1] != ",":
                raise Broken

    def object(self, at):
        members, self.i = {}, self.i + 1
        while True:
            if self.blank():
                return Part("object", at, members=members, stage="comma" if members else "open")
            if self.text[self.i] == "}" and not members:
                self.i += 1
                return [members]
            whole, raw = self.string()
            if not whole:
                return Part("object", at, members=members, stage="key", raw=raw)
            key = json.loads(raw)
            if self.blank():
                return Part("object", at, members=members, stage="colon", key=key)
            self.i += 1
            if self.text[self.i - 1] != ":":
                raise Broken
            value = self.value()
            if isinstance(value, Part):
                return Part("object", at, members=members, stage="value", key=key, value=value)
            members[key] = value[0]
            if self.blank():
                return Part("object", at, members=members, stage="member")
            self.i += 1
            if self.text[self.i - 1] == "}":
                return [members]
            if self.text[self.i - 1] != ",":
                raise Broken


# ---- making the rest ----

class Schema:
    """deep: how far what is made may nest."""

    def __init__(self, root, deep=DEPTH):
        self.root, self.deep = root, deep

    def resolve(self, ref):
        at = self.root
        for step in ref.lstrip("#").split("/")[1:]:
            step = step.replace("%25", "%").replace("~1", "/").replace("~0", "~")
            at = at[int(step)] if isinstance(at, list) else at[step]
        return at

    def ways(self, schemas, depth=0):
        """Lists of plain schemas, one list a choice among alternatives."""
        plain = []
        for i, s in enumerate(schemas):
            if s is True:
                continue
            if s is False or depth > 40:
                return
            rest = schemas[i + 1:]
            more = {k: v for k, v in s.items() if k not in ("$ref", "allOf")}
            if "$ref" in s:
                yield from self.ways([*plain, more, self.resolve(s["$ref"]), *s.get("allOf", []), *rest], depth + 1)
                return
            if "allOf" in s:
                yield from self.ways([*plain, more, *s["allOf"], *rest], depth + 1)
                return
            for word in ("anyOf", "oneOf"):
                if word in s:
                    less = {k: v for k, v in s.items() if k != word}
                    for choice in s[word]:
                        yield from self.ways([*plain, less, choice, *rest], depth + 1)
                    return
            plain.append(s)
        yield plain

    @staticmethod
    def get(plain, key):
        return [s[key] for s in plain if key in s]

    def listed(self, plain):
        lists = [[s["const"]] if "const" in s else s["enum"] for s in plain if "const" in s or "enum" in s]
        return lists[0] if lists else None

    def types(self, plain):
        given = [set([t] if isinstance(t, str) else t) for t in self.get(plain, "type")]
        return set.intersection(*given) if given else {"null", "boolean", "integer", "number", "string", "array", "object"}

    # whole values, small ones first

    def values(self, schemas, depth=0):
        for plain in self.ways(schemas):
            listed = self.listed(plain)
            if listed is not None:
                yield from (write(v) for v in listed)
                continue
            types = self.types(plain)
            if "integer" in types or "number" in types:
                yield from self.numbers(plain, "")
            if "string" in types:
                yield from ('"' + t for t in self.strings(plain, ""))
            yield from (w for t, w in (("null", "null"), ("boolean", "true"), ("boolean", "false")) if t in types)
            if depth < self.deep and "object" in types:
                yield from ("{" + t for t in self.members(plain, {}, True, depth))
            if depth < self.deep and "array" in types:
                yield from ("[" + t for t in self.items(plain, [], True, depth))

    def numbers(self, plain, raw):
        marks = {0, 1, 2, 5, 10, 25, 50, 100, 0.5, 1.5}
        for word in ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"):
            for v in self.get(plain, word):
                marks |= {v, v + 1, v - 1, v + 0.5, v - 0.5, 2 * v, -v}
        digits = ["", "0", "5", *"12346789", *(f"{i:02}" for i in range(100)), ".5", ".0", "e1", "1e1", "+1", "-1"]
        texts = [write(int(m) if float(m).is_integer() else m) for m in sorted(marks, key=abs)]
        tails = [t[len(raw):] for t in texts if t.startswith(raw)] + digits + ["0" * n for n in range(2, 19)] + ["9" * n for n in range(2, 19)] + [f"{i:03}" for i in range(0, 1000, 7)]
        return (t for t in tails if NUMBER.fullmatch(raw + t))

    def strings(self, plain, raw):
        """Ends of a string: raw is what stands behind the opening quote."""
        escape = re.search(r'(?<!\\)(?:\\\\)*(\\(?:u[0-9a-fA-F]{0,3})?)$', raw)
        tails = [""] if not escape else ["n", '"', "\\", "/"] if len(escape[1]) == 1 else ["0" * (6 - len(escape[1])), "0061"[len(escape[1]) - 2:]]
        for tail in tails:
            text = json.loads('"' + raw + tail + '"')
            for more in self.ends(plain, text):
                yield tail + write(more)[1:]

    def ends(self, plain, text):
        patterns = self.get(plain, "pattern") + [FORMATS[f] for f in self.get(plain, "format") if f in FORMATS]
        least = int(max(self.get(plain, "minLength"), default=0))
        if patterns:
            yield from languages.endings(patterns[0], text, least)
        else:
            yield "a" * max(0, least - len(text))

    # the rest of containers

    def item(self, plain, index):
        found = []
        for s in plain:
            prefix = s.get("prefixItems", [])
            if index < len(prefix):
                found.append(prefix[index])
            elif "items" in s:
                found.append(s["items"])
        return found

    def items(self, plain, items, comma, depth):
        """comma: an item must come now (None: nothing asks for one)."""
        least = int(max(self.get(plain, "minItems"), default=0))
        need = max(least - len(items), 1 if comma and items else 0)
        lists = [list(itertools.islice(self.values(self.item(plain, len(items) + n), depth + 1), 3)) for n in range(need)]
        for chosen in itertools.islice(itertools.product(*lists), 9):
            yield ("," if chosen and items and not comma else "") + ",".join(chosen) + "]"

    def member(self, plain, key):
        found = []
        for s in plain:
            own = [s["properties"][key]] if key in s.get("properties", {}) else []
            own += [v for p, v in s.get("patternProperties", {}).items() if re.search(p, key)]
            found += own if own else [s["additionalProperties"]] if "additionalProperties" in s else []
        return found

    def keys(self, plain, raw, members):
        """Ends of a key of which raw is there, its quote included."""
        for s in plain:
            for key in [*s.get("properties", {}), *s.get("required", [])]:
                if write(key).startswith('"' + raw) and key not in members:
                    yield write(key)[1 + len(raw):]
        rules = [{"type": "string"}, *self.get(plain, "propertyNames"), *({"pattern": p} for s in plain for p in s.get("patternProperties", {}))]
        for names in self.ways(rules):
            listed = self.listed(names)
            yield from (write(v)[1 + len(raw):] for v in listed or [] if isinstance(v, str) and write(v).startswith('"' + raw))
            if listed is None:
                yield from self.strings(names, raw)

    def members(self, plain, members, begun, depth):
        """begun: the object was opened or a comma stands there."""
        missing = [k for k in dict.fromkeys(k for s in plain for k in s.get("required", [])) if k not in members]
        texts = [list(itertools.islice(self.values(self.member(plain, k), depth + 1), 4)) for k in missing]
        extra = []
        if not missing and (begun and members or max(self.get(plain, "minProperties"), default=0) > len(members)):
            for tail in itertools.islice(self.keys(plain, "", members), 8):
                key = json.loads('"' + tail)
                extra += [f'{write(key)}:{v}' for v in itertools.islice(self.values(self.member(plain, key), depth + 1), 3)]
        if extra:
            yield from (("" if begun else ",") + e + "}" for e in extra)
            return
        for chosen in itertools.islice(itertools.product(*texts), 16):
            pairs = ",".join(f"{write(k)}:{v}" for k, v in zip(missing, chosen))
            yield ("," if pairs and not begun else "") + pairs + "}"

    def rest(self, part, schemas, text, depth=0):
        """Texts that may follow."""
        for plain in self.ways(schemas):
            listed = self.listed(plain)
            raw = text[part.at:]
            if listed is not None:
                yield from (write(v)[len(raw):] for v in listed if write(v).startswith(raw))
                if part.kind == "string":
                    yield from spelled(raw, [v for v in listed if isinstance(v, str)])
                continue
            if part.kind == "none":
                yield from self.values(plain, depth)
            elif part.kind == "string":
                yield from self.strings(plain, raw[1:])
            elif part.kind == "number":
                yield from self.numbers(plain, raw)
            elif part.kind == "word":
                yield from (w[len(raw):] for w in ("null", "true", "false") if w.startswith(raw))
            elif part.kind == "array":
                if part.last:
                    for tail in itertools.islice(self.rest(part.last, self.item(plain, len(part.items)), text, depth + 1), BREADTH):
                        yield from (tail + end for end in self.items(plain, [*part.items, None], None, depth))
                else:
                    yield from self.items(plain, part.items, part.comma, depth)
            else:
                yield from self.rest_of_object(part, plain, text, depth)

    def rest_of_object(self, part, plain, text, depth):
        if part.stage in ("open", "comma", "member"):
            yield from self.members(plain, part.members, part.stage != "member", depth)
        elif part.stage == "value":
            known = {**part.members, part.key: None}
            for tail in itertools.islice(self.rest(part.value, self.member(plain, part.key), text, depth + 1), BREADTH):
                yield from (tail + end for end in self.members(plain, known, False, depth))
        else:
            tails = [""] if part.stage == "colon" else list(itertools.islice(self.keys(plain, part.raw[1:], part.members), 12))
            for tail in tails:
                key = part.key if part.stage == "colon" else json.loads(part.raw + tail)
                for value in itertools.islice(self.values(self.member(plain, key), depth + 1), 4):
                    yield from (tail + ":" + value + end for end in self.members(plain, {**part.members, key: None}, False, depth))


def spelled(raw, words):
    """Ends of a string that spells one of the words in whatever way, of which raw is there."""
    whole, escape = re.fullmatch(r'("(?:[^"\\]|\\(?:[^u]|u[0-9a-fA-F]{4}))*)(\\(?:u[0-9a-fA-F]{0,3})?)?', raw).groups()
    begun = json.loads(whole + '"')
    for word in words:
        rest = word[len(begun):]
        if not word.startswith(begun):
            continue
        if not escape:
            yield write(rest)[1:]
        elif rest:
            code = f"\\u{ord(rest[0]):04x}"
            yield from (form[len(escape):] + write(rest[1:])[1:] for form in (code, code.upper().replace("U", "u"), write(rest[0])[1:-1]) if form.startswith(escape))


def validator(schema):
    return jsonschema.Draft202012Validator(schema, format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER)


def every_depth(make, schema):
    """Texts that are made with little nesting first."""
    for deep in (1, 2, 4, DEPTH):
        yield from itertools.islice(make(Schema(schema, deep)), TRIES)


def whole(schema, text):
    """A document that begins with the text and satisfies the schema, or None."""
    check = validator(schema)
    try:
        part = Reader(text).value()
    except Broken:
        return None
    for tail in [""] if isinstance(part, list) else every_depth(lambda s: s.rest(part, [schema], text), schema):
        try:
            if check.is_valid(json.loads(text + tail)):
                return text + tail
        except ValueError:
            continue
    return None


def shortest(schema):
    """A small document that satisfies the schema."""
    check = validator(schema)
    found = [t for t in every_depth(lambda s: s.values([schema]), schema) if check.is_valid(json.loads(t))]
    return min(found, key=len) if found else None
