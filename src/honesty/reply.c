/* Reading what an engine says of a completion's tokens (see reply.h). */
#include "honesty/reply.h"

#include "base/mem.h"
#include <math.h>

#define LEAST_LOGPROB (-9999.0) /* OpenAI's word for what is too unlikely for a float */

static double logprob_of(const fh_json *v)
{
    return FH_MIN(FH_MAX(fh_json_num(v, LEAST_LOGPROB), LEAST_LOGPROB), 0.0);
}

/* A token that is a part of a character, or a mark that has no text, has the same text as others: it cannot be found again. */
static bool is_plain(fh_str text)
{
    return text.len > 0 && fh_str_find(text, FH_STR("\xef\xbf\xbd")) == text.len;
}

static void add_top(fh_honesty_position *p, fh_str text, double logprob)
{
    if (is_plain(text) && p->top_count < FH_COUNT(p->top)) p->top[p->top_count++] = (fh_honesty_token){text, logprob};
}

static bool read_objects(fh_honesty_reply *r, const fh_json *content)
{
    for (size_t i = 0; i < fh_json_count(content); i++, r->count++) {
        if (r->count == FH_COUNT(r->positions)) return false;
        const fh_json *v = fh_json_at(content, i), *top = fh_json_get(v, "top_logprobs");
        fh_honesty_position *p = &r->positions[r->count];
        *p = (fh_honesty_position){.chosen = {fh_json_str(fh_json_get(v, "token")), logprob_of(fh_json_get(v, "logprob"))}};
        for (size_t k = 0; k < fh_json_count(top); k++)
            add_top(p, fh_json_str(fh_json_get(fh_json_at(top, k), "token")), logprob_of(fh_json_get(fh_json_at(top, k), "logprob")));
    }
    return true;
}

static bool read_arrays(fh_honesty_reply *r, const fh_json *logprobs)
{
    const fh_json *tokens = fh_json_get(logprobs, "tokens"), *values = fh_json_get(logprobs, "token_logprobs"),
                  *tops = fh_json_get(logprobs, "top_logprobs");
    for (size_t i = 0; i < fh_json_count(tokens); i++, r->count++) {
        if (r->count == FH_COUNT(r->positions)) return false;
        fh_honesty_position *p = &r->positions[r->count];
        *p = (fh_honesty_position){.chosen = {fh_json_str(fh_json_at(tokens, i)), logprob_of(fh_json_at(values, i))}};
        const fh_json *top = fh_json_kind_of(tops) == FH_JSON_ARRAY ? fh_json_at(tops, i) : NULL, *value;
        fh_str text;
        if (fh_json_kind_of(top) != FH_JSON_OBJECT) continue;
        for (void *it = NULL; fh_json_next(top, &it, &text, &value);) add_top(p, text, logprob_of(value));
    }
    return true;
}

int fh_honesty_reply_read(fh_honesty_reply *ret, const fh_json *doc, fh_err **err)
{
    const fh_json *choices = fh_json_get(doc, "choices"), *usage = fh_json_get(doc, "usage");
    const fh_json *choice = fh_json_kind_of(choices) == FH_JSON_ARRAY ? fh_json_at(choices, 0) : NULL;
    const fh_json *logprobs = fh_json_get(choice, "logprobs"), *content = fh_json_get(logprobs, "content");
    ret->text = fh_json_str(fh_json_get(choice, "text"));
    ret->ended = fh_str_eqs(fh_json_str(fh_json_get(choice, "finish_reason")), "stop");
    ret->prompt_tok = fh_json_int(fh_json_get(usage, "prompt_tokens"), -1);
    ret->completion_tok = fh_json_int(fh_json_get(usage, "completion_tokens"), -1);
    ret->count = 0;
    if (!ret->text.ptr) return fh_err_set(err, FH_E_UPSTREAM, "it does not answer with a completion");
    bool objects = fh_json_kind_of(content) == FH_JSON_ARRAY, arrays = fh_json_kind_of(fh_json_get(logprobs, "tokens")) == FH_JSON_ARRAY;
    if ((objects && !read_objects(ret, content)) || (arrays && !objects && !read_arrays(ret, logprobs)))
        return fh_err_set(err, FH_E_UPSTREAM, "it tells of more than the %d tokens that were asked for", FH_LIMIT_HONESTY_ANSWER_TOK);
    if (!ret->count) return fh_err_set(err, FH_E_UPSTREAM, "it does not tell how likely its tokens were, so what answers cannot be seen");
    return 0;
}

bool fh_honesty_reply_whole(const fh_honesty_reply *r)
{
    bool ascii = true;
    for (size_t i = 0; i < r->text.len; i++) ascii = ascii && (uint8_t)r->text.ptr[i] < 0x80;
    return r->completion_tok < 0 || (int64_t)r->count == r->completion_tok ||
           (r->ended && ascii && (int64_t)r->count + 1 == r->completion_tok);
}

int64_t fh_honesty_reply_tok(const fh_honesty_reply *r, int64_t fallback)
{
    int64_t told = 0;
    fh_str rest = r->text;
    for (size_t i = 0; i < r->count && rest.len; i++) {
        fh_str t = r->positions[i].chosen.text;
        if (!t.len || !fh_str_starts(rest, t)) return fallback;
        rest = (fh_str){rest.ptr + t.len, rest.len - t.len};
        told++;
    }
    return rest.len ? fallback : told;
}

static int64_t id_at(const fh_json *tokens, size_t i)
{
    return fh_json_int(fh_json_get(fh_json_at(tokens, i), "id"), -1);
}

static bool begins_with(const fh_json *both, const fh_json *prompt)
{
    size_t count = fh_json_count(prompt);
    if (fh_json_count(both) < count) return false;
    for (size_t i = 0; i < count; i++)
        if (id_at(both, i) != id_at(prompt, i)) return false;
    return true;
}

/* A token that is no UTF-8 of its own is bytes here and unreadable there: not shared. */
size_t fh_honesty_shared(const fh_honesty_reply *r, const fh_json *prompt, const fh_json *both)
{
    bool arrays = fh_json_kind_of(prompt) == FH_JSON_ARRAY && fh_json_kind_of(both) == FH_JSON_ARRAY;
    size_t n = 0, first = arrays ? fh_json_count(prompt) : 0, have = arrays && begins_with(both, prompt) ? fh_json_count(both) : 0;
    for (; n < r->count && first + n < have; n++) {
        fh_str piece = fh_json_str(fh_json_get(fh_json_at(both, first + n), "piece"));
        if (!piece.ptr || !r->positions[n].chosen.text.ptr || !fh_str_eq(piece, r->positions[n].chosen.text)) break;
    }
    return n;
}
