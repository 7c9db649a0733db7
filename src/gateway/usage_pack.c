/* Usage records packed for keeping (see gateway/usage.h).
 *
 *   record   = texts numbers count { text number number }      the last: failovers
 *   text     = 0 | length + 1, bytes                            0: as in the record before
 *   number   = little-endian base 128, the last byte below 128; what may be negative in zigzag; no count is beyond 2^63 - 1
 *
 * A change of the form is a new migration of table `usage`, which says what becomes of the old rows. */
#include "gateway/usage.h"

enum { TEXTS = 10, SIGNED = 6, COUNTS = 7, FLAGS = 6 };

/* ---- fields ---- */

static void texts_of(fh_usage *u, fh_str *ret[TEXTS])
{
    fh_str *all[TEXTS] = {&u->request, &u->key,    &u->operation, &u->model, &u->deployment,
                          &u->place,   &u->reason, &u->others,    &u->cache, &u->finish};
    memcpy(ret, all, sizeof all);
}

static void signed_of(const fh_usage *u, int64_t ret[SIGNED])
{
    const int64_t all[SIGNED] = {u->began_utc_ns, u->duration_ns, u->queued_ns, u->code, u->cost_nusd, u->energy_uj};
    memcpy(ret, all, sizeof all);
}

static void counts_of(const fh_usage *u, uint64_t ret[COUNTS])
{
    const uint64_t all[COUNTS] = {
        u->used.prompt_tok,          u->used.completion_tok,         u->used.cached_tok, u->used.reasoning_tok, u->used.unsent_tok,
        u->used.upstream_prompt_tok, u->used.upstream_completion_tok};
    memcpy(ret, all, sizeof all);
}

static void flags_of(fh_usage *u, bool *ret[FLAGS])
{
    bool *all[FLAGS] = {&u->stream, &u->complete, &u->used.has_upstream, &u->used.differs, &u->priced, &u->has_energy};
    memcpy(ret, all, sizeof all);
}

/* ---- packing ---- */

static void add_number(fh_buf *out, uint64_t n)
{
    char bytes[10];
    size_t len = 0;
    for (; n >= 128; n >>= 7) bytes[len++] = (char)(n | 128);
    bytes[len++] = (char)n;
    fh_buf_add(out, bytes, len);
}

static void add_signed(fh_buf *out, int64_t n)
{
    add_number(out, ((uint64_t)n << 1) ^ (n < 0 ? UINT64_MAX : 0));
}

static void add_text(fh_buf *out, fh_str text, const fh_str *before)
{
    bool same = before && fh_str_eq(text, *before);
    add_number(out, same ? 0 : text.len + 1);
    if (!same && text.len) fh_buf_add(out, text.ptr, text.len);
}

void fh_usage_pack(const fh_usage *u, const fh_usage *before, fh_buf *out)
{
    fh_usage one = *u, last = before ? *before : (fh_usage){.code = 0};
    fh_str *texts[TEXTS], *lasts[TEXTS];
    int64_t numbers[SIGNED];
    uint64_t counts[COUNTS], flags = 0;
    bool *bits[FLAGS];
    texts_of(&one, texts);
    texts_of(&last, lasts);
    signed_of(u, numbers);
    counts_of(u, counts);
    flags_of(&one, bits);
    for (size_t i = 0; i < TEXTS; i++) add_text(out, *texts[i], before ? lasts[i] : NULL);
    for (size_t i = 0; i < SIGNED; i++) add_signed(out, numbers[i]);
    for (size_t i = 0; i < COUNTS; i++) add_number(out, counts[i]);
    for (size_t i = 0; i < FLAGS; i++) flags |= (uint64_t)*bits[i] << i;
    add_number(out, flags);
    add_number(out, u->used.counted);
    add_number(out, u->used.covers);
    add_number(out, u->failover_count);
    for (size_t i = 0; i < u->failover_count; i++) {
        add_text(out, u->failovers[i].deployment, NULL);
        add_signed(out, u->failovers[i].code);
        add_number(out, u->failovers[i].at_tok);
    }
}

