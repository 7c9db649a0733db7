/* Chat and completion requests from arbitrary bytes. What is taken must hold what its type promises, and its messages must survive being
 * made uniform for a template. And replies, of which log-probabilities are hidden. */
#include "base/limits.h"
#include "wire/images.h"
#include "wire/openai.h"
#include "wire/stream.h"
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds) abort();
}

static void check_sampling(const fh_wire_sampling *s)
{
    check(s->temperature >= 0 && s->temperature <= 2 && s->top_p >= 0 && s->top_p <= 1 && s->min_p >= 0 && s->min_p <= 1);
    check(s->repetition_penalty > 0 && s->max_tokens >= -1 && s->top_logprobs <= FH_LIMIT_TOP_LOGPROBS);
    check(s->stop_count <= FH_LIMIT_STOP_STRINGS && s->bias_count <= FH_LIMIT_LOGIT_BIAS_TOKENS);
    for (size_t i = 0; i < s->stop_count; i++) check(s->stops[i].len > 0 && s->stops[i].len <= FH_LIMIT_STOP_STRING_BYTES);
    for (size_t i = 0; i < s->bias_count; i++) check(s->bias[i].token >= 0 && s->bias[i].value >= -100 && s->bias[i].value <= 100);
}

static void check_messages(const fh_wire_request *r)
{
    FH_AUTO(json) fh_json *list = NULL, *again = NULL;
    FH_AUTO(buf) fh_buf text = FH_BUF(1 << 26);
    check(fh_json_count(r->messages) > 0);
    check(fh_wire_template_messages(r, &list, NULL) == 0);
    check(fh_json_count(list) == fh_json_count(r->messages));
    for (size_t i = 0; i < fh_json_count(list); i++) check(fh_json_kind_of(fh_json_get(fh_json_at(list, i), "content")) == FH_JSON_STRING);
    check(fh_json_write(list, &text, NULL) == 0);
    check(fh_json_parse(&again, (fh_str){text.data, text.len}, 1 << 26, NULL) == 0);
}

/* A refusal can always be written as a body that is JSON. */
static void check_error(fh_err *err)
{
    FH_AUTO(json) fh_json *doc = NULL;
    FH_AUTO(buf) fh_buf text = FH_BUF(1 << 20);
    check(err != NULL && fh_wire_error_write(&text, err));
    check(fh_json_parse(&doc, (fh_str){text.data, text.len}, 1 << 20, NULL) == 0);
    fh_err_free(err);
}

static int see(void *arg, fh_str url, const char *path, fh_err **err)
{
    size_t *left = arg;
    fh_wire_image_check(url, path, NULL);
    check(path[0] == 'm');
    ++*left;
    return 0;
}

/* Replacing an image leaves as many as there were. */
static void check_images(const fh_wire_request *r)
{
    size_t before = 0, after = 0;
    const fh_wire_image image = {FH_STR("https://a/"), FH_STR("AAAA"), "image/png"};
    check(fh_wire_images_each(r->messages, "m", see, &before, NULL) == 0);
    check(fh_wire_images_replace(r->messages, &image, 1, NULL) == 0);
    check(fh_wire_images_each(r->messages, "m", see, &after, NULL) == 0);
    check(after <= before && (before == 0 || r->needs));
}

static void try_request(bool chat, fh_str body)
{
    fh_wire_request r = {0};
    fh_err *err = NULL;
    int rc = chat ? fh_wire_chat_parse(&r, body, &err) : fh_wire_completion_parse(&r, body, &err);
    if (rc < 0) {
        check_error(err);
        return;
    }
    check(r.model.len > 0 && r.doc != NULL);
    check_sampling(&r.sampling);
    if (chat) {
        check_messages(&r);
        check_images(&r);
    } else
        check(r.prompt.ptr != NULL || r.prompt_token_count > 0);
    fh_wire_request_fini(&r);
}

/* What is hidden of a reply leaves it a document, with as many choices, none of which tells any more. */
static void try_reply(fh_str body)
{
    FH_AUTO(json) fh_json *before = NULL, *after = NULL;
    FH_AUTO(buf) fh_buf text = FH_BUF(1 << 26);
    fh_wire_body_hide_logprobs(body, &text);
    if (fh_json_parse(&before, body, 1 << 24, NULL) || fh_json_kind_of(before) != FH_JSON_OBJECT) return;
    check(fh_json_parse(&after, (fh_str){fh_buf_cstr(&text), text.len}, 1 << 24, NULL) == 0);
    const fh_json *choices = fh_json_get(after, "choices");
    check(fh_json_count(choices) == fh_json_count(fh_json_get(before, "choices")));
    for (size_t i = 0; i < fh_json_count(choices) && fh_json_kind_of(fh_json_at(choices, i)) == FH_JSON_OBJECT; i++) {
        const fh_json *told = fh_json_get(fh_json_at(choices, i), "logprobs");
        check(fh_json_kind_of(told) == FH_JSON_NULL || strstr(fh_buf_cstr(&text), "\\u"));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fh_str body = {(const char *)data, size};
    try_request(true, body);
    try_request(false, body);
    try_reply(body);
    return 0;
}
