/* Help texts, made from the table of verbs; and the verbs help, version and completion. */
#include "cli_private.h"

#include <string.h>

enum { HELP_WIDTH = FH_CLI_COLUMNS, SUMMARY_COLUMN = 24 };

static void add_blanks(fh_buf *out, size_t n)
{
    while (n-- > 0) fh_buf_addc(out, ' ');
}

/* Adds the words of one paragraph, broken at width. */
static void wrap_paragraph(fh_buf *out, const char *text, size_t len, unsigned indent, unsigned width)
{
    size_t column = 0;
    for (size_t i = 0; i < len;) {
        size_t blank = strspn(text + i, " \n");
        if (i + blank >= len) break;
        i += blank;
        size_t word = FH_MIN(strcspn(text + i, " \n"), len - i);
        bool fits = column > 0 && column + 1 + word <= width;
        if (column > 0) fh_buf_addc(out, fits ? ' ' : '\n');
        if (!fits) add_blanks(out, indent);
        fh_buf_add(out, text + i, word);
        column = fits ? column + 1 + word : indent + word;
        i += word;
    }
    fh_buf_addc(out, '\n');
}

void fh_cli_wrap(fh_buf *out, const char *text, unsigned indent, unsigned width)
{
    bool first = true;
    while (*text) {
        const char *end = strstr(text, "\n\n");
        size_t len = end ? (size_t)(end - text) : strlen(text);
        if (!first) fh_buf_addc(out, '\n');
        first = false;
        wrap_paragraph(out, text, len, indent, width);
        text += len;
        while (*text == '\n') text++;
    }
}

static void write_flag_name(fh_buf *out, const fh_cli_flag *f)
{
    if (f->letter) fh_buf_addf(out, "-%c, ", f->letter);
    fh_buf_addf(out, "--%s", f->name);
    if (f->value) fh_buf_addf(out, " %s", f->value);
}

void fh_cli_usage_line(const fh_cli_verb *v, fh_buf *out)
{
    fh_buf_addf(out, "freehold %s", v->name);
    if (v->operands[0]) fh_buf_addf(out, " %s", v->operands);
    fh_buf_adds(out, " [flags]");
}

/* "  left        right", the right part wrapped in its own column. */
static void write_row(fh_buf *out, const char *left, const char *right, unsigned column)
{
    size_t start = out->len;
    fh_buf_addf(out, "  %s", left);
    size_t used = out->len - start;
    if (used + 2 > column) {
        fh_buf_addc(out, '\n');
        used = 0;
    }
    FH_AUTO(buf) fh_buf text = FH_BUF(1 << 16);
    fh_cli_wrap(&text, right, column, HELP_WIDTH);
    fh_buf_adds(out, fh_buf_cstr(&text) + FH_MIN(used, text.len));
}

static void write_flags(fh_buf *out, const fh_cli_flag *list, const fh_cli_flag *hidden_by)
{
    for (const fh_cli_flag *f = list; f && f->name; f++) {
        bool hidden = false;
        for (const fh_cli_flag *h = hidden_by; h && h->name; h++) hidden |= strcmp(h->name, f->name) == 0;
        if (hidden) continue;
        FH_AUTO(buf) fh_buf name = FH_BUF(256);
        write_flag_name(&name, f);
        write_row(out, fh_buf_cstr(&name), f->help, SUMMARY_COLUMN + 4);
    }
}

void fh_cli_help_verb(const fh_cli_verb *v, fh_buf *out)
{
    fh_buf_addf(out, "freehold %s: %s\n\nUsage: ", v->name, v->summary);
    fh_cli_usage_line(v, out);
    fh_buf_addc(out, '\n');
    if (v->about) {
        fh_buf_addc(out, '\n');
        fh_cli_wrap(out, v->about, 0, HELP_WIDTH);
    }
    fh_buf_adds(out, "\nFlags:\n");
    write_flags(out, v->flags, NULL);
    write_flags(out, fh_cli_common, v->flags);
    if (!v->examples) return;
    fh_buf_adds(out, "\nExamples:\n");
    for (size_t i = 0; v->examples[i]; i++) fh_buf_addf(out, "  %s\n", v->examples[i]);
}

