"""Patterns as languages, by derivatives (Brzozowski): what may follow a text so that the pattern matches, shortest first. Only what schemas of the tests use:
no look-around, no back-references; ^ and $ at the ends of the whole pattern."""
import collections
import functools
from re import _constants as op
from re import _parser as parser

NOTHING, EMPTY = ("nothing",), ("empty",)
CLASSES = {op.CATEGORY_DIGIT: ((48, 57),), op.CATEGORY_WORD: ((48, 57), (65, 90), (95, 95), (97, 122)), op.CATEGORY_SPACE: ((9, 13), (32, 32))}
OTHERS = {op.CATEGORY_NOT_DIGIT: op.CATEGORY_DIGIT, op.CATEGORY_NOT_WORD: op.CATEGORY_WORD, op.CATEGORY_NOT_SPACE: op.CATEGORY_SPACE}
ANY = ("set", (), True)


def then(a, b):
    if NOTHING in (a, b):
        return NOTHING
    return b if a == EMPTY else a if b == EMPTY else ("then", a, b)


def either(terms):
    flat = frozenset(x for t in terms for x in (t[1] if t[0] == "either" else (t,)) if x != NOTHING)
    return NOTHING if not flat else next(iter(flat)) if len(flat) == 1 else ("either", flat)


def times(a, least, most):
    """most None: no bound."""
    return EMPTY if most == 0 or a == EMPTY else a if (least, most) == (1, 1) else ("times", a, least, most)


def of_set(items):
    spans, negated = [], False
    for kind, value in items:
        if kind is op.NEGATE:
            negated = True
        elif kind is op.LITERAL:
            spans.append((value, value))
        elif kind is op.RANGE:
            spans.append(value)
        elif value in CLASSES:
            spans += CLASSES[value]
        else:  # of what a class is not
            at = 0
            for low, high in CLASSES[OTHERS[value]]:
                spans.append((at, low - 1))
                at = high + 1
            spans.append((at, 0x10ffff))
    return ("set", tuple(spans), negated)


def of_tree(tree):
    term = EMPTY
    for kind, value in reversed(list(tree)):
        if kind is op.LITERAL:
            one = ("set", ((value, value),), False)
        elif kind is op.NOT_LITERAL:
            one = ("set", ((value, value),), True)
        elif kind is op.ANY:
            one = ("set", ((10, 10),), True)
        elif kind is op.IN:
            one = of_set(value)
        elif kind is op.CATEGORY:
            one = of_set([(kind, value)])
        elif kind is op.SUBPATTERN:
            one = of_tree(value[-1])
        elif kind is op.BRANCH:
            one = either(of_tree(t) for t in value[1])
        elif kind in (op.MAX_REPEAT, op.MIN_REPEAT):
            one = times(of_tree(value[2]), value[0], None if value[1] is op.MAXREPEAT else value[1])
        else:
            raise ValueError(f"{kind} is not for these tests")
        term = then(one, term)
    return term


@functools.lru_cache(None)
def language(pattern):
    tree = list(parser.parse(pattern))
    begins = bool(tree) and tree[0] == (op.AT, op.AT_BEGINNING)
    ends = bool(tree) and tree[-1] == (op.AT, op.AT_END)
    term = of_tree(tree[begins:len(tree) - ends])
    some = times(ANY, 0, None)
    return then(EMPTY if begins else some, then(term, EMPTY if ends else some))


@functools.lru_cache(None)
def may_end(t):
    if t[0] == "then":
        return may_end(t[1]) and may_end(t[2])
    if t[0] == "either":
        return any(map(may_end, t[1]))
    return t == EMPTY or t[0] == "times" and (t[2] == 0 or may_end(t[1]))


@functools.lru_cache(None)
def behind(t, c):
    """What may follow the character c."""
    if t[0] == "set":
        return EMPTY if any(low <= ord(c) <= high for low, high in t[1]) != t[2] else NOTHING
    if t[0] == "then":
        first = then(behind(t[1], c), t[2])
        return either([first, behind(t[2], c)]) if may_end(t[1]) else first
    if t[0] == "either":
        return either(behind(x, c) for x in t[1])
    if t[0] == "times":
        return then(behind(t[1], c), times(t[1], max(t[2] - 1, 0), None if t[3] is None else t[3] - 1))
    return NOTHING


@functools.lru_cache(None)
def letters(t):
    """A few characters of each set that may come first."""
    if t[0] == "set":
        return frozenset("a0 é" if t[2] else (chr(low) for low, _ in t[1]))
    if t[0] == "then":
        return letters(t[1]) | (letters(t[2]) if may_end(t[1]) else frozenset())
    if t[0] == "either":
        return frozenset().union(*map(letters, t[1]))
    return letters(t[1]) if t[0] == "times" else frozenset()


def endings(pattern, text, least, count=4, most=4000):
    """Texts that may follow `text` so that the whole matches and has at least `least` characters; shortest first."""
    at = language(pattern)
    for c in text:
        at = behind(at, c)
    waiting, seen, found = collections.deque([(at, "")]), {(at, min(len(text), least))}, 0
    while waiting and found < count and len(seen) < most:
        at, added = waiting.popleft()
        if at == NOTHING:
            continue
        if may_end(at) and len(text) + len(added) >= least:
            found += 1
            yield added
        for c in sorted(letters(at)):
            next_ = behind(at, c)
            key = (next_, min(len(text) + len(added) + 1, least))
            if key not in seen:
                seen.add(key)
                waiting.append((next_, added + c))
