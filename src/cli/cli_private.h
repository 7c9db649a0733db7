/* What the files of cli/ share: verbs declared in tables, the flags that a person gave, output as tables or JSON, and the connection to a
 * server.
 *
 * A verb is one fh_cli_verb, defined in the cmd_*.c that holds it and listed once in verbs.c. From that table come dispatch, `help`, each
 * verb's --help, shell completion and man pages: there is no second list. A verb's function prints its result to standard output and
 * returns 0, or a negative code with an error that says what failed, why and what to do; cli.c prints it and picks the exit status.
 * Threads: one, but for `serve` and `engine`, which start their own. */
#ifndef FH_CLI_PRIVATE_H
#define FH_CLI_PRIVATE_H

#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "json/json.h"
#include <stdint.h>
#include <stdio.h>

typedef enum fh_cli_kind { FH_CLI_BOOL, FH_CLI_TEXT, FH_CLI_INT, FH_CLI_REAL } fh_cli_kind;

typedef struct fh_cli_flag {
    const char *name; /* long form without dashes; NULL ends a table */
    char letter;      /* short form, or 0 */
    fh_cli_kind kind;
    const char *value; /* how help names the value: "N", "FILE"; NULL for FH_CLI_BOOL */
    const char *help;  /* one line */
    int64_t min, max;  /* FH_CLI_INT, FH_CLI_REAL: what is allowed */
} fh_cli_flag;

typedef struct fh_cli fh_cli;

typedef struct fh_cli_verb {
    const char *name;     /* "ps", "key create" */
    const char *group;    /* heading under which `help` lists it; NULL: not listed there (another spelling of a listed one) */
    const char *summary;  /* one line, lower case, no full stop */
    const char *operands; /* "MODEL [PROMPT]", "" for none */
    unsigned min_operands, max_operands;
    const char *about;           /* paragraphs separated by blank lines, for --help and the man page; may be NULL */
    const char *const *examples; /* NULL-terminated command lines; may be NULL */
    const fh_cli_flag *flags;    /* its own, ended by a row without name; may be NULL. The common ones (fh_cli_common) are added */
    int (*run)(fh_cli *c, fh_err **err);
    bool own_key_file; /* its --key-file is not the key for the server: that one comes from the environment or its usual place */
    bool no_json;      /* it runs until it is stopped, and has no result to print: --json is refused */
} fh_cli_verb;

extern const fh_cli_verb *const fh_cli_verbs[]; /* NULL-terminated, in the order of help */
extern const fh_cli_flag fh_cli_common[];       /* flags that every verb takes */
extern const char *const fh_cli_groups[];       /* NULL-terminated, in the order of help */

typedef struct fh_cli_variable {
    const char *name, *help;
} fh_cli_variable;
extern const fh_cli_variable fh_cli_environment[]; /* what is read from the environment, ended by a row without name */

enum { FH_CLI_GIVEN_MAX = 64 };

struct fh_cli {
    const fh_cli_verb *verb;
    struct {
        const fh_cli_flag *flag;
        const char *value;
    } given[FH_CLI_GIVEN_MAX];
    size_t given_count;
    char **operands; /* borrowed from argv */
    size_t operand_count;
    bool json; /* --json was given */
};

/* verbs.c. words are those of the command line; *ret_used is how many of them name the verb. NULL when there is none. */
const fh_cli_verb *fh_cli_verb_find(char *const *words, size_t count, size_t *ret_used);
enum { FH_CLI_PAGE_NAME = 64 };
void fh_cli_page_name(const fh_cli_verb *v,
                      char out[FH_CLI_PAGE_NAME]);     /* "key create" has the manual page freehold-key-create: "key-create" */
const fh_cli_verb *fh_cli_verb_page(const char *page); /* NULL when there is none */
const char *fh_cli_verb_nearest(const char *word);     /* NULL when nothing is near */
/* Verbs of two words: "node" begins many and is none itself. */
bool fh_cli_verb_begins(const fh_cli_verb *v, const char *word);
bool fh_cli_verb_is_family(const char *word);
const char *fh_cli_verb_nearest_of(const char *family, const char *word); /* the whole name; NULL when nothing is near */

/* flags.c. args are what follows the verb; operands are moved to the front of it. */
int fh_cli_parse(fh_cli *c, const fh_cli_verb *verb, char **args, size_t count, fh_err **err);
/* As if it had been given; a flag of the verb's own with a value, which is borrowed. */
int fh_cli_give(fh_cli *c, const char *flag, const char *value, fh_err **err);
bool fh_cli_has(const fh_cli *c, const char *flag);
const char *fh_cli_text(const fh_cli *c, const char *flag, const char *otherwise); /* the last one given */
const char *fh_cli_nth(const fh_cli *c, const char *flag, size_t n);               /* the nth given, from 0; NULL beyond */
int64_t fh_cli_int(const fh_cli *c, const char *flag, int64_t otherwise);
double fh_cli_real(const fh_cli *c, const char *flag, double otherwise);
/* A time as "90s", "10m", "12h" or "7d", up to most_s; *ret_s stays when the flag was not given. */
int fh_cli_duration(const fh_cli *c, const char *flag, int64_t most_s, int64_t *ret_s, fh_err **err);
static inline const char *fh_cli_operand(const fh_cli *c, size_t i)
{
    return i < c->operand_count ? c->operands[i] : NULL;
}

