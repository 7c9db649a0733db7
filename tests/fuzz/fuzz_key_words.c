/* What a key may, told in arbitrary words: scopes that are taken are written as words that mean the same, and a list of models holds the
 * names that were taken and no others. */
#include "gateway/keys.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds) abort();
}

static void check_scopes(fh_str text)
{
    uint32_t scopes = 0, again = 0;
    char written[FH_SCOPES_TEXT];
    fh_str bad;
    if (!fh_scopes_parse(text, &scopes, &bad)) {
        check(bad.len <= text.len);
        return;
    }
    fh_scopes_write(scopes, written);
    check(fh_scopes_parse(fh_str_of(written), &again, &bad));
    fh_key one = {.scopes = scopes}, other = {.scopes = again};
    for (int s = 0; s < FH_SCOPES; s++) check(fh_key_may(&one, (fh_scope)s) == fh_key_may(&other, (fh_scope)s));
}

static void check_models(fh_str text)
{
    fh_key k = {0};
    size_t taken = 0;
    while (text.len) {
        size_t end = fh_str_find(text, FH_STR("\n"));
        fh_str name = {text.ptr, end};
        fh_err *err = NULL;
        bool had = k.models[0] && fh_key_lists_model(&k, name);
        int rc = fh_key_add_model(&k, name, &err);
        check((rc == 0) == (err == NULL));
        fh_err_free(err);
        if (rc == 0) {
            check(fh_key_lists_model(&k, name));
            taken += !had;
        }
        text = end < text.len ? (fh_str){text.ptr + end + 1, text.len - end - 1} : (fh_str){NULL, 0};
    }
    check(fh_key_model(&k, taken).len == 0);
    check(taken == 0 || fh_key_model(&k, taken - 1).len > 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fh_str text = {(const char *)data, size};
    fh_priority p;
    check_scopes(text);
    check_models(text);
    if (fh_priority_parse(text, &p)) check(fh_str_eqs(text, fh_priority_name(p)));
    return 0;
}