static void write_summary(fh_buf *out, const fh_cli_verb *v)
{
    FH_AUTO(buf) fh_buf name = FH_BUF(256);
    fh_buf_addf(&name, "%s%s%s", v->name, v->operands[0] ? " " : "", v->operands);
    write_row(out, fh_buf_cstr(&name), v->summary, SUMMARY_COLUMN);
}

static void write_group(fh_buf *out, const char *group)
{
    bool any = false;
    for (size_t i = 0; fh_cli_verbs[i]; i++) {
        const fh_cli_verb *v = fh_cli_verbs[i];
        if (!v->group || strcmp(v->group, group) != 0) continue;
        if (!any) fh_buf_addf(out, "\n%s:\n", group);
        any = true;
        write_summary(out, v);
    }
}

void fh_cli_help_family(const char *word, fh_buf *out)
{
    fh_buf_addf(out, "Usage: freehold %s COMMAND [arguments] [flags]\n\n", word);
    for (size_t i = 0; fh_cli_verbs[i]; i++)
        if (fh_cli_verb_begins(fh_cli_verbs[i], word)) write_summary(out, fh_cli_verbs[i]);
    fh_buf_addf(out, "\n`freehold %s COMMAND --help` says more about each.\n", word);
}

void fh_cli_help_all(fh_buf *out)
{
    fh_buf_adds(out, "freehold " FH_VERSION ": own and run open models\n\nUsage: freehold COMMAND [arguments] [flags]\n");
    for (size_t i = 0; fh_cli_groups[i]; i++) write_group(out, fh_cli_groups[i]);
    fh_buf_adds(out, "\nEnvironment (flags win over it):\n");
    for (const fh_cli_variable *v = fh_cli_environment; v->name; v++) write_row(out, v->name, v->help, SUMMARY_COLUMN);
    fh_buf_adds(out, "\n`freehold COMMAND --help` says more about each. Every command takes --json.\n");
}

/* The operands of help name a verb, in one word or two. */
static int help_target(const fh_cli *c, const fh_cli_verb **ret, fh_err **err)
{
    size_t used = 0;
    *ret = NULL;
    if (c->operand_count == 0) return 0;
    *ret = fh_cli_verb_page(c->operands[0]);
    if (*ret && c->operand_count == 1) return 0;
    *ret = fh_cli_verb_find(c->operands, c->operand_count, &used);
    if (*ret && used == c->operand_count) return 0;
    fh_err_set(err, FH_E_USAGE, "no such command: %s", c->operands[FH_MIN(used, c->operand_count - 1)]);
    fh_err_hint(err, "`freehold help` lists all commands");
    return FH_E_USAGE;
}

/* One page name a line, as `help --man` takes them: what an installation makes manual pages of. */
static void write_page_names(fh_buf *out)
{
    for (size_t i = 0; fh_cli_verbs[i]; i++) {
        char name[FH_CLI_PAGE_NAME];
        if (!fh_cli_verbs[i]->group) continue;
        fh_cli_page_name(fh_cli_verbs[i], name);
        fh_buf_addf(out, "%s\n", name);
    }
}

static fh_json *verb_json(const fh_cli_verb *v)
{
    fh_json *o = fh_json_new_object(), *flags = fh_json_new_array();
    for (const fh_cli_flag *f = v->flags; f && f->name; f++) {
        fh_json *row = fh_json_new_object();
        fh_json_set(row, "name", fh_json_new_cstr(f->name));
        fh_json_set(row, "value", fh_json_new_cstr(f->value));
        fh_json_set(row, "help", fh_json_new_cstr(f->help));
        fh_json_append(flags, row);
    }
    fh_json_set(o, "name", fh_json_new_cstr(v->name));
    fh_json_set(o, "summary", fh_json_new_cstr(v->summary));
    fh_json_set(o, "operands", fh_json_new_cstr(v->operands));
    fh_json_set(o, "flags", flags);
    return o;
}

