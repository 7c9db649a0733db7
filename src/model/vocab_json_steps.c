/* What a tokenizer.json does to text before and after BPE: normalizer, pre_tokenizer, post_processor. Each is a step or a Sequence of
 * steps; a step that is not one of those below, or has a setting that is not, is refused by name. */
#include "vocab_json.h"

#include <stdio.h>

#define BLANK "\xe2\x96\x81" /* U+2581 */

typedef struct reading {
    fh_tok_steps *to;
    fh_str steps[FH_PRE_STEPS_MAX]; /* of splitting */
    size_t count;
} reading;
typedef int read_step(reading *r, const fh_json *step, fh_err **err);

/* A step, or those of a Sequence (list: its member). */
static int each_step(reading *r, const fh_json *v, const char *list, read_step *fn, fh_err **err)
{
    if (fh_tok_absent(v)) return 0;
    if (!fh_str_eqs(fh_tok_type(v), "Sequence")) return fn(r, v, err);
    const fh_json *steps = fh_json_get(v, list);
    int rc = 0;
    for (size_t i = 0; i < fh_json_count(steps) && !rc; i++) rc = fn(r, fh_json_at(steps, i), err);
    return rc;
}

/* ---- normalizer ---- */

static bool replaces_blanks(const fh_json *step)
{
    return fh_str_eqs(fh_json_str(fh_json_get(fh_json_get(step, "pattern"), "String")), " ") &&
           fh_str_eqs(fh_json_str(fh_json_get(step, "content")), BLANK);
}

static int normalizer_step(reading *r, const fh_json *step, fh_err **err)
{
    fh_str type = fh_tok_type(step);
    if (fh_str_eqs(type, "NFC"))
        r->to->nfc = true;
    else if (fh_str_eqs(type, "Prepend") && fh_str_eqs(fh_json_str(fh_json_get(step, "prepend")), BLANK) && !r->to->blanks)
        r->to->prepends = true;
    else if (fh_str_eqs(type, "Replace") && replaces_blanks(step))
        r->to->blanks = true;
    else
        return fh_tok_refuse(err, "normalizer", type);
    return 0;
}

/* ---- pre-tokenizer ---- */

static int add_step(reading *r, fh_str step, fh_err **err)
{
    if (r->count == FH_PRE_STEPS_MAX) return fh_tok_refuse(err, "pre_tokenizer", FH_STR("more than 6 steps"));
    r->steps[r->count++] = step;
    return 0;
}

static int byte_level(reading *r, const fh_json *step, fh_err **err)
{
    bool prefix = true, regex = true; /* as the library has it when they are absent */
    int rc = fh_tok_bool(step, "pre_tokenizer", "add_prefix_space", &prefix, err);
    if (!rc) rc = fh_tok_bool(step, "pre_tokenizer", "use_regex", &regex, err);
    if (rc) return rc;
    if (prefix) return fh_tok_refuse(err, "pre_tokenizer", FH_STR("ByteLevel with add_prefix_space"));
    r->to->bytes = true;
    return add_step(r, regex ? FH_STR("<bytes and words>") : FH_STR("<bytes>"), err);
}

static int digits(reading *r, const fh_json *step, fh_err **err)
{
    bool individual = false;
    int rc = fh_tok_bool(step, "pre_tokenizer", "individual_digits", &individual, err);
    return rc ? rc : add_step(r, individual ? FH_STR("<digits>") : FH_STR("<runs of digits>"), err);
}

/* The matches and what is between them are words; or the matches alone, which is the same for a pattern that matches all of a text, as
 * each known one does that stands alone. */
static int split(reading *r, const fh_json *step, fh_err **err)
{
    fh_str regex = fh_json_str(fh_json_get(fh_json_get(step, "pattern"), "Regex")),
           string = fh_json_str(fh_json_get(fh_json_get(step, "pattern"), "String")), behavior = fh_json_str(fh_json_get(step, "behavior"));
    bool invert = false;
    int rc = fh_tok_bool(step, "pre_tokenizer", "invert", &invert, err);
    if (rc) return rc;
    bool no_blank_is_left = r->to->blanks && fh_str_eqs(string, " ");
    if (no_blank_is_left) return 0;
    bool isolated = fh_str_eqs(behavior, "Isolated") && !invert, alone = fh_str_eqs(behavior, "Removed") && invert && r->count == 0;
    if (!regex.len || !(isolated || alone)) return fh_tok_refuse(err, "pre_tokenizer", FH_STR("Split with these settings"));
    return add_step(r, regex, err);
}

