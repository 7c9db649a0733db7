/* The beginning of one exchange: what the client asks and wishes, whose it is, and whether its key may (see exchange.h). */
#include "exchange.h"
#include "kinds.h"
#include "limit_headers.h"

#include <stdio.h>
#include <string.h>

enum { BYTES_PER_TOK = 4, EXPECT_ANSWER_TOK = 256 };

/* How long a prompt takes tells whether somebody sent its beginning before: so engines reuse what they computed only among requests of
 * one salt, which is made here from the key and a secret, and never taken from the client. */
static int make_salt(const fh_gateway *g, fh_str key_id, char out[33], fh_err **err)
{
    uint8_t digest[32];
    FH_AUTO(buf) fh_buf text = FH_BUF(1024);
    fh_buf_addf(&text, "%s %.*s", g->secret, (int)FH_MIN(key_id.len, (size_t)256), key_id.ptr ? key_id.ptr : "");
    int rc = fh_buf_check(&text, err, "the salt");
    if (rc) return rc;
    if (!fh_sha256((fh_str){text.data, text.len}, digest)) return fh_err_set(err, FH_E_INTERNAL, "SHA-256 is not available");
    for (size_t i = 0; i < 16; i++) snprintf(out + 2 * i, 3, "%02x", digest[i]);
    return 0;
}

static int bad_wish(const char *header, const char *may_be, fh_err **err)
{
    fh_err_set(err, FH_E_INVALID, "%s must be %s", header, may_be);
    fh_err_param(err, "%s", header);
    return FH_E_INVALID;
}

static int read_names(const fh_exchange *x, const char *header, char out[FH_LIMIT_NAMES_BYTES], fh_err **err)
{
    fh_str names = fh_http_req_header(x->req, header);
    if (names.len >= FH_LIMIT_NAMES_BYTES) return bad_wish(header, "a few names of models with commas between them", err);
    if (names.len) memcpy(out, names.ptr, names.len);
    return 0;
}

/* The request's regions, which its key must allow; else the key's. */
static int read_regions(fh_exchange *x, fh_err **err)
{
    static const char header[] = "x-freehold-region";
    const char *allowed = x->key.regions;
    char *regions = x->rules.regions;
    fh_str said = fh_http_req_header(x->req, header), one;
    memcpy(regions, allowed, sizeof x->rules.regions);
    int rc = said.ptr ? fh_regions_parse(said, regions, err) : 0;
    for (size_t i = 0; !rc && allowed[0] && (one = fh_regions_at(regions, i)).len; i++) {
        char name[FH_REGION_CHARS];
        snprintf(name, sizeof name, "%.*s", (int)one.len, one.ptr);
        if (!fh_regions_hold(allowed, name))
            rc = fh_err_set(err, FH_E_FORBIDDEN, "this key's requests may be answered in %s, not in %s", allowed, name);
    }
    if (rc) fh_err_param(err, "%s", header);
    return rc;
}

/* Who may read it: as it says, else as its key does, else what the user has or rented. It can say no more than its key: both hold. */
static int read_trust(fh_exchange *x, fh_err **err)
{
    static const char header[] = "x-freehold-trust";
    fh_rules *r = &x->rules;
    fh_str said = fh_http_req_header(x->req, header);
    snprintf(r->key_trust, sizeof r->key_trust, "%s", x->key.trust);
    snprintf(r->trust, sizeof r->trust, "%s", x->key.trust[0] ? x->key.trust : fh_trust_name(FH_TRUST_RENTED));
    int rc = said.ptr ? fh_trusts_parse(said, r->trust, err) : 0;
    if (rc) fh_err_param(err, "%s", header);
    return rc;
}

static int read_rules(fh_exchange *x, fh_err **err)
{
    fh_rules *r = &x->rules;
    fh_str licence = fh_http_req_header(x->req, "x-freehold-licence"), cost = fh_http_req_header(x->req, "x-freehold-max-cost");
    r->licence = FH_TERMS_RESTRICTED;
    r->max_nusd = -1;
    int rc = read_names(x, "x-freehold-models", r->models, err);
    if (!rc) rc = read_names(x, "x-freehold-exclude", r->exclude, err);
    if (!rc) rc = read_regions(x, err);
    if (!rc) rc = read_trust(x, err);
    if (rc) return rc;
    if (licence.len && !fh_terms_parse(licence, &r->licence)) return bad_wish("x-freehold-licence", "free, ask or restricted", err);
    if (cost.len && !fh_cost_parse(cost, &r->max_nusd)) return bad_wish("x-freehold-max-cost", "an amount such as 0.02 or 0.02USD", err);
    return 0;
}

static int read_wishes(fh_exchange *x, fh_err **err)
{
    fh_str prefer = fh_http_req_header(x->req, "x-freehold-prefer");
    x->prefer = x->key.prefer;
    if (prefer.len && !fh_prefer_parse(prefer, &x->prefer)) return bad_wish("x-freehold-prefer", "price, speed, energy or balance", err);
    return read_rules(x, err);
}

