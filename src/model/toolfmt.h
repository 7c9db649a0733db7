/* What the files of toolfmt*.c share: the table of families, and the state of a parser. */
#ifndef FH_MODEL_TOOLFMT_PRIVATE_H
#define FH_MODEL_TOOLFMT_PRIVATE_H

#include "base/arena.h"
#include "base/limits.h"
#include "model/toolfmt.h"
#include "model/vocab.h"

/* ---- families ---- */

typedef enum tf_style {            /* how a call is written between its markers */
                        TF_JSON,   /* an object with a name and arguments, or an array of such */
                        TF_KEYED,  /* as TF_JSON, but the object's one key is the name and its value the arguments */
                        TF_NAMED,  /* the name, a marker, the arguments as a JSON object */
                        TF_TAGS,   /* the name, then a tag for each argument */
                        TF_NESTED, /* tags inside tags for arrays and objects */
                        TF_PYTHON, /* [name(key=value, ...), ...] with Python's literals */
                        TF_BRACES  /* call:name{key:value, ...} with strings between markers of their own */
} tf_style;

enum {
    TF_BARE = 1,            /* a reply that begins with a JSON object may be a call */
    TF_KNOWN_ONLY = 2,      /* the markers are weak: a name that no tool has is no call */
    TF_NEWLINES = 4,        /* a line feed after and before the value of an argument is not part of it */
    TF_ENTITIES = 8,        /* &quot; and &amp; in names */
    TF_KIMI_ID = 16,        /* functions.NAME:INDEX, which is also the id */
    TF_ENDS_THOUGHT = 32,   /* the call's marker is a token of its own: it ends a thought that was not closed */
    TF_THINK_ANYWHERE = 64, /* the thought's marker is a token of its own: it counts also behind text */
    TF_HARMONY = 128,       /* messages have headers that say channel and recipient */
    TF_RECIPIENT = 256,     /* messages have headers that say the recipient; self is the thought */
    TF_OR_JSON = 512,       /* instead of the family's style, JSON may follow the call's marker */
    TF_FUNCTIONARY = 1024,  /* "all" is no tool, but the answer */
    TF_ROLE_HEADERS = 2048, /* text between a message's start and its next marker is its role */
    TF_OR_PYTHON = 4096,    /* as TF_OR_JSON, name.call(key=value) */
    TF_LIST = 8192          /* TF_JSON: all calls are one array */
};

enum { TF_DROPS = 8 };

/* A marker of NULL is not there. '%' in a marker stands for the suffix that the template gives to all of its tags. */
typedef struct tf_family {
    const char *name;
    const char *signs[3];  /* all of them occur in the template or in what it renders */
    const char *unlike[2]; /* and none of these */
    tf_style style;
    unsigned flags;
    const char *think_open, *think_close;
    const char *section_open, *section_close; /* around all calls */
    const char *call_open, *call_close;
    const char *id_end;   /* TF_NAMED: what stands before it is the call's id */
    const char *name_end; /* TF_NAMED: before the arguments. TF_TAGS: behind the name; NULL: white space or '<' */
    const char *id_mark;  /* TF_NAMED: may stand between name and name_end, an id follows; TF_HARMONY: before the channel */
    const char *arg_open, *arg_key_end, *arg_value_open, *arg_close; /* TF_TAGS */
    const char *quote;       /* TF_BRACES: around strings. TF_NESTED: before each tag. TF_TAGS: ends names, attributes follow */
    const char *cdata_close; /* TF_TAGS: instead of arg_close, if the value began with <![CDATA[ */
    const char *answer_open; /* begins the answer where it has a marker */
    const char *header_open, *header_close; /* of a message */
    const char *name_key, *args_key;        /* TF_JSON: NULL: "name", "arguments" */
    const char *drops[TF_DROPS];            /* markers that say nothing */
} tf_family;

size_t tf_family_count(void);
const tf_family *tf_family_at(size_t i);

struct fh_toolfmt {
    tf_family f;                                 /* markers with the suffix put in */
    fh_arena *arena;                             /* owned: those markers */
    bool shows_tools, shows_calls, shows_system; /* the template does */
    bool text_arguments;                         /* the template takes arguments of calls as JSON text, not as objects */
};

/* Copies a family, "%" replaced in every marker. */
int tf_instance(fh_toolfmt **ret, const tf_family *family, fh_str suffix, fh_err **err);

/* ---- JSON that arrives in pieces ---- */

typedef enum tf_scan { TF_SCAN_MORE, TF_SCAN_DONE, TF_SCAN_DONE_BEFORE, TF_SCAN_BAD } tf_scan;

typedef struct tf_scanner { /* one JSON value, byte by byte */
    uint8_t state, digits;
    bool key;            /* the string is a key */
    const char *literal; /* rest of true, false, null */
    unsigned depth;
    uint8_t stack[FH_LIMIT_JSON_DEPTH]; /* '[' or '{' */
} tf_scanner;

void tf_scanner_init(tf_scanner *s);
/* DONE: the value ends with this byte; DONE_BEFORE: it ended before it (numbers). */
tf_scan tf_scanner_step(tf_scanner *s, char c);
/* The end of the text: was the value whole? Only numbers know it no sooner. */
bool tf_scanner_end(const tf_scanner *s);
/* Decodes a quoted JSON string; false when it is none or is too long. */
bool tf_unquote(fh_str quoted, fh_buf *out);

/* ---- the parser ---- */

typedef enum tf_mode {
    TF_IN_TEXT,
    TF_IN_HEADER,  /* of a message */
    TF_IN_SECTION, /* between calls */
    TF_IN_CALL,    /* from a call's marker to its end, by the family's style and p->phase */
    TF_IN_RAW      /* arguments that are no JSON, up to the call's closing marker */
} tf_mode;

