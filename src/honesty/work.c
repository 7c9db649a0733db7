/* How a place has worked (see honesty/work.h). */
#include "honesty/work.h"

#include "base/limits.h"
#include "base/mem.h"
#include <math.h>
#include <stddef.h>

#define HOUR_S 3600.0
#define MOST   1e24 /* operations of years */
#define DAY_NS (24 * HOUR_S * 1e9)

static const struct {
    const char *name;
    size_t offset;
} fields[] = {{"good", offsetof(fh_honesty_work, good)},
              {"failed", offsetof(fh_honesty_work, failed)},
              {"tok", offsetof(fh_honesty_work, answer_tok)},
              {"busy_s", offsetof(fh_honesty_work, busy_s)},
              {"up_s", offsetof(fh_honesty_work, up_s)},
              {"down_s", offsetof(fh_honesty_work, down_s)},
              {"prompt_tok", offsetof(fh_honesty_work, prompt_tok)},
              {"prompt_s", offsetof(fh_honesty_work, prompt_s)},
              {"prompt_ops", offsetof(fh_honesty_work, prompt_ops)},
              {"decode_tok", offsetof(fh_honesty_work, decode_tok)},
              {"decode_s", offsetof(fh_honesty_work, decode_s)},
              {"read_bytes", offsetof(fh_honesty_work, read_bytes)}};

static double *field(fh_honesty_work *w, size_t i)
{
    return (double *)(void *)((char *)w + fields[i].offset);
}

/* A clock that was set back fades nothing. */
void fh_honesty_work_add(fh_honesty_work *w, const fh_honesty_work *more, int64_t now_utc_ns)
{
    double days = w->at_utc_ns ? FH_MAX((double)(now_utc_ns - w->at_utc_ns) / DAY_NS, 0.0) : 0,
           left = exp2(-days / FH_LIMIT_WORK_HALF_DAYS);
    fh_honesty_work added = *more;
    for (size_t i = 0; i < FH_COUNT(fields); i++) *field(w, i) = *field(w, i) * left + *field(&added, i);
    w->at_utc_ns = FH_MAX(w->at_utc_ns, now_utc_ns);
}

double fh_honesty_work_failing(const fh_honesty_work *w)
{
    return (w->failed + 1) / (w->good + w->failed + 4);
}

double fh_honesty_work_up(const fh_honesty_work *w)
{
    return (w->up_s + 3 * HOUR_S) / (w->up_s + w->down_s + 4 * HOUR_S);
}

double fh_honesty_work_tok_per_s(const fh_honesty_work *w)
{
    return w->answer_tok >= FH_LIMIT_WORK_SPEED_TOK && w->busy_s > 0 ? w->answer_tok / w->busy_s : 0;
}

static double rate(double what, double tok, double seconds)
{
    return tok >= FH_LIMIT_WORK_SPEED_TOK && seconds > 0 ? what / seconds : 0;
}

double fh_honesty_work_decode_tok_s(const fh_honesty_work *w)
{
    return rate(w->decode_tok, w->decode_tok, w->decode_s);
}

double fh_honesty_work_prompt_tok_s(const fh_honesty_work *w)
{
    return rate(w->prompt_tok, w->prompt_tok, w->prompt_s);
}

double fh_honesty_work_read_bytes_s(const fh_honesty_work *w)
{
    return rate(w->read_bytes, w->decode_tok, w->decode_s);
}

double fh_honesty_work_prompt_ops_s(const fh_honesty_work *w)
{
    return rate(w->prompt_ops, w->prompt_tok, w->prompt_s);
}

int fh_honesty_standing(const fh_honesty_work *w, fh_honesty_verdict v)
{
    static const double word[] = {
        [FH_HONESTY_UNKNOWN] = 0.75, [FH_HONESTY_HONEST] = 1, [FH_HONESTY_DOUBTED] = 0.25, [FH_HONESTY_CHEATS] = 0};
    return (int)lround(100 * (1 - fh_honesty_work_failing(w)) * fh_honesty_work_up(w) * word[v]);
}

fh_json *fh_honesty_work_write(const fh_honesty_work *w)
{
    fh_honesty_work copy = *w;
    fh_json *o = fh_json_new_object();
    bool ok = o && fh_json_set(o, "at_utc_ns", fh_json_new_int(w->at_utc_ns));
    for (size_t i = 0; ok && i < FH_COUNT(fields); i++) ok = fh_json_set(o, fields[i].name, fh_json_new_real(*field(&copy, i)));
    if (ok) return o;
    fh_json_unref(o);
    return NULL;
}

int fh_honesty_work_read(fh_honesty_work *ret, const fh_json *doc, fh_err **err)
{
    fh_honesty_work w = {.at_utc_ns = fh_json_int(fh_json_get(doc, "at_utc_ns"), 0)};
    bool ok = fh_json_kind_of(doc) == FH_JSON_OBJECT && w.at_utc_ns >= 0;
    for (size_t i = 0; ok && i < FH_COUNT(fields); i++) {
        double *v = field(&w, i);
        *v = fh_json_num(fh_json_get(doc, fields[i].name), 0);
        ok = isfinite(*v) && *v >= 0 && *v < MOST;
    }
    if (!ok) return fh_err_set(err, FH_E_CORRUPT, "how a place has worked is not well-formed");
    *ret = w;
    return 0;
}
