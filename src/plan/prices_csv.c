/* CSV in SkyPilot's columns (RFC 4180: quotes, doubled quotes, line ends of both kinds). A row is copied to one place of a fixed size, so
 * that no row can take more memory. */
#include "base/mem.h"
#include "prices_private.h"

#include <string.h>

enum { FIELDS = 64, ROW_BYTES = 65536 };
enum column { INSTANCE, NAME, COUNT, PRICE, SPOT, REGION, INFO, COLUMNS };
static const char *const titles[COLUMNS] = {"InstanceType", "AcceleratorName", "AcceleratorCount", "Price",
                                            "SpotPrice",    "Region",          "GpuInfo"};

typedef struct csv {
    prices *p;
    fh_str text;
    size_t at;
    uint32_t line, row_line; /* of what is read; of the row's beginning */
    size_t begin;            /* of the line, in text */
    char *row;               /* ROW_BYTES */
    size_t used;
    fh_str fields[FIELDS];
    size_t count, header_count;
    size_t where[COLUMNS]; /* of each column, FIELDS: not there */
} csv;

static int bad(const csv *c, const char *why, fh_err **err)
{
    fh_err_set(err, FH_E_INVALID, "%.*s: line %u, column %zu: %s", (int)c->p->file.len, c->p->file.ptr, c->line, c->at - c->begin + 1, why);
    fh_err_hint(err, "a price list has the columns of SkyPilot's catalog, or is JSON: docs/PLANNING.md");
    return FH_E_INVALID;
}

static int bad_field(const csv *c, enum column col, const char *why, fh_err **err)
{
    fh_str f = c->fields[c->where[col]];
    fh_err_set(err, FH_E_INVALID, "%.*s: line %u, column %zu (%s): \"%.*s\" %s", (int)c->p->file.len, c->p->file.ptr, c->row_line,
               c->where[col] + 1, titles[col], (int)FH_MIN(f.len, (size_t)64), f.ptr, why);
    fh_err_hint(err, "mend that line, or take it out");
    return FH_E_INVALID;
}

static int put(csv *c, char byte, fh_err **err)
{
    if (c->used == ROW_BYTES) return bad(c, "the row is longer than 65,536 bytes", err);
    c->row[c->used++] = byte;
    return 0;
}

static bool at_end(const csv *c)
{
    return c->at >= c->text.len;
}

static int read_quoted(csv *c, fh_err **err)
{
    int rc = 0;
    for (c->at++; !rc && !at_end(c); c->at++) {
        char b = c->text.ptr[c->at];
        if (b == '"' && (c->at + 1 >= c->text.len || c->text.ptr[c->at + 1] != '"')) {
            c->at++;
            if (at_end(c) || strchr(",\r\n", c->text.ptr[c->at])) return 0;
            return bad(c, "text behind the closing quote", err);
        }
        if (b == '"') c->at++;
        rc = put(c, b, err);
        if (b == '\n') {
            c->line++;
            c->begin = c->at + 1;
        }
    }
    return rc ? rc : bad(c, "the quote is not closed", err);
}

static int read_plain(csv *c, fh_err **err)
{
    int rc = 0;
    for (; !rc && !at_end(c) && c->text.ptr[c->at] != ',' && c->text.ptr[c->at] != '\n'; c->at++) {
        char b = c->text.ptr[c->at];
        if (b == '"') return bad(c, "a quote inside a field", err);
        if ((unsigned char)b < ' ' && b != '\t' && b != '\r') return bad(c, "a control character", err);
        rc = put(c, b, err);
    }
    return rc;
}

/* One line into fields; count 0 at the end. */
static int read_row(csv *c, fh_err **err)
{
    c->used = c->count = 0;
    c->row_line = c->line;
    while (!at_end(c)) {
        if (c->count == FIELDS) return bad(c, "more than 64 fields", err);
        size_t from = c->used;
        int rc = c->text.ptr[c->at] == '"' ? read_quoted(c, err) : read_plain(c, err);
        if (rc) return rc;
        if (!at_end(c) && c->text.ptr[c->at] == '\r') c->at++; /* behind a closing quote */
        c->fields[c->count++] = fh_str_trim((fh_str){c->row + from, c->used - from});
        if (at_end(c)) return 0;
        if (c->text.ptr[c->at++] == ',') {
            if (!at_end(c)) continue;
            if (c->count < FIELDS) c->fields[c->count++] = (fh_str){"", 0};
            return 0;
        }
        c->line++;
        c->begin = c->at;
        return 0;
    }
    return 0;
}