/* help.c, man.c, completion.c: all from the table of verbs. */
void fh_cli_help_all(fh_buf *out);
void fh_cli_help_verb(const fh_cli_verb *v, fh_buf *out);
void fh_cli_help_family(const char *word, fh_buf *out);
void fh_cli_usage_line(const fh_cli_verb *v, fh_buf *out);
void fh_cli_wrap(fh_buf *out, const char *text, unsigned indent, unsigned width); /* fills lines; blank lines separate paragraphs */
void fh_cli_man(const fh_cli_verb *v, fh_buf *out);                               /* NULL: the page of freehold itself */
bool fh_cli_completion(const char *shell, fh_buf *out);                           /* false for an unknown shell */

/* output.c. On a terminal everything loses its control characters (C0 but for line ends and tabs, C1, DEL); elsewhere bytes stay as they
 * are. */
bool fh_cli_clean(fh_buf *out, fh_str text);                   /* appends text without control characters */
bool fh_cli_write(FILE *to, fh_str text);                      /* at once; false when that fails */
int fh_cli_print(const fh_buf *text, fh_err **err);            /* to standard output; a write error is an error */
int fh_cli_print_json(const fh_json *v, fh_err **err);         /* one document, indented, with a line end */
int fh_cli_print_json_line(const fh_json *v, fh_err **err);    /* one line of JSON lines */
void fh_cli_report(const char *verb, const fh_err *err);       /* "freehold VERB: what: why" and what to do, to standard error */
bool fh_cli_terminal_out(void);                                /* standard output is a terminal */
void fh_cli_bytes(uint64_t bytes, char *out, size_t out_size); /* "1.4 GB" */
void fh_cli_age(int64_t ns, char *out, size_t out_size);       /* "5s", "12m", "3h", "4d" */

/* interrupt.c: between begin and end a signal only sets caught. INTERRUPT: Ctrl-C, as often as it comes. END: whatever asks a program to
 * end, once; the second ends it. */
typedef enum fh_cli_catch { FH_CLI_CATCH_INTERRUPT, FH_CLI_CATCH_END } fh_cli_catch;
void fh_cli_catch_begin(fh_cli_catch what);
bool fh_cli_caught(void);
void fh_cli_catch_end(fh_cli_catch what);

/* table.c: a table of text that fits FH_CLI_COLUMNS. Cells are copied. When rows are too wide, columns marked to shrink are cut with an
 * ellipsis; then the last one, if marked so, is wrapped. Names that a person types must not shrink. */
enum { FH_CLI_COLUMNS = 100, FH_CLI_TABLE_COLUMNS = 12, FH_CLI_WRAP_COLUMNS = 24 }; /* the last: what wrapped text gets at least */
typedef enum fh_cli_align {
    FH_CLI_LEFT,
    FH_CLI_RIGHT,
    FH_CLI_SHRINK,
    FH_CLI_WRAP
} fh_cli_align; /* SHRINK: left, and may be cut; WRAP: left, the last */
typedef struct fh_cli_column {
    const char *title; /* NULL ends the list */
    fh_cli_align align;
} fh_cli_column;
typedef struct fh_cli_table fh_cli_table;
fh_cli_table *fh_cli_table_new(const fh_cli_column *columns);
void fh_cli_table_free(fh_cli_table *t);
bool fh_cli_table_add(fh_cli_table *t, const char *const *cells); /* as many as there are columns; control characters become blanks */
bool fh_cli_table_write(const fh_cli_table *t, fh_buf *out);
FH_DEFINE_AUTO(fh_cli_table, fh_cli_table_free);

/* The verbs, each in the cmd_*.c that is named after it. */
extern const fh_cli_verb fh_verb_help, fh_verb_version, fh_verb_completion;
extern const fh_cli_verb fh_verb_run, fh_verb_plan, fh_verb_ps, fh_verb_stop, fh_verb_wake, fh_verb_roll, fh_verb_events, fh_verb_logs;
extern const fh_cli_verb fh_verb_models, fh_verb_show, fh_verb_models_show, fh_verb_list, fh_verb_import, fh_verb_verify;
extern const fh_cli_verb fh_verb_serve, fh_verb_console, fh_verb_key_create, fh_verb_key_list, fh_verb_key_rotate, fh_verb_key_revoke;
extern const fh_cli_verb fh_verb_catalog_list, fh_verb_catalog_add, fh_verb_catalog_remove, fh_verb_catalog_update, fh_verb_catalog_revert;
extern const fh_cli_verb fh_verb_offers_import, fh_verb_offers_lists, fh_verb_offers_forget;
extern const fh_cli_verb fh_verb_node_token, fh_verb_node_join, fh_verb_node_key, fh_verb_node_list, fh_verb_node_show, fh_verb_node_leave,
    fh_verb_node_rank, fh_verb_node_drain, fh_verb_node_undrain, fh_verb_node_remove, fh_verb_node_check, fh_verb_node_clear;
extern const fh_cli_verb fh_verb_provider_add, fh_verb_provider_list, fh_verb_provider_check, fh_verb_provider_clear,
    fh_verb_provider_remove, fh_verb_provider_rentals, fh_verb_provider_take_over, fh_verb_guard;
extern const fh_cli_verb fh_verb_usage_list, fh_verb_usage_show;
extern const fh_cli_verb fh_verb_group_create, fh_verb_group_list, fh_verb_group_remove;
extern const fh_cli_verb fh_verb_energy_compare, fh_verb_energy_factors;
extern const fh_cli_verb fh_verb_doctor;
extern const fh_cli_verb fh_verb_engine, fh_verb_bench, fh_verb_eval, fh_verb_tokenize, fh_verb_detokenize;

#endif
