/* What a client has of a streamed answer already (see sent.h). */
#include "sent.h"

#include "base/limits.h"

enum { TOKENS_BYTES = FH_LIMIT_SENT_BYTES };

void fh_sent_init(fh_sent *s)
{
    *s = (fh_sent){.text = FH_BUF(FH_LIMIT_SENT_BYTES), .tokens = FH_BUF(TOKENS_BYTES)};
}

void fh_sent_fini(fh_sent *s)
{
    fh_buf_fini(&s->text);
    fh_buf_fini(&s->tokens);
}

void fh_sent_event(fh_sent *s, const fh_wire_event *e)
{
    s->logprobs |= e->logprobs != NULL;
    s->reasoning |= e->kind == FH_EVENT_REASONING;
    s->calls |= e->kind == FH_EVENT_CALL || e->kind == FH_EVENT_REFUSAL;
    if (e->kind == FH_EVENT_TEXT) fh_buf_add(&s->text, e->text.ptr, e->text.len);
    if (e->kind == FH_EVENT_FINISH) {
        s->finished = ++s->ended >= s->choices;
        s->finish = e->finish;
    }
}

static bool take_number(fh_str *rest, fh_str *ret)
{
    *rest = fh_str_trim(*rest);
    size_t len = 0;
    while (len < rest->len && rest->ptr[len] >= '0' && rest->ptr[len] <= '9') len++;
    *ret = (fh_str){rest->ptr, len};
    *rest = (fh_str){rest->ptr + len, rest->len - len};
    return len > 0 && len < 10;
}

void fh_sent_prompt(fh_str comment, fh_wire_usage *ret)
{
    fh_str word = FH_STR(" prompt "), prompt, cached;
    uint64_t prompt_tok, cached_tok;
    size_t at = fh_str_starts(comment, FH_STR("tok")) ? fh_str_find(comment, word) : comment.len;
    if (at == comment.len) return;
    fh_str rest = {comment.ptr + at + word.len, comment.len - at - word.len};
    if (!take_number(&rest, &prompt) || !take_number(&rest, &cached)) return;
    if (!fh_str_u64(prompt, UINT32_MAX, &prompt_tok) || !fh_str_u64(cached, UINT32_MAX, &cached_tok)) return;
    ret->prompt_tok = prompt_tok;
    ret->cached_tok = cached_tok;
}

void fh_sent_comment(fh_sent *s, fh_str comment, bool piece)
{
    fh_str prefix = FH_STR("tok"), number;
    s->pieces += piece;
    if (!fh_str_starts(comment, prefix)) {
        s->untold |= piece;
        return;
    }
    fh_str rest = {comment.ptr + prefix.len, comment.len - prefix.len};
    for (; take_number(&rest, &number); s->token_count++) {
        if (s->tokens.len) fh_buf_addc(&s->tokens, ',');
        fh_buf_add(&s->tokens, number.ptr, number.len);
    }
}

uint64_t fh_sent_count(const fh_sent *s)
{
    return s->untold || !s->token_count ? s->pieces : s->token_count;
}

bool fh_sent_any(const fh_sent *s)
{
    return s->pieces || s->token_count || s->reasoning || s->calls;
}

fh_resume fh_sent_resume(const fh_sent *s, fh_resume how)
{
    if (s->choices > 1 || how == FH_RESUME_NEVER) return FH_RESUME_NEVER;
    if (how == FH_RESUME_TOKENS && !s->untold && fh_buf_ok(&s->tokens)) return FH_RESUME_TOKENS;
    bool silent_thought = s->reasoning && !s->text.len;
    return s->calls || silent_thought || s->logprobs || !fh_buf_ok(&s->text) ? FH_RESUME_NEVER : FH_RESUME_TEXT;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

fh_str fh_sent_text(const fh_sent *s)
{
    fh_str text = {fh_buf_cstr(&s->text), s->text.len};
    while (text.len && is_blank(text.ptr[text.len - 1])) text.len--;
    return text;
}

void fh_sent_expect_blanks(fh_sent *s)
{
    s->again = s->text.len - fh_sent_text(s).len;
}

void fh_sent_seam(fh_sent *s, fh_str *text)
{
    const char *end = fh_buf_cstr(&s->text) + s->text.len;
    for (; s->again && text->len; s->again--) {
        if (text->ptr[0] != *(end - s->again)) {
            s->again = 0; /* it goes on in another way */
            return;
        }
        *text = (fh_str){text->ptr + 1, text->len - 1};
    }
}