static int metaspace(reading *r, const fh_json *step, fh_err **err)
{
    fh_tok_steps *to = r->to;
    fh_str scheme = fh_json_str(fh_json_get(step, "prepend_scheme"));
    bool prefix = true;
    to->splits = true;
    int rc = fh_tok_bool(step, "pre_tokenizer", "split", &to->splits, err);
    if (!rc) rc = fh_tok_bool(step, "pre_tokenizer", "add_prefix_space", &prefix, err); /* older files have this in place of a scheme */
    if (rc) return rc;
    if (!fh_str_eqs(fh_json_str(fh_json_get(step, "replacement")), BLANK))
        return fh_tok_refuse(err, "pre_tokenizer", FH_STR("Metaspace with another replacement"));
    to->first_only = fh_str_eqs(scheme, "first");
    to->metaspace = to->blanks = true;
    to->prepends = scheme.len ? to->first_only || fh_str_eqs(scheme, "always") : prefix;
    if (!scheme.len || to->prepends || fh_str_eqs(scheme, "never")) return 0;
    return fh_tok_refuse(err, "pre_tokenizer", FH_STR("Metaspace with this prepend_scheme"));
}

static int pre_step(reading *r, const fh_json *step, fh_err **err)
{
    fh_str type = fh_tok_type(step);
    if (fh_str_eqs(type, "ByteLevel")) return byte_level(r, step, err);
    if (fh_str_eqs(type, "Digits")) return digits(r, step, err);
    if (fh_str_eqs(type, "Split")) return split(r, step, err);
    if (fh_str_eqs(type, "Metaspace")) return metaspace(r, step, err);
    if (fh_str_eqs(type, "Punctuation") && fh_str_eqs(fh_json_str(fh_json_get(step, "behavior")), "Contiguous"))
        return add_step(r, FH_STR("<punctuation>"), err);
    return fh_tok_refuse(err, "pre_tokenizer", type);
}

static int check_pre(const reading *r, fh_err **err)
{
    fh_tok_steps *to = r->to;
    if (to->bytes) {
        to->pre = fh_pre_of_steps(r->steps, r->count);
        if (to->pre && !to->blanks && !to->prepends) return 0;
    } else if (!r->count && to->blanks && !to->nfc)
        return 0;
    fh_tok_refuse(err, "pre_tokenizer", FH_STR("this way of splitting text"));
    fh_err_hint(err, "known are those of GPT-2, SmolLM, Falcon, Llama 2 and 3, Mistral, Gemma, Qwen 2 and 3.5, GPT-4o and DeepSeek");
    return FH_E_UNSUPPORTED;
}

/* ---- post-processor ---- */

/* [{"SpecialToken":{"id":"<s>"}}, {"Sequence":{"id":"A"}}] */
static int template_step(reading *r, const fh_json *step, fh_err **err)
{
    const fh_json *single = fh_json_get(step, "single");
    fh_str type = fh_tok_type(step);
    bool text = false;
    if (fh_str_eqs(type, "ByteLevel")) return 0;
    if (!fh_str_eqs(type, "TemplateProcessing")) return fh_tok_refuse(err, "post_processor", type);
    for (size_t i = 0; i < fh_json_count(single); i++) {
        const fh_json *token = fh_json_get(fh_json_at(single, i), "SpecialToken");
        if (token && (text || r->to->bos.len))
            return fh_tok_refuse(err, "post_processor", FH_STR("a token behind the text, or two before it"));
        if (token) r->to->bos = fh_json_str(fh_json_get(token, "id"));
        text |= !token;
    }
    return 0;
}

int fh_tok_steps_read(const fh_json *doc, fh_tok_steps *ret, fh_err **err)
{
    fh_tok_steps to = {0};
    reading r = {.to = &to};
    int rc = each_step(&r, fh_json_get(doc, "normalizer"), "normalizers", normalizer_step, err);
    if (!rc) rc = each_step(&r, fh_json_get(doc, "pre_tokenizer"), "pretokenizers", pre_step, err);
    if (!rc) rc = check_pre(&r, err);
    if (!rc) rc = each_step(&r, fh_json_get(doc, "post_processor"), "processors", template_step, err);
    if (!rc) *ret = to;
    return rc;
}