static int help_json(const fh_cli_verb *only, const char *family, fh_err **err)
{
    FH_AUTO(json) fh_json *list = fh_json_new_array();
    for (size_t i = 0; fh_cli_verbs[i]; i++) {
        const fh_cli_verb *v = fh_cli_verbs[i];
        if ((!only || v == only) && (!family || fh_cli_verb_begins(v, family))) fh_json_append(list, verb_json(v));
    }
    return fh_cli_print_json(list, err);
}

static int print_family(const fh_cli *c, const char *word, fh_err **err)
{
    FH_AUTO(buf) fh_buf out = FH_BUF(1 << 20);
    if (c->json) return help_json(NULL, word, err);
    fh_cli_help_family(word, &out);
    return fh_cli_print(&out, err);
}

static int run_help(fh_cli *c, fh_err **err)
{
    const fh_cli_verb *v;
    if (c->operand_count == 1 && !fh_cli_has(c, "man") && fh_cli_verb_is_family(c->operands[0])) return print_family(c, c->operands[0], err);
    int rc = help_target(c, &v, err);
    if (rc) return rc;
    if (c->json) return help_json(v, NULL, err);
    FH_AUTO(buf) fh_buf out = FH_BUF(1 << 20);
    if (fh_cli_has(c, "verbs"))
        write_page_names(&out);
    else if (fh_cli_has(c, "man"))
        fh_cli_man(v, &out);
    else if (v)
        fh_cli_help_verb(v, &out);
    else
        fh_cli_help_all(&out);
    return fh_cli_print(&out, err);
}

static int run_version(fh_cli *c, fh_err **err)
{
    if (c->json) {
        FH_AUTO(json) fh_json *o = fh_json_new_object();
        fh_json_set(o, "version", fh_json_new_cstr(FH_VERSION));
        return fh_cli_print_json(o, err);
    }
    FH_AUTO(buf) fh_buf out = FH_BUF(256);
    fh_buf_adds(&out, "freehold " FH_VERSION "\n");
    return fh_cli_print(&out, err);
}

static int completion_json(const char *shell, const fh_buf *script, fh_err **err)
{
    FH_AUTO(json) fh_json *o = fh_json_new_object();
    fh_json_set(o, "shell", fh_json_new_cstr(shell));
    fh_json_set(o, "script", fh_json_new_str((fh_str){fh_buf_cstr(script), script->len}));
    return fh_cli_print_json(o, err);
}

static int run_completion(fh_cli *c, fh_err **err)
{
    FH_AUTO(buf) fh_buf out = FH_BUF(1 << 20);
    const char *shell = fh_cli_operand(c, 0);
    if (fh_cli_completion(shell, &out)) return c->json ? completion_json(shell, &out, err) : fh_cli_print(&out, err);
    fh_err_set(err, FH_E_USAGE, "no completion for the shell '%.32s'", shell);
    fh_err_hint(err, "one of: bash, zsh, fish");
    return FH_E_USAGE;
}

static const fh_cli_flag help_flags[] = {
    {"man", 0, FH_CLI_BOOL, NULL, "print the manual page (roff) instead", 0, 0},
    {"verbs", 0, FH_CLI_BOOL, NULL, "print the names of all manual pages, one a line", 0, 0},
    {NULL, 0, FH_CLI_BOOL, NULL, NULL, 0, 0},
};

const fh_cli_verb fh_verb_help = {
    .name = "help",
    .group = "About freehold",
    .summary = "what a command does and which flags it takes",
    .operands = "[COMMAND]",
    .max_operands = 2,
    .flags = help_flags,
    .run = run_help,
};

const fh_cli_verb fh_verb_version = {
    .name = "version",
    .group = "About freehold",
    .summary = "the version of this program",
    .operands = "",
    .run = run_version,
};

static const char *const completion_examples[] = {
    "freehold completion bash > /etc/bash_completion.d/freehold",
    "freehold completion zsh > \"${fpath[1]}/_freehold\"",
    "freehold completion fish > ~/.config/fish/completions/freehold.fish",
    NULL,
};

const fh_cli_verb fh_verb_completion = {
    .name = "completion",
    .group = "About freehold",
    .summary = "completion script for bash, zsh or fish",
    .operands = "bash|zsh|fish",
    .min_operands = 1,
    .max_operands = 1,
    .examples = completion_examples,
    .run = run_completion,
};