static int read_header(csv *c, fh_err **err)
{
    if (fh_str_starts(c->text, FH_STR("\xef\xbb\xbf"))) c->at = 3;
    int rc = read_row(c, err);
    if (rc) return rc;
    for (size_t k = 0; k < COLUMNS; k++) c->where[k] = FIELDS;
    for (size_t i = 0; i < c->count; i++) {
        for (size_t k = 0; k < COLUMNS; k++) {
            if (!fh_str_eqs(c->fields[i], titles[k])) continue;
            if (c->where[k] != FIELDS)
                return fh_err_set(err, FH_E_INVALID, "%.*s: line 1, column %zu: %s stands there twice", (int)c->p->file.len, c->p->file.ptr,
                                  i + 1, titles[k]);
            c->where[k] = i;
        }
    }
    c->header_count = c->count;
    for (size_t k = 0; k <= PRICE; k++) {
        if (c->where[k] != FIELDS) continue;
        fh_err_set(err, FH_E_INVALID, "%.*s: line 1: there is no column %s", (int)c->p->file.len, c->p->file.ptr, titles[k]);
        fh_err_hint(err, "a price list has the columns of SkyPilot's catalog, or is JSON: docs/PLANNING.md");
        return FH_E_INVALID;
    }
    return 0;
}

static fh_str field(const csv *c, enum column col)
{
    return c->where[col] == FIELDS ? (fh_str){"", 0} : c->fields[c->where[col]];
}

static int read_number(const csv *c, enum column col, double max, double *ret, fh_err **err)
{
    fh_str f = field(c, col);
    *ret = 0;
    if (f.len == 0) return 0;
    if (!fh_str_f64(f, ret)) return bad_field(c, col, "is no number", err);
    return *ret >= 0 && *ret <= max ? 0 : bad_field(c, col, "is out of range", err);
}

/* Of one device, in 10^9 bytes; 0: not said. Some lists give the sum, and some even the count times that: the name decides (sold as). */
static double info_memory_gb(fh_str info)
{
    fh_str key = FH_STR("SizeInMiB");
    uint64_t mib = 0;
    size_t at = fh_str_find(info, key) + key.len, digits = 0;
    while (at < info.len && strchr("'\": ", info.ptr[at])) at++;
    while (at + digits < info.len && digits < 12 && info.ptr[at + digits] >= '0' && info.ptr[at + digits] <= '9') digits++;
    return at < info.len && fh_str_u64((fh_str){info.ptr + at, digits}, UINT32_MAX, &mib) ? (double)mib * 1048576 / 1e9 : 0;
}

static const fh_catalog_machine *device_of(csv *c, double count)
{
    fh_str name = field(c, NAME);
    double gb = info_memory_gb(field(c, INFO));
    if (gb > 0 && count > 1 && !fh_catalog_machine_sold(name, gb)) gb /= count;
    return prices_device(c->p, name, gb);
}

static int take_row(csv *c, fh_err **err)
{
    double count, price, spot;
    int rc = read_number(c, COUNT, 1e6, &count, err);
    if (!rc) rc = read_number(c, PRICE, DOLLARS_MAX, &price, err);
    if (!rc) rc = read_number(c, SPOT, DOLLARS_MAX, &spot, err);
    if (rc) return rc;
    c->p->sum.rows++;
    if (count == 0 || field(c, NAME).len == 0) {
        c->p->sum.no_device++;
        return 0;
    }
    if (count != (double)(uint32_t)count) return bad_field(c, COUNT, "is no count", err);
    if (!prices_priced(price) && !prices_priced(spot)) {
        c->p->sum.unpriced++;
        return 0;
    }
    const fh_catalog_machine *m = device_of(c, count);
    if (!m) return 0;
    if (count > FH_PLAN_MOST) {
        c->p->sum.unknown++;
        return 0;
    }
    fh_plan_listing l = {.trust = FH_TRUST_RENTED,
                         .place = c->p->seller,
                         .name = field(c, INSTANCE),
                         .region = field(c, REGION),
                         .row = c->row_line,
                         .device = m,
                         .devices = (uint32_t)count,
                         .machines = 1};
    rc = prices_put(c->p, &l, price, false, err);
    return rc ? rc : prices_put(c->p, &l, spot, true, err);
}

static int read_rows(csv *c, fh_err **err)
{
    int rc = read_header(c, err);
    while (!rc && !at_end(c)) {
        rc = read_row(c, err);
        if (rc || c->count == 0 || (c->count == 1 && c->fields[0].len == 0)) continue;
        if (c->count != c->header_count)
            return fh_err_set(err, FH_E_INVALID, "%.*s: line %u, column %zu: %zu fields, and the header has %zu", (int)c->p->file.len,
                              c->p->file.ptr, c->row_line, FH_MIN(c->count, c->header_count) + 1, c->count, c->header_count);
        rc = take_row(c, err);
    }
    return rc;
}

int prices_csv_read(prices *p, fh_str text, fh_err **err)
{
    FH_AUTO(ptr) csv *c = fh_calloc(1, sizeof *c);
    FH_AUTO(ptr) char *row = fh_alloc(ROW_BYTES);
    if (!c || !row) return fh_err_nomem(err);
    *c = (csv){.p = p, .text = text, .line = 1, .row = row};
    return read_rows(c, err);
}