/* For a stream, so that another replica can go on with it; never 0, and exact as a JSON number everywhere. */
static int draw_seed(uint64_t *ret, fh_err **err)
{
    uint64_t seed;
    int rc = fh_random_bytes(&seed, sizeof seed, err);
    if (rc == 0) *ret = (seed >> 16) | 1;
    return rc;
}

static int read_ask(fh_exchange *x, fh_str key_id, fh_err **err)
{
    int rc = x->dialect == FH_DIALECT_RESPONSES
                 ? fh_turn_new(&x->turn, &x->ask, x->gateway->config.responses, !x->counting, x->request_id, key_id, x->body, err)
                 : fh_ask_read(&x->ask, x->dialect, x->counting, x->body, err);
    if (rc) return rc;
    const fh_wire_request *r = &x->ask.common;
    x->wants_stream = r->stream && !x->counting;
    x->include_usage = r->include_usage;
    x->needs = r->needs;
    x->forced_needs = fh_wire_forced_needs(r);
    if (x->wants_stream) rc = draw_seed(&x->seed, err);
    if (rc) return rc;
    if (r->model.len >= sizeof x->model) return fh_err_set(err, FH_E_NOT_FOUND, "there is no model with a name of %zu bytes", r->model.len);
    memcpy(x->model, r->model.ptr, r->model.len);
    return 0;
}

static int know_prefix(fh_exchange *x, fh_err **err)
{
    fh_prefix *p = fh_alloc(sizeof *p);
    if (!p) return fh_err_nomem(err);
    fh_prefix_of(p, x->salt, &x->ask.common);
    if (p->count) {
        fh_prefix *fitted = fh_realloc_array(p, 1, offsetof(fh_prefix, blocks) + p->count * sizeof *p->blocks);
        x->prefix = fitted ? fitted : p;
    } else
        fh_free(p);
    return 0;
}

static int hold(fh_exchange *x, fh_err **err)
{
    const fh_gateway *g = x->gateway;
    if (g->config.holds.hold) fh_exchange_price(x, &x->hold.in_nusd, &x->hold.out_nusd);
    int rc = fh_holds_take(g->holds, g->hold_count, &x->hold, &x->leases, err);
    fh_limit_headers_add(x->req, &x->leases.list[0].limits, x->dialect == FH_DIALECT_MESSAGES);
    x->retry_ns = rc ? fh_holds_retry_ns(&x->leases) : 0;
    x->lane->metrics.limited += rc != 0;
    uint64_t most = fh_holds_answer_tok(&x->leases);
    if (!x->hold.answer_tok || most < x->hold.answer_tok) x->most_tok = (int64_t)most; /* of all choices */
    return rc;
}

/* How much of a prompt and an answer is expected. */
static void expect(fh_exchange *x)
{
    bool counted = x->op == FH_OP_TOKENIZE || x->counting; /* that is all: an engine computes nothing for it */
    int64_t max = x->dialect == FH_DIALECTS ? 0 : x->ask.common.sampling.max_tokens * x->ask.common.choices;
    x->hold = (fh_hold){.key = &x->key,
                        .prompt_tok = counted ? 0 : x->body.len / BYTES_PER_TOK,
                        .answer_tok = max > 0 ? (uint64_t)max : 0,
                        .no_answer = counted || x->op == FH_OP_EMBED};
    x->expect_tok = fh_hold_guess_tok(&x->hold);
    x->prompt_bytes = x->dialect == FH_DIALECTS ? x->body.len : fh_request_text_bytes(&x->ask.common);
    x->rules.answer_tok = x->hold.answer_tok ? x->hold.answer_tok : EXPECT_ANSWER_TOK;
    x->rules.prompt_tok = x->dialect == FH_DIALECTS ? 0 : x->prompt_bytes / BYTES_PER_TOK;
}

/* What passes as it is. */
static void read_raw(fh_exchange *x, fh_str model)
{
    snprintf(x->model, sizeof x->model, "%.*s", (int)FH_MIN(model.len, sizeof x->model - 1), model.ptr);
}

int fh_exchange_read(fh_exchange *x, const fh_key *key, fh_str model, fh_err **err)
{
    bool raw = x->dialect == FH_DIALECTS;
    x->key = *key;
    int rc = raw ? 0 : read_ask(x, fh_str_of(key->id), err);
    if (raw) read_raw(x, model);
    if (!rc) rc = read_wishes(x, err);
    if (!rc) rc = fh_exchange_read_cache(x, err);
    if (!rc) rc = fh_exchange_read_patience(x, err);
    if (!rc) rc = make_salt(x->gateway, fh_str_of(key->id), x->salt, err);
    if (!rc && !raw) rc = know_prefix(x, err);
    if (!rc) expect(x);
    if (!rc) rc = hold(x, err);
    return rc;
}
