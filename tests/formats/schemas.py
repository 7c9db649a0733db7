"""The schemas that replies are held to: shapes that people use, and shapes of the public JSON-Schema test suite as far as they are enforced, written here
from the specification. Always the same 300. Behind them: schemas that must be refused, with the place of what is at fault."""
import random

STRING, INTEGER, NUMBER, BOOLEAN, NULL = ({"type": t} for t in ("string", "integer", "number", "boolean", "null"))


def closed(required=None, **properties):
    return {"type": "object", "properties": properties, "required": sorted(properties) if required is None else required, "additionalProperties": False}


def array(items, **more):
    return {"type": "array", "items": items, **more}


COLOR = {"enum": ["red", "green", "blue"]}
SHORT = {"type": "string", "maxLength": 12}

FIELDS = {
    "name": SHORT, "city": {"type": "string", "minLength": 2, "maxLength": 20}, "age": {"type": "integer", "minimum": 0, "maximum": 130},
    "score": {"type": "number", "minimum": 0, "maximum": 1}, "color": COLOR, "done": BOOLEAN, "note": {"type": ["string", "null"], "maxLength": 30},
    "tags": array(SHORT, maxItems=3), "price": {"type": "number", "exclusiveMinimum": 0}, "count": {"type": "integer", "multipleOf": 5, "minimum": 0, "maximum": 50},
    "day": {"type": "string", "format": "date"}, "email": {"type": "string", "format": "email"}, "code": {"type": "string", "pattern": "^[A-Z]{3}-[0-9]{2,4}$"},
    "level": {"type": "integer", "enum": [1, 2, 3]}, "kind": {"const": "thing"}, "where": closed(x=INTEGER, y=INTEGER), "size": {"enum": ["s", "m", "l", None]},
    "ratio": {"type": "number", "minimum": -1.5, "maximum": 2.25}, "flags": array(BOOLEAN, minItems=1, maxItems=4), "time": {"type": "string", "format": "time"},
}


def of_fields(random_):
    """Objects as people describe them: a few fields, some optional, some nested."""
    names = random_.sample(sorted(FIELDS), random_.randint(1, 3))
    properties = {n: FIELDS[n] for n in names}
    if random_.random() < 0.2:
        properties["inner"] = closed(**{n: FIELDS[n] for n in random_.sample(["color", "done", "level", "kind"], 2)})
    required = [n for n in properties if random_.random() < 0.75]
    schema = {"type": "object", "properties": properties, "required": required}
    if random_.random() < 0.8:
        schema["additionalProperties"] = False
    return array(schema, minItems=1, maxItems=2) if random_.random() < 0.15 and len(required) <= 2 else schema