/* ---- unpacking ---- */

static bool take_number(fh_str *from, uint64_t *ret)
{
    uint64_t n = 0;
    for (unsigned shift = 0; from->len && shift < 64; shift += 7) {
        uint8_t byte = (uint8_t)from->ptr[0];
        *from = (fh_str){from->ptr + 1, from->len - 1};
        n |= (uint64_t)(byte & 127) << shift;
        if (byte < 128) {
            *ret = n;
            return true;
        }
    }
    return false;
}

static bool take_below(fh_str *from, uint64_t bound, uint64_t *ret)
{
    return take_number(from, ret) && *ret < bound;
}

static bool take_count(fh_str *from, uint64_t *ret)
{
    return take_below(from, (uint64_t)INT64_MAX + 1, ret);
}

static bool take_signed(fh_str *from, int64_t *ret)
{
    uint64_t n;
    if (!take_number(from, &n)) return false;
    *ret = (int64_t)(n >> 1) ^ -(int64_t)(n & 1);
    return true;
}

/* What is as before stays as it is in *text. */
static bool take_text(fh_str *from, fh_str *text)
{
    uint64_t n;
    if (!take_number(from, &n)) return false;
    if (n == 0) return true;
    if (n - 1 > from->len) return false;
    *text = (fh_str){from->ptr, (size_t)n - 1};
    *from = (fh_str){from->ptr + (n - 1), from->len - (size_t)(n - 1)};
    return true;
}

static void set_numbers(fh_usage *u, const int64_t s[SIGNED], const uint64_t c[COUNTS])
{
    u->began_utc_ns = s[0];
    u->duration_ns = s[1];
    u->queued_ns = s[2];
    u->code = (int)s[3];
    u->cost_nusd = s[4];
    u->energy_uj = s[5];
    u->used.prompt_tok = c[0];
    u->used.completion_tok = c[1];
    u->used.cached_tok = c[2];
    u->used.reasoning_tok = c[3];
    u->used.unsent_tok = c[4];
    u->used.upstream_prompt_tok = c[5];
    u->used.upstream_completion_tok = c[6];
}

static bool take_failovers(fh_str *from, fh_usage *u)
{
    uint64_t count;
    bool ok = take_below(from, FH_LIMIT_RECORD_ATTEMPTS + 1, &count);
    u->failover_count = 0;
    for (uint64_t i = 0; ok && i < count; i++) {
        fh_usage_failover *f = &u->failovers[i];
        int64_t code = 0;
        *f = (fh_usage_failover){.code = 0};
        ok = take_text(from, &f->deployment) && take_signed(from, &code) && take_count(from, &f->at_tok);
        f->code = (int)code;
        u->failover_count += ok;
    }
    return ok;
}

bool fh_usage_unpack(fh_str *packed, fh_usage *ret)
{
    fh_usage u = *ret;
    fh_str rest = *packed, *texts[TEXTS];
    int64_t numbers[SIGNED];
    uint64_t counts[COUNTS], flags = 0, counted = 0, covers = 0;
    bool *bits[FLAGS], ok = rest.len > 0;
    texts_of(&u, texts);
    flags_of(&u, bits);
    for (size_t i = 0; ok && i < TEXTS; i++) ok = take_text(&rest, texts[i]);
    for (size_t i = 0; ok && i < SIGNED; i++) ok = take_signed(&rest, &numbers[i]);
    for (size_t i = 0; ok && i < COUNTS; i++) ok = take_count(&rest, &counts[i]);
    ok = ok && take_below(&rest, 1u << FLAGS, &flags) && take_below(&rest, FH_COUNTED, &counted) && take_below(&rest, FH_COVERS, &covers);
    if (!ok || !take_failovers(&rest, &u)) return false;
    for (size_t i = 0; i < FLAGS; i++) *bits[i] = flags >> i & 1;
    set_numbers(&u, numbers, counts);
    u.used.counted = (fh_counted)counted;
    u.used.covers = (fh_covers)covers;
    *ret = u;
    *packed = rest;
    return true;
}
