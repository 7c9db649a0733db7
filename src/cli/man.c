/* Manual pages in roff, made from the table of verbs: freehold(1) and one page a verb, freehold-VERB(1). */
#include "cli_private.h"

#include <string.h>

/* Text for roff: backslashes and hyphens escaped, a leading dot or quote made harmless. */
static void add_text(fh_buf *out, const char *s)
{
    if (*s == '.' || *s == '\'') fh_buf_adds(out, "\\&");
    for (; *s; s++) {
        if (*s == '\\')
            fh_buf_adds(out, "\\e");
        else if (*s == '-')
            fh_buf_adds(out, "\\-");
        else
            fh_buf_addc(out, *s);
        if (*s == '\n' && (s[1] == '.' || s[1] == '\'')) fh_buf_adds(out, "\\&");
    }
}

static void add_paragraphs(fh_buf *out, const char *text)
{
    while (*text) {
        const char *end = strstr(text, "\n\n");
        size_t len = end ? (size_t)(end - text) : strlen(text);
        FH_AUTO(buf) fh_buf one = FH_BUF(1 << 16);
        fh_buf_add(&one, text, len);
        fh_buf_adds(out, ".PP\n");
        add_text(out, fh_buf_cstr(&one));
        fh_buf_addc(out, '\n');
        text += len;
        while (*text == '\n') text++;
    }
}

static void add_flags(fh_buf *out, const fh_cli_flag *list)
{
    for (const fh_cli_flag *f = list; f && f->name; f++) {
        fh_buf_adds(out, ".TP\n\\fB");
        if (f->letter) fh_buf_addf(out, "\\-%c\\fR, \\fB", f->letter);
        fh_buf_adds(out, "\\-\\-");
        add_text(out, f->name);
        fh_buf_adds(out, "\\fR");
        if (f->value) {
            fh_buf_adds(out, " \\fI");
            add_text(out, f->value);
            fh_buf_adds(out, "\\fR");
        }
        fh_buf_addc(out, '\n');
        add_text(out, f->help);
        fh_buf_addc(out, '\n');
    }
}

static void man_verb(const fh_cli_verb *v, fh_buf *out)
{
    char name[FH_CLI_PAGE_NAME];
    fh_cli_page_name(v, name);
    fh_buf_addf(out, ".TH FREEHOLD\\-%s 1 \"\" \"freehold " FH_VERSION "\"\n.SH NAME\nfreehold\\-%s \\- ", name, name);
    add_text(out, v->summary);
    fh_buf_adds(out, "\n.SH SYNOPSIS\n\\fBfreehold ");
    add_text(out, v->name);
    fh_buf_adds(out, "\\fR ");
    add_text(out, v->operands);
    fh_buf_adds(out, " [\\fIflags\\fR]\n");
    if (v->about) {
        fh_buf_adds(out, ".SH DESCRIPTION\n");
        add_paragraphs(out, v->about);
    }
    fh_buf_adds(out, ".SH OPTIONS\n");
    add_flags(out, v->flags);
    add_flags(out, fh_cli_common);
    for (size_t i = 0; v->examples && v->examples[i]; i++) {
        fh_buf_adds(out, i == 0 ? ".SH EXAMPLES\n.PP\n" : ".PP\n");
        add_text(out, v->examples[i]);
        fh_buf_addc(out, '\n');
    }
    fh_buf_adds(out, ".SH EXIT STATUS\n0 done, 1 failed, 2 wrong usage, 3 not found, 4 refused, 5 unavailable or timed out.\n.SH SEE "
                     "ALSO\n.BR freehold (1)\n");
}

static void man_all(fh_buf *out)
{
    fh_buf_adds(out, ".TH FREEHOLD 1 \"\" \"freehold " FH_VERSION "\"\n.SH NAME\nfreehold \\- own and run open models\n"
                     ".SH SYNOPSIS\n\\fBfreehold\\fR \\fICOMMAND\\fR [\\fIarguments\\fR] [\\fIflags\\fR]\n.SH COMMANDS\n");
    for (size_t i = 0; fh_cli_verbs[i]; i++) {
        const fh_cli_verb *v = fh_cli_verbs[i];
        if (!v->group) continue;
        fh_buf_adds(out, ".TP\n\\fB");
        add_text(out, v->name);
        fh_buf_adds(out, "\\fR ");
        add_text(out, v->operands);
        fh_buf_addc(out, '\n');
        add_text(out, v->summary);
        fh_buf_addc(out, '\n');
    }
    fh_buf_adds(out, ".SH OPTIONS\nEvery command takes these.\n");
    add_flags(out, fh_cli_common);
    fh_buf_adds(out, ".SH ENVIRONMENT\nFlags win over it.\n");
    for (const fh_cli_variable *v = fh_cli_environment; v->name; v++) {
        fh_buf_addf(out, ".TP\n.B %s\n", v->name);
        add_text(out, v->help);
        fh_buf_addc(out, '\n');
    }
    fh_buf_adds(out, ".SH EXIT STATUS\n0 done, 1 failed, 2 wrong usage, 3 not found, 4 refused, 5 unavailable or timed out.\n");
}

void fh_cli_man(const fh_cli_verb *v, fh_buf *out)
{
    if (v)
        man_verb(v, out);
    else
        man_all(out);
}