def used():
    """By hand: what clients send."""
    yield "pydantic model", {"title": "Person", "type": "object", "properties": {"name": {"title": "Name", "type": "string"}, "age": {"title": "Age", "type": "integer"}},
                             "required": ["name", "age"], "additionalProperties": False}
    yield "pydantic optional", {"type": "object", "properties": {"nick": {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None}}, "required": ["nick"], "additionalProperties": False}
    yield "pydantic nested", {"$defs": {"Step": {"type": "object", "properties": {"explanation": SHORT, "output": SHORT}, "required": ["explanation", "output"], "additionalProperties": False}},
                              "type": "object", "properties": {"steps": {"type": "array", "items": {"$ref": "#/$defs/Step"}, "maxItems": 3}, "answer": SHORT}, "required": ["steps", "answer"],
                              "additionalProperties": False}
    yield "pydantic enum", {"$defs": {"Mood": {"enum": ["happy", "sad"], "title": "Mood", "type": "string"}}, "type": "object", "properties": {"mood": {"$ref": "#/$defs/Mood"}},
                            "required": ["mood"], "additionalProperties": False}
    yield "zod union", {"type": "object", "properties": {"shape": {"anyOf": [closed(kind={"type": "string", "const": "circle"}, r=NUMBER),
                                                                          closed(kind={"type": "string", "const": "square"}, side=NUMBER)]}}, "required": ["shape"], "additionalProperties": False,
                        "$schema": "http://json-schema.org/draft-07/schema#"}
    yield "classification", closed(label={"type": "string", "enum": ["spam", "ham", "other"]}, confidence={"type": "number", "minimum": 0, "maximum": 1})
    yield "extraction", closed(people=array(closed(name=SHORT, role={"enum": ["buyer", "seller"]}), maxItems=3))
    yield "routing", {"oneOf": [closed(action={"const": "search"}, query=SHORT), closed(action={"const": "stop"})]}
    yield "yes or no", {"enum": ["yes", "no"]}
    yield "a list of numbers", array(INTEGER, minItems=2, maxItems=6)
    yield "a table", closed(rows=array(array(INTEGER, minItems=2, maxItems=2), maxItems=3))
    yield "a tree", {"$ref": "#/$defs/node", "$defs": {"node": closed(required=["value"], value={"type": "integer", "minimum": 0, "maximum": 9}, left={"$ref": "#/$defs/node"}, right={"$ref": "#/$defs/node"})}}
    yield "a linked list", {"type": "object", "properties": {"head": INTEGER, "tail": {"anyOf": [{"$ref": "#"}, {"type": "null"}]}}, "required": ["head", "tail"], "additionalProperties": False}
    yield "an expression", {"$defs": {"e": {"anyOf": [{"type": "integer", "minimum": 0, "maximum": 99}, closed(op={"enum": ["+", "-"]}, a={"$ref": "#/$defs/e"}, b={"$ref": "#/$defs/e"})]}}, "$ref": "#/$defs/e"}
    yield "a map of scores", {"type": "object", "additionalProperties": {"type": "integer", "minimum": 0, "maximum": 10}, "maxProperties": 4}
    yield "a date range", closed(begin={"type": "string", "format": "date"}, end={"type": "string", "format": "date"})
    yield "a coordinate pair", {"type": "array", "prefixItems": [{"type": "number", "minimum": -90, "maximum": 90}, {"type": "number", "minimum": -180, "maximum": 180}], "items": False, "minItems": 2}
    yield "a log entry", closed(at={"type": "string", "format": "date-time"}, level={"enum": ["info", "warn", "error"]}, text={"type": "string", "maxLength": 40})
    yield "a person with a phone", closed(name=SHORT, phone={"type": "string", "pattern": "^\\+[1-9][0-9]{6,14}$"})
    yield "a version", closed(version={"type": "string", "pattern": "^(0|[1-9]\\d*)\\.(0|[1-9]\\d*)\\.(0|[1-9]\\d*)$"})
    yield "a colour", closed(hex={"type": "string", "pattern": "^#[0-9a-fA-F]{6}$"})
    yield "a settings object", {"type": "object", "properties": {"theme": {"enum": ["light", "dark"]}, "size": {"type": "integer", "minimum": 8, "maximum": 32}}}
    yield "words in other scripts", {"enum": ["ja", "nein", "peut-être", "да", "はい", "🙂"]}
    yield "keys in other scripts", closed(**{"größe": INTEGER, "名前": SHORT})
    yield "an order", closed(id={"type": "string", "format": "uuid"}, paid=BOOLEAN)
    yield "a host", closed(host={"type": "string", "format": "hostname"}, port={"type": "integer", "minimum": 1, "maximum": 65535})
    yield "addresses", {"anyOf": [{"type": "string", "format": "ipv4"}, {"type": "string", "format": "ipv6"}]}
    yield "a link", closed(url={"type": "string", "format": "uri"})
    yield "a wait", closed(wait={"type": "string", "format": "duration"})
    yield "free text", closed(text=STRING)
    yield "anything in a field", closed(value={})
    yield "any object", {"type": "object"}
    yield "a deep one", closed(a=closed(b=closed(c=closed(d=closed(e=BOOLEAN)))))
    yield "many optional fields", {"type": "object", "properties": {f"option_{i}": BOOLEAN for i in range(20)}, "additionalProperties": False}
    yield "many choices", {"enum": [f"choice-{i}" for i in range(200)]}


def formats():
    for f in ("date", "time", "date-time", "uuid", "email", "hostname", "ipv4", "ipv6", "duration", "uri"):
        yield f"format {f}", {"type": "string", "format": f}
        yield f"format {f} in a field", closed(at={"type": "string", "format": f})


