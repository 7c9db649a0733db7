/* Tokens of an exchange that are counted here, by its model's own tokenizer (see exchange.h, count.h).
 *
 * The prompt is counted while the replica works; the answer, a piece at a time, is kept beside what is passed on. A good answer's last
 * words, those that tell the usage, wait until it is counted. One that ends otherwise is counted behind: then a settlement, which has all
 * that is needed, settles and records it. */
#include "exchange.h"

#include "exchange_model.h"
#include "gateway/usage_store.h"

enum { RECORD_BYTES = 8192 };

/* ---- along the way ---- */

/* What no tokenizer counts: images, sounds, files. */
static bool has_media(const fh_exchange *x)
{
    return x->needs & (FH_NEED_BIT(IMAGES) | FH_NEED_BIT(AUDIO) | FH_NEED_BIT(FILES));
}

static void forget(fh_exchange *x)
{
    fh_count_leave(x->count);
    x->count = NULL;
    fh_heard_fini(&x->heard);
}

/* Another replica goes on by the same tokenizer, or nothing is counted: what was heard before would be missing. */
void fh_exchange_count_begin(fh_exchange *x)
{
    fh_tokenizers *t = x->gateway->config.tokenizers;
    if (x->count && fh_count_uses(x->count, x->route.tokenizer)) {
        if (!x->streaming) fh_heard_fini(&x->heard);
        return;
    }
    forget(x);
    if (!t || !x->route.tokenizer || x->streaming || x->counting || has_media(x)) return;
    x->count = fh_count_begin(t, x->route.tokenizer, &x->ask.common);
    if (!x->count) x->lane->metrics.uncounted++;
}

void fh_exchange_count_event(fh_exchange *x, const fh_wire_event *e)
{
    if (x->count) fh_heard_event(&x->heard, e);
}

bool fh_exchange_holds(const fh_exchange *x)
{
    return x->count && !x->has_counted && !x->heard.lost;
}

/* ---- a good end ---- */

/* What the replica says stays beside it. */
static void take_result(fh_exchange *x, const fh_count_result *r)
{
    x->has_counted = true;
    x->counted = *r;
}

static void counted(void *arg, fh_count *c)
{
    fh_exchange *x = arg;
    fh_count_result r;
    if (fh_count_get(c, &r))
        take_result(x, &r);
    else
        x->lane->metrics.uncounted++;
    x->then(x);
}

bool fh_exchange_counts(fh_exchange *x, void (*then)(fh_exchange *x))
{
    if (!x->count || x->has_counted) return false;
    if (!fh_count_answer(x->count, &x->heard)) {
        x->lane->metrics.uncounted++;
        forget(x);
        return false;
    }
    x->then = then;
    fh_count_then(x->count, x->lane->loop, counted, x);
    return true;
}

void fh_used_counted(fh_used *u, const fh_count_result *r)
{
    u->differs = u->has_upstream && fh_count_differs(r, u);
    u->prompt_tok = r->prompt_tok;
    u->completion_tok = r->completion_tok;
    u->counted = FH_COUNTED_FREEHOLD;
    u->covers = r->covers;
}

/* ---- any other end ---- */

/* All that is needed of an exchange that is gone. */
typedef struct settlement {
    const fh_gateway *gateway;
    fh_key key;
    fh_hold hold;
    fh_leases leases;
    fh_price price;
    fh_buf record; /* packed: so it has its texts with it */
} settlement;

static void settlement_free(settlement *s)
{
    fh_buf_fini(&s->record);
    fh_free(s);
}

/* On the tokenizers' thread, or at once. */
static void settle(void *arg, fh_count *c)
{
    settlement *s = arg;
    fh_count_result r;
    fh_usage u = {.code = 0};
    fh_str packed = {s->record.data, s->record.len};
    fh_usage_unpack(&packed, &u);
    if (fh_count_get(c, &r)) {
        fh_used_counted(&u.used, &r);
        fh_usage_reckon(&u, &s->price);
    }
    fh_spent spent = {.prompt_tok = u.used.prompt_tok,
                      .answer_tok = u.used.completion_tok + u.used.unsent_tok,
                      .in_nusd = s->price.in_nusd,
                      .out_nusd = s->price.out_nusd};
    fh_holds_settle(s->gateway->holds, &s->hold, &s->leases, &spent);
    if (s->gateway->config.usage) fh_usage_store_put(s->gateway->config.usage, &u);
    settlement_free(s);
}

static settlement *settlement_of(const fh_exchange *x)
{
    fh_usage u;
    settlement *s = fh_calloc(1, sizeof *s);
    if (!s) return NULL;
    *s = (settlement){.gateway = x->gateway, .key = x->key, .hold = x->hold, .leases = x->leases, .price = x->price};
    s->hold.key = &s->key;
    s->record = FH_BUF(RECORD_BYTES);
    fh_exchange_usage(x, &u);
    fh_usage_pack(&u, NULL, &s->record);
    if (fh_buf_ok(&s->record)) return s;
    settlement_free(s);
    return NULL;
}

bool fh_exchange_settles_later(fh_exchange *x)
{
    if (!x->count || x->has_counted || fh_exchange_leads(x)) return false;
    settlement *s = settlement_of(x);
    if (s && (x->then || fh_count_answer(x->count, &x->heard))) {
        fh_count_then(x->count, NULL, settle, s);
        return true;
    }
    if (s) settlement_free(s);
    x->lane->metrics.uncounted++;
    return false;
}

void fh_exchange_count_end(fh_exchange *x)
{
    forget(x);
}