typedef enum tf_action { TF_THINK, TF_ANSWER, TF_DROP, TF_CLOSE, TF_HEADER, TF_SECTION, TF_CALL } tf_action;

typedef struct tf_marker {
    fh_str text;
    tf_action action;
} tf_marker;

enum { TF_MARKERS = 24, TF_LEVELS = 8, TF_HEADER_BYTES = 512, TF_SPACE_BYTES = 4096 };

typedef enum tf_value { TF_STRING, TF_JSON_VALUE, TF_EITHER } tf_value;

struct fh_toolfmt_parser {
    const fh_toolfmt *f;
    const fh_json *tools;
    fh_toolfmt_sink *sink;
    void *ctx;
    fh_err **err; /* of the call that runs */
    tf_marker markers[TF_MARKERS];
    size_t marker_count;

    fh_buf hold; /* what was not yet accounted for begins at from */
    size_t from;
    size_t at;       /* how far behind from the reader of a call has looked */
    size_t end;      /* of the text that may be looked at: not inside a character */
    size_t open_len; /* length of the marker that began what is being read */
    fh_buf space;    /* white space that may turn out to stand before a marker */
    fh_buf name, id, key, scratch;
    tf_scanner scan;           /* TF_JSON, TF_NAMED */
    size_t args_from, args_to; /* TF_JSON: arguments that came before the name */

    uint32_t calls, max_calls;
    uint32_t calls_at[TF_LEVELS]; /* TF_JSON: calls before each level */
    unsigned level, name_level;
    unsigned phase; /* of the style's reader */
    tf_mode mode;
    tf_value value;            /* TF_TAGS: of the argument */
    uint8_t levels[TF_LEVELS]; /* TF_JSON: '[' or '{' */

    bool final;
    bool thinking;
    bool started;              /* something but white space was seen */
    bool skip_newlines;        /* behind a thought's markers */
    bool long_space;           /* this run of white space was longer than is held */
    bool json_call;            /* this call is JSON in a family of another style */
    bool bare;                 /* and without a marker */
    bool committed;            /* a call behind the marker has begun: its text is consumed */
    bool in_section;           /* the marker was a section's */
    bool open;                 /* a call has begun and not ended */
    bool have_name;            /* TF_JSON */
    bool have_args, text_args; /* TF_JSON: they were seen; they are JSON inside a string. TF_NAMED: they have begun */
    bool first_arg;            /* TF_TAGS: none was written */
    bool value_begun;          /* TF_TAGS: what stands between tag and value is behind */
    bool value_streams, cdata; /* TF_TAGS: part of it was written, as a string; how it ends */
    bool stray;                /* TF_TAGS: between arguments there is text that is answer */
};

/* GO: something was done, look again. NEED: more text is needed. Negative: an error. */
enum { TF_NEED = 0, TF_GO = 1 };

fh_str tf_rest(const fh_toolfmt_parser *p); /* what the reader of a call may look at, from p->at on */
void tf_eat(fh_toolfmt_parser *p);          /* what the reader has looked at is accounted for */
void tf_skip_space(fh_toolfmt_parser *p);
/* What can be said about a marker at the beginning of s. */
typedef enum tf_match { TF_NO, TF_PARTLY, TF_YES } tf_match;
tf_match tf_starts(const fh_toolfmt_parser *p, fh_str s, const char *marker);
/* Where the marker is in s; if it is not there, how much of s cannot be its beginning, and *ret_found is false. */
size_t tf_find(const fh_toolfmt_parser *p, fh_str s, const char *marker, bool *ret_found);

size_t tf_scan_some(fh_toolfmt_parser *p, fh_str s, tf_scan *ret); /* by p->scan: how many bytes of s belong to the value */

int tf_emit(fh_toolfmt_parser *p, fh_toolfmt_kind kind, fh_str text);
bool tf_is_name(const fh_toolfmt_parser *p, fh_str name);
int tf_begin(fh_toolfmt_parser *p); /* p->name, p->id; GO, or what tf_no_call answers when it is no call */
int tf_args(fh_toolfmt_parser *p, fh_str text);
int tf_end(fh_toolfmt_parser *p, bool complete); /* GO */
int tf_no_call(fh_toolfmt_parser *p);            /* no call has begun, and what was read is answer after all; GO */
int tf_cut(fh_toolfmt_parser *p);                /* the call that has begun is broken; what was not eaten is answer; GO */
void tf_next_name(fh_toolfmt_parser *p);         /* forgets name, id and arguments of the call that ended */
int tf_leave(fh_toolfmt_parser *p);              /* the call's text is over: back to the section or the text; GO */
int tf_grown(fh_toolfmt_parser *p);              /* more is needed: NEED; or what tf_no_call or tf_cut answer when no more comes */
bool tf_known(const fh_toolfmt_parser *p, fh_str name);
const fh_json *tf_schema(const fh_toolfmt_parser *p, fh_str argument); /* of an argument of the call, or NULL */

int tf_header(fh_toolfmt_parser *p); /* toolfmt_named.c */
int tf_named(fh_toolfmt_parser *p);
int tf_raw(fh_toolfmt_parser *p);
int tf_json(fh_toolfmt_parser *p);  /* toolfmt_json.c */
int tf_tags(fh_toolfmt_parser *p);  /* toolfmt_tags.c */
int tf_whole(fh_toolfmt_parser *p); /* toolfmt_whole.c */

/* The type of an argument written as text, and its value as JSON. */
tf_value tf_value_type(const fh_json *schema);
bool tf_python_literal(fh_str text, fh_buf *out); /* a list, dictionary, ... as JSON; false, and nothing added, when it is none */
bool tf_value_json(tf_value type, const fh_json *schema, fh_str text, fh_buf *out);

#endif