def patterns():
    for p in ("^a+$", "^[a-z]{2,5}$", "^(yes|no|maybe)$", "^\\d{4}$", "^\\d{3}-\\d{4}$", "^[A-Z][a-z]+( [A-Z][a-z]+)?$", "^\\w{1,8}$", "^x?y*z+$", "^[^\\s\"]{3}$", "^\\$[0-9]+\\.[0-9]{2}$",
              "^(a|b)(c|d)(e|f)$", "^(?:ab){1,3}$", "^\\S+$", "^.{3,6}$", "^[\\w.-]{1,6}@[a-z]{2,4}$", "^#\\/[a-c]\\\\$", "^äö{2}ü$", "^[α-ω]{2,4}$", "foo", "^foo", "bar$", "^$", "^[0-9a-f]{2}(:[0-9a-f]{2}){2}$",
              "^([01]\\d|2[0-3]):[0-5]\\d$"):
        yield f"pattern {p}", {"type": "string", "pattern": p}


def numbers():
    rows = [{"minimum": 0}, {"maximum": 0}, {"minimum": 5, "maximum": 17}, {"minimum": -20, "maximum": -3}, {"minimum": -7, "maximum": 12}, {"exclusiveMinimum": 3, "exclusiveMaximum": 5},
            {"minimum": 99, "maximum": 1001}, {"minimum": 1234, "maximum": 98765}, {"minimum": 1000000}, {"maximum": -1000}, {"multipleOf": 3}, {"multipleOf": 7, "minimum": 0},
            {"multipleOf": 10, "minimum": 5, "maximum": 99}]
    for row in rows:
        yield f"integer {row}", {"type": "integer", **row}
    for row in rows[:10] + [{"minimum": 0.25, "maximum": 0.75}, {"minimum": -0.5}, {"exclusiveMinimum": 0, "exclusiveMaximum": 1}, {"minimum": 1.5, "maximum": 1.5}]:
        yield f"number {row}", {"type": "number", **row}


