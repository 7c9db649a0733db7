/* Tables for people: columns as wide as their widest cell, two blanks between them, at most FH_CLI_COLUMNS characters a line. */
#include "cli_private.h"

#include <string.h>

struct fh_cli_table {
    const fh_cli_column *columns; /* borrowed */
    size_t column_count, row_count, row_cap;
    char **cells; /* owned: row_count x column_count, each owned */
};

fh_cli_table *fh_cli_table_new(const fh_cli_column *columns)
{
    fh_cli_table *t = fh_calloc(1, sizeof *t);
    if (!t) return NULL;
    t->columns = columns;
    while (columns[t->column_count].title && t->column_count < FH_CLI_TABLE_COLUMNS) t->column_count++;
    return t;
}

void fh_cli_table_free(fh_cli_table *t)
{
    if (!t) return;
    for (size_t i = 0; i < t->row_count * t->column_count; i++) fh_free(t->cells[i]);
    fh_free(t->cells);
    fh_free(t);
}

static bool grow(fh_cli_table *t)
{
    if (t->row_count < t->row_cap) return true;
    size_t cap = FH_MAX(t->row_cap * 2, (size_t)16), cells;
    if (fh_mul_overflows(cap, t->column_count, &cells)) return false;
    char **more = fh_realloc_array(t->cells, cells, sizeof *more);
    if (!more) return false;
    t->cells = more;
    t->row_cap = cap;
    return true;
}

static char *clean_copy(const char *text)
{
    char *copy = fh_strdup(text ? text : "");
    for (char *p = copy; p && *p; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f) *p = ' ';
    return copy;
}

bool fh_cli_table_add(fh_cli_table *t, const char *const *cells)
{
    if (!grow(t)) return false;
    char **row = t->cells + t->row_count * t->column_count;
    for (size_t i = 0; i < t->column_count; i++) {
        row[i] = clean_copy(cells[i]);
        if (row[i]) continue;
        while (i-- > 0) fh_free(row[i]);
        return false;
    }
    t->row_count++;
    return true;
}

/* Characters, not bytes. */
static size_t text_width(const char *s)
{
    size_t n = 0;
    for (; *s; s++) n += ((unsigned char)*s & 0xc0) != 0x80;
    return n;
}

static size_t line_width(const fh_cli_table *t, const size_t *widths)
{
    size_t sum = t->column_count ? 2 * (t->column_count - 1) : 0;
    for (size_t i = 0; i < t->column_count; i++) sum += widths[i];
    return sum;
}

/* The widest column that may be cut; column_count when none is left wider than its title. */
static size_t widest_shrinkable(const fh_cli_table *t, const size_t *widths)
{
    size_t best = t->column_count;
    for (size_t i = 0; i < t->column_count; i++) {
        if (t->columns[i].align != FH_CLI_SHRINK || widths[i] <= FH_MAX(text_width(t->columns[i].title), (size_t)8)) continue;
        if (best == t->column_count || widths[i] > widths[best]) best = i;
    }
    return best;
}

static void measure(const fh_cli_table *t, size_t *widths)
{
    for (size_t i = 0; i < t->column_count; i++) {
        widths[i] = text_width(t->columns[i].title);
        for (size_t r = 0; r < t->row_count; r++) widths[i] = FH_MAX(widths[i], text_width(t->cells[r * t->column_count + i]));
    }
    size_t last = t->column_count - 1, wrapped = t->column_count && t->columns[last].align == FH_CLI_WRAP ? widths[last] : 0;
    if (wrapped) widths[last] = FH_MIN(wrapped, (size_t)FH_CLI_WRAP_COLUMNS);
    while (line_width(t, widths) > FH_CLI_COLUMNS) {
        size_t i = widest_shrinkable(t, widths);
        if (i == t->column_count) return;
        widths[i]--;
    }
    if (wrapped) widths[last] = FH_MIN(wrapped, widths[last] + FH_CLI_COLUMNS - line_width(t, widths));
}

static void add_blanks(fh_buf *out, size_t n)
{
    while (n-- > 0) fh_buf_addc(out, ' ');
}

/* The first `characters` characters of s. */
static void add_prefix(fh_buf *out, const char *s, size_t characters)
{
    size_t bytes = 0;
    while (s[bytes]) {
        bool starts = ((unsigned char)s[bytes] & 0xc0) != 0x80;
        if (starts && characters-- == 0) break;
        bytes++;
    }
    fh_buf_add(out, s, bytes);
}

/* Text over several lines, broken at blanks, each under the first. */
static void write_wrapped(fh_buf *out, const char *s, size_t indent, size_t width)
{
    FH_AUTO(buf) fh_buf text = FH_BUF(1 << 20);
    fh_cli_wrap(&text, s, (unsigned)indent, (unsigned)(indent + width));
    while (text.len && text.data[text.len - 1] == '\n') text.data[--text.len] = '\0';
    fh_buf_adds(out, fh_buf_cstr(&text) + FH_MIN(indent, text.len));
}

static void write_cell(fh_buf *out, const char *s, fh_cli_align align, size_t width, bool last)
{
    size_t n = text_width(s);
    if (n > width) {
        add_prefix(out, s, width - 1);
        fh_buf_adds(out, "\xe2\x80\xa6");
        n = width;
    } else {
        if (align == FH_CLI_RIGHT) add_blanks(out, width - n);
        fh_buf_adds(out, s);
        if (align == FH_CLI_RIGHT) n = width;
    }
    if (!last) add_blanks(out, width - n + 2);
}

static void trim_line_end(fh_buf *out)
{
    while (out->len && out->data[out->len - 1] == ' ') out->data[--out->len] = '\0';
    fh_buf_addc(out, '\n');
}

bool fh_cli_table_write(const fh_cli_table *t, fh_buf *out)
{
    size_t widths[FH_CLI_TABLE_COLUMNS] = {0};
    measure(t, widths);
    for (size_t i = 0; i < t->column_count; i++)
        write_cell(out, t->columns[i].title, t->columns[i].align, widths[i], i + 1 == t->column_count);
    trim_line_end(out);
    for (size_t r = 0; r < t->row_count; r++) {
        for (size_t i = 0; i < t->column_count; i++) {
            const char *cell = t->cells[r * t->column_count + i];
            if (t->columns[i].align == FH_CLI_WRAP)
                write_wrapped(out, cell, line_width(t, widths) - widths[i], widths[i]);
            else
                write_cell(out, cell, t->columns[i].align, widths[i], i + 1 == t->column_count);
        }
        trim_line_end(out);
    }
    return fh_buf_ok(out);
}
