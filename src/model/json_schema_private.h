/* What the files of the schema compiler share.
 *
 * A schema becomes rules of GBNF. The unit is a conjunction: the schemas that one value must satisfy together ($ref and allOf add to it,
 * anyOf and oneOf branch it). Each conjunction becomes one rule, remembered by its members, so a schema that refers to itself becomes a
 * rule that does. What is generated is a part of what the schema allows, never more: every choice that narrows it is named in
 * docs/STRUCTURED.md. */
#ifndef FH_MODEL_JSON_SCHEMA_PRIVATE_H
#define FH_MODEL_JSON_SCHEMA_PRIVATE_H

#include "base/arena.h"
#include "base/limits.h"
#include "base/map.h"
#include "model/grammar.h"

enum { SCHEMA_PARTS = 24 };

/* What a step of compiling answers: a negative code of base/err.h, or one of these. */
enum { SCHEMA_IMPOSSIBLE = 0, SCHEMA_POSSIBLE = 1 };

enum { SKIP_ANY_OF = 1, SKIP_ONE_OF = 2 };

typedef struct schema_part {
    const fh_json *schema; /* an object, or boolean (false) */
    const char *at;        /* its JSON pointer; the arena's */
    unsigned skip;         /* keywords that were dealt with: SKIP_* */
} schema_part;

typedef struct schema_all {
    schema_part parts[SCHEMA_PARTS];
    size_t count;
} schema_all;

typedef struct schema_build {
    const fh_json *root, *string; /* string: {"type":"string"} */
    const char *rule, *param;
    fh_buf *out;
    fh_arena *arena;
    fh_map *rules; /* of schema_rule; by the members of a conjunction */
    unsigned rule_count, depth;
    bool has_basics;
    const char *why_at, *why; /* the first reason why something cannot be satisfied; NULL */
    fh_err **err;
} schema_build;

/* ---- json_schema.c ---- */
/* The rule of a conjunction, made when it is new. */
int schema_rule(schema_build *b, const schema_all *all, const char **ret_name);
const char *schema_new_rule(schema_build *b); /* a name that is free; NULL: out of memory */
int schema_add_rule(schema_build *b, const char *name, const fh_buf *body);
/* Remembers why, answers SCHEMA_IMPOSSIBLE. */
int schema_impossible(schema_build *b, const char *at, const char *keyword, const char *why);
/* FH_E_INVALID naming the keyword. */
int schema_refuse(schema_build *b, const char *at, const char *keyword, const char *fmt, ...) __attribute__((format(printf, 4, 5)));
const char *schema_pointer(schema_build *b, const char *at, fh_str key); /* at/key, escaped */
const char *schema_pointer_index(schema_build *b, const char *at, const char *key, size_t i);
static inline bool schema_failed(const schema_build *b, const fh_buf *body) /* of writers that check once */
{
    return !fh_buf_ok(b->out) || !fh_buf_ok(body);
}
int schema_memory(schema_build *b, const fh_buf *body); /* the error of a buffer that failed, or out of memory */

/* ---- json_schema_parts.c: keywords, $ref, allOf ---- */
/* Adds a schema with all that it refers to. POSSIBLE, or IMPOSSIBLE for `false`. */
int schema_add_part(schema_build *b, schema_all *all, const fh_json *schema, const char *at);
const fh_json *schema_get(const schema_part *p, const char *keyword); /* NULL when absent */

enum { /* types as a set; 1.0 is an integer for validators, ours are written without a point */
       TYPE_NULL = 1,
       TYPE_BOOLEAN = 2,
       TYPE_INTEGER = 4,
       TYPE_FRACTION = 8, /* numbers that need not be integers */
       TYPE_STRING = 16,
       TYPE_ARRAY = 32,
       TYPE_OBJECT = 64,
       TYPE_NUMBER = TYPE_INTEGER | TYPE_FRACTION,
       TYPE_ALL = 127
};
int schema_types(schema_build *b, const schema_all *all, unsigned *ret);
/* A keyword's count over all parts: the largest least or the smallest most; ret_at: where it stands. */
typedef struct schema_count {
    uint64_t value;
    const char *at; /* NULL: not given */
} schema_count;
int schema_count_read(schema_build *b, const schema_all *all, const char *keyword, bool largest, schema_count *ret);

/* ---- one file a type; each appends the right side of a rule ---- */
int schema_object(schema_build *b, const schema_all *all, fh_buf *body);
int schema_array(schema_build *b, const schema_all *all, fh_buf *body);
int schema_string(schema_build *b, const schema_all *all, fh_buf *body); /* with its quotes */
int schema_number(schema_build *b, const schema_all *all, bool fractions, fh_buf *body);
/* enum and const. *ret_found: there is one, body has its alternatives. */
int schema_values(schema_build *b, const schema_all *all, fh_buf *body, bool *ret_found);
int schema_value_fits(schema_build *b, const schema_all *all, const fh_json *value); /* against types, sizes and bounds */
/* The first enum or const of a conjunction as a list; NULL when there is none. const counts as a list of one (*ret_single). */
const fh_json *schema_value_list(const schema_all *all, bool *ret_single, const schema_part **ret_part);

/* json_schema_one_of.c: whether nothing that is generated for a also satisfies b, and the other way round. */
bool schema_disjoint(schema_build *b, const schema_all *x, const schema_all *y);

/* ---- json_schema_regex.c: patterns ---- */
/* The characters of a JSON string that match, as GBNF without the quotes. min and max: characters. IMPOSSIBLE: no string does. */
int schema_regex(schema_build *b, const char *at, const char *keyword, fh_str pattern, uint64_t min, uint64_t max, fh_buf *body);
const char *schema_format_pattern(fh_str format); /* json_schema_format.c; NULL when the format is not known */

/* ---- json_schema_digits.c ---- */
/* Decimal integers from low to high (at most 18 digits), and decimal numbers between two bounds, up to SCHEMA_WHOLE_MAX. */
enum { SCHEMA_WHOLE_MAX = 999999999 };
void schema_digits_integer(fh_buf *body, int64_t low, int64_t high);
typedef struct schema_bound {
    bool given, exclusive;
    double value;
    const char *at, *keyword;
} schema_bound;
void schema_digits_number(fh_buf *body, const schema_bound *low, const schema_bound *high, bool *ret_any);

#endif