def suite():
    """By keyword, as the public test suite has its cases."""
    yield "additionalProperties allows a schema", {"properties": {"foo": {}, "bar": {}}, "additionalProperties": BOOLEAN}
    yield "additionalProperties by itself", {"additionalProperties": BOOLEAN}
    yield "additionalProperties false", {"properties": {"foo": {}, "bar": {}}, "additionalProperties": False}
    yield "additionalProperties are allowed by default", {"properties": {"foo": {}, "bar": {}}}
    yield "additionalProperties with null valued instances", {"additionalProperties": NULL}
    yield "allOf", {"allOf": [{"properties": {"bar": INTEGER}, "required": ["bar"]}, {"properties": {"foo": STRING}, "required": ["foo"]}]}
    yield "allOf with base schema", {"properties": {"bar": INTEGER}, "required": ["bar"], "allOf": [{"properties": {"foo": STRING}, "required": ["foo"]}, {"properties": {"baz": NULL}, "required": ["baz"]}]}
    yield "allOf simple types", {"allOf": [{"maximum": 30}, {"minimum": 20}], "type": "integer"}
    yield "allOf with boolean schemas, all true", {"allOf": [True, True]}
    yield "allOf with one empty schema", {"allOf": [{}]}
    yield "allOf with the first empty schema", {"allOf": [{}, {"type": "number"}]}
    yield "nested allOf", {"allOf": [{"allOf": [NULL]}]}
    yield "allOf combined with anyOf", {"allOf": [{"type": "integer"}], "anyOf": [{"minimum": 5}, {"maximum": -5}]}
    yield "anyOf", {"anyOf": [INTEGER, {"type": "number", "minimum": 2}]}
    yield "anyOf with base schema", {"type": "string", "anyOf": [{"maxLength": 2}, {"minLength": 4}]}
    yield "anyOf with boolean schemas, some true", {"anyOf": [True, False]}
    yield "anyOf complex types", {"anyOf": [{"properties": {"bar": INTEGER}, "required": ["bar"]}, {"properties": {"foo": STRING}, "required": ["foo"]}]}
    yield "anyOf with one empty schema", {"anyOf": [{"type": "number"}, {}]}
    yield "nested anyOf", {"anyOf": [{"anyOf": [NULL]}]}
    yield "boolean schema true", {"properties": {"foo": True}, "required": ["foo"], "additionalProperties": False}
    yield "boolean schemas in properties", {"properties": {"foo": True, "bar": False}}
    yield "const", {"const": 2}
    yield "const with object", {"const": {"foo": "bar", "baz": "bax"}}
    yield "const with array", {"const": [{"foo": "bar"}]}
    yield "const with null", {"const": None}
    yield "const with false", {"const": False}
    yield "const with [false]", {"const": [False]}
    yield "const with {\"a\": true}", {"const": {"a": True}}
    yield "const with 0", {"const": 0}
    yield "const with 1.5", {"const": 1.5}
    yield "const with -2.0", {"const": -2.0}
    yield "const with a large integer", {"const": 9007199254740992}
    yield "const with nul characters", {"const": "hello\u0000there"}
    yield "const with characters outside the basic plane", {"const": "💩\u2028\"\\/\b"}
    yield "default is no constraint", {"type": "object", "properties": {"alpha": {"type": "number", "maximum": 3, "default": 5}}}
    yield "definitions", {"definitions": {"a": INTEGER}, "type": "array", "items": {"$ref": "#/definitions/a"}, "maxItems": 4}
    yield "enum", {"enum": [1, 2, 3]}
    yield "enum heterogeneous", {"enum": [6, "foo", [], True, {"foo": 12}]}
    yield "enum heterogeneous with null", {"enum": [6, None]}
    yield "enums in properties", {"type": "object", "properties": {"foo": {"enum": ["foo"]}, "bar": {"enum": ["bar"]}}, "required": ["bar"]}
    yield "enum with escaped characters", {"enum": ["foo\nbar", "foo\rbar", "tab\t", "quote\""]}
    yield "enum with false", {"enum": [False]}
    yield "enum with [0]", {"enum": [[0]]}
    yield "enum with 1.0", {"enum": [1.0, 2]}
    yield "enum beside a type", {"type": "string", "enum": ["a", 1, "b"]}
    yield "enum beside bounds", {"enum": [1, 5, 9, 14], "minimum": 3, "maximum": 10}
    yield "exclusiveMaximum", {"type": "number", "exclusiveMaximum": 3.0}
    yield "exclusiveMinimum", {"type": "number", "exclusiveMinimum": 1.1}
    yield "the same schema twice is no loop", {"$defs": {"int": INTEGER}, "allOf": [{"properties": {"foo": {"$ref": "#/$defs/int"}}}, {"additionalProperties": {"$ref": "#/$defs/int"}}]}
    yield "items", {"items": INTEGER}
    yield "items with boolean schema true", {"items": True, "maxItems": 3}
    yield "items with boolean schema false", {"items": False}
    yield "items and subitems", {"$defs": {"item": {"type": "array", "items": {"$ref": "#/$defs/sub"}, "minItems": 1, "maxItems": 2}, "sub": closed(foo=INTEGER)},
                                 "type": "array", "items": {"$ref": "#/$defs/item"}, "maxItems": 2}
    yield "nested items", {"type": "array", "items": {"type": "array", "items": {"type": "array", "items": {"type": "number"}}}}
    yield "prefixItems with no additional items", {"prefixItems": [{}, {}, {}], "items": False}
    yield "items does not look in applicators", {"allOf": [{"prefixItems": [{"minimum": 3, "type": "integer"}]}], "items": {"minimum": 5, "type": "integer"}, "minItems": 1, "maxItems": 2}
    yield "prefixItems validation adjusts the starting index", {"prefixItems": [STRING], "items": INTEGER, "minItems": 2}
    yield "items with null instance elements", {"items": NULL, "maxItems": 3}
    yield "maxItems", {"maxItems": 2}
    yield "maxItems with a decimal", {"type": "array", "maxItems": 2.0}
    yield "maxLength", {"type": "string", "maxLength": 2}
    yield "maxProperties", {"type": "object", "maxProperties": 2}
    yield "maxProperties = 0 means the object is empty", {"type": "object", "maxProperties": 0}
    yield "maximum", {"type": "number", "maximum": 3.0}
    yield "maximum with unsigned integer", {"type": "number", "maximum": 300}
    yield "minItems", {"type": "array", "minItems": 1}
    yield "minLength", {"type": "string", "minLength": 2}
    yield "minProperties", {"type": "object", "minProperties": 1}
    yield "minimum with signed integer", {"type": "number", "minimum": -2}
    yield "multipleOf by int", {"type": "integer", "multipleOf": 2}
    yield "multipleOf in a field", closed(n={"type": "integer", "multipleOf": 12})
    yield "oneOf of types", {"oneOf": [INTEGER, STRING]}
    yield "oneOf of bounds", {"type": "integer", "oneOf": [{"minimum": 10}, {"maximum": 5}]}
    yield "oneOf complex types", {"oneOf": [closed(bar=INTEGER), closed(foo=STRING)]}
    yield "oneOf with boolean schemas, one true", {"oneOf": [True, False, False]}
    yield "nested oneOf", {"oneOf": [{"oneOf": [NULL]}]}
    yield "pattern is not anchored", {"type": "string", "pattern": "a+"}
    yield "patternProperties", {"type": "object", "patternProperties": {"^f.{0,4}o$": INTEGER}, "additionalProperties": False}
    yield "prefixItems", {"prefixItems": [INTEGER, STRING]}
    yield "prefixItems with boolean schemas", {"prefixItems": [True, False]}
    yield "additional items are allowed by default", {"prefixItems": [INTEGER]}
    yield "properties", {"properties": {"foo": INTEGER, "bar": STRING}}
    yield "properties with escaped characters", {"properties": {"foo\nbar": NUMBER, "foo\"bar": NUMBER, "foo\\bar": NUMBER, "foo\rbar": NUMBER, "foo\tbar": NUMBER}, "required": ["foo\nbar"]}
    yield "properties with names of JavaScript", {"properties": {"__proto__": NUMBER, "toString": {"properties": {"length": STRING}}, "constructor": NUMBER}}
    yield "propertyNames", {"type": "object", "propertyNames": {"maxLength": 3}}
    yield "propertyNames with pattern", {"type": "object", "propertyNames": {"pattern": "^a+$"}}
    yield "propertyNames with enum", {"type": "object", "propertyNames": {"enum": ["foo", "bar"]}, "maxProperties": 1}
    yield "root pointer ref", {"properties": {"foo": {"$ref": "#"}}, "additionalProperties": False}
    yield "relative pointer ref to object", {"properties": {"foo": INTEGER, "bar": {"$ref": "#/properties/foo"}}}
    yield "relative pointer ref to array", {"prefixItems": [INTEGER, {"$ref": "#/prefixItems/0"}]}
    yield "escaped pointer ref", {"$defs": {"tilde~field": INTEGER, "slash/field": INTEGER, "percent%field": INTEGER},
                                  "properties": {"tilde": {"$ref": "#/$defs/tilde~0field"}, "slash": {"$ref": "#/$defs/slash~1field"}, "percent": {"$ref": "#/$defs/percent%25field"}}, "required": ["tilde"]}
    yield "nested refs", {"$defs": {"a": INTEGER, "b": {"$ref": "#/$defs/a"}, "c": {"$ref": "#/$defs/b"}}, "$ref": "#/$defs/c"}
    yield "ref applies alongside sibling keywords", {"$defs": {"r": {"type": "array"}}, "properties": {"foo": {"$ref": "#/$defs/r", "maxItems": 2}}, "required": ["foo"]}
    yield "property named $ref", {"properties": {"$ref": STRING}, "required": ["$ref"], "additionalProperties": False}
    yield "ref to boolean schema true", {"$defs": {"bool": True}, "$ref": "#/$defs/bool"}
    yield "a ref through allOf", {"$defs": {"base": {"type": "object", "properties": {"id": INTEGER}, "required": ["id"]}}, "allOf": [{"$ref": "#/$defs/base"}, {"properties": {"extra": BOOLEAN}, "required": ["extra"]}]}
    yield "required", {"type": "object", "properties": {"foo": {}, "bar": {}}, "required": ["foo"]}
    yield "required with an empty list", {"type": "object", "properties": {"foo": {}}, "required": []}
    yield "required with escaped characters", {"type": "object", "required": ["foo\nbar", "foo\"bar"]}
    yield "required without properties", {"type": "object", "required": ["foo"], "additionalProperties": {"type": "integer"}}
    for t in ("integer", "number", "string", "object", "array", "boolean", "null"):
        yield f"type {t}", {"type": t}
    yield "multiple types as an array", {"type": ["integer", "string"]}
    yield "types of arrays and objects", {"type": ["array", "object"]}
    yield "types with null", {"type": ["array", "object", "null"]}
    yield "type as array with one item", {"type": ["string"]}
    yield "uniqueItems false", {"type": "array", "uniqueItems": False, "maxItems": 3}
    yield "annotations", {"title": "t", "description": "d", "$comment": "c", "examples": [1], "deprecated": True, "readOnly": True, "x-order": 3, "type": "boolean"}
    yield "content keywords annotate", {"type": "string", "contentMediaType": "application/json", "contentEncoding": "base64"}


COUNT = 300


def schemas():
    made = [*used(), *formats(), *patterns(), *numbers(), *suite()]
    random_ = random.Random(1)
    while len(made) < COUNT:
        made.append((f"fields {len(made)}", of_fields(random_)))
    assert len(made) == COUNT, len(made)
    return made


# Name, schema, the JSON pointer of what is at fault.
REFUSED = [
    ("not", {"not": INTEGER}, "/not"),
    ("if, then, else", {"if": INTEGER, "then": {"minimum": 3}}, "/if"),
    ("contains", {"type": "array", "contains": INTEGER}, "/contains"),
    ("minContains", {"properties": {"a": {"type": "array", "minContains": 2}}}, "/properties/a/minContains"),
    ("uniqueItems", {"type": "array", "uniqueItems": True}, "/uniqueItems"),
    ("dependentRequired", {"dependentRequired": {"a": ["b"]}}, "/dependentRequired"),
    ("dependentSchemas", {"dependentSchemas": {"a": {}}}, "/dependentSchemas"),
    ("dependencies", {"dependencies": {"a": ["b"]}}, "/dependencies"),
    ("unevaluatedProperties", {"unevaluatedProperties": False}, "/unevaluatedProperties"),
    ("unevaluatedItems", {"unevaluatedItems": False}, "/unevaluatedItems"),
    ("additionalItems", {"items": INTEGER, "additionalItems": False}, "/additionalItems"),
    ("$dynamicRef", {"$dynamicRef": "#node"}, "/$dynamicRef"),
    ("$anchor", {"$anchor": "a"}, "/$anchor"),
    ("$ref to another document", {"$ref": "https://example.com/schema.json"}, "/$ref"),
    ("$ref to nothing", {"$ref": "#/$defs/none"}, "/$ref"),
    ("$ref to itself beside a choice", {"anyOf": [{"$ref": "#"}, INTEGER]}, "/anyOf/0/$ref"),
    ("a keyword that is none", {"properties": {"a/b": {"minimun": 3}}}, "/properties/a~1b/minimun"),
    ("items as a list", {"items": [INTEGER, STRING]}, "/items"),
    ("a type that is none", {"type": "text"}, "/type"),
    ("format that is not enforced", {"type": "string", "format": "regex"}, "/format"),
    ("pattern with look-ahead", {"type": "string", "pattern": "^(?=a)b"}, "/pattern"),
    ("pattern with a back-reference", {"type": "string", "pattern": "^(a)\\1$"}, "/pattern"),
    ("pattern that is broken", {"type": "string", "pattern": "^(a$"}, "/pattern"),
    ("two patterns", {"allOf": [{"type": "string", "pattern": "^a"}, {"pattern": "b$"}]}, "/allOf/1/pattern"),
    ("multipleOf of a fraction", {"type": "number", "multipleOf": 0.01}, "/multipleOf"),
    ("a count that is none", {"type": "string", "minLength": -1}, "/minLength"),
    ("oneOf whose alternatives overlap", {"oneOf": [INTEGER, {"type": "integer", "minimum": 2}]}, "/oneOf"),
    ("patternProperties beside properties", {"properties": {"a": {}}, "patternProperties": {"^b": {}}}, "/patternProperties"),
    ("minProperties beyond required", {"type": "object", "properties": {"a": {}, "b": {}}, "minProperties": 2}, "/minProperties"),
    ("minimum above maximum", {"type": "integer", "minimum": 5, "maximum": 3}, "/minimum"),
    ("minLength above maxLength", {"type": "string", "minLength": 5, "maxLength": 3}, "/minLength"),
    ("types that exclude each other", {"allOf": [INTEGER, STRING]}, "/allOf/1/type"),
    ("an enum without a fitting value", {"type": "integer", "enum": ["a", "b"]}, "/enum"),
    ("a required property that is false", {"properties": {"a": False}, "required": ["a"]}, "/properties/a"),
    ("false", False, ""),
    ("a schema that never ends", {"type": "object", "properties": {"a": {"$ref": "#"}}, "required": ["a"]}, ""),
    ("an empty enum", {"enum": []}, "/enum"),
    ("an empty anyOf", {"anyOf": []}, "/anyOf"),
    ("required that is no list", {"required": "a"}, "/required"),
]
