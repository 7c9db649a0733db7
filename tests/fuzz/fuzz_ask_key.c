/* Keys of chat requests from arbitrary bytes: the same for the document written anew and for another label, another one for another salt.
 */
#include "../../src/gateway/ask_key.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MAX = 1 << 26 };

static const fh_asker one = {.salt = "one", .identity = "weights", .regions = "", .own_engine = true},
                      other = {.salt = "other", .identity = "weights", .regions = "", .own_engine = true};

static void check(bool holds)
{
    if (!holds) abort();
}

typedef struct key {
    bool fixed, known;
    uint8_t bytes[FH_ANSWER_KEY_BYTES];
} key;

static bool key_of(fh_str body, const fh_asker *who, key *ret)
{
    fh_ask a = {0};
    if (fh_ask_read(&a, FH_DIALECT_CHAT, false, body, NULL)) return false;
    *ret = (key){.fixed = fh_ask_fixed(&a)};
    ret->known = fh_ask_key(&a, who, ret->bytes);
    fh_ask_fini(&a);
    return true;
}

static bool same(const key *a, const key *b)
{
    return memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}

static void check_written_anew(fh_str body, const key *first)
{
    FH_AUTO(json) fh_json *doc = NULL;
    FH_AUTO(buf) fh_buf text = FH_BUF(MAX);
    key again;
    check(fh_json_parse(&doc, body, MAX, NULL) == 0 && fh_json_write(doc, &text, NULL) == 0);
    check(key_of((fh_str){text.data, text.len}, &one, &again));
    check(again.fixed == first->fixed && again.known == first->known && same(&again, first));
}

static void check_labelled(fh_str body, const key *first)
{
    static const fh_wire_edit label = {"user", "\"somebody\""};
    FH_AUTO(buf) fh_buf text = FH_BUF(MAX);
    key again;
    if (fh_wire_body_edit(body, &label, 1, &text, NULL)) return; /* a name is written with escapes */
    check(key_of((fh_str){text.data, text.len}, &one, &again));
    check(again.known == first->known && same(&again, first));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fh_str body = {(const char *)data, size};
    key first, foreign;
    if (!size || !key_of(body, &one, &first)) return 0;
    check_written_anew(body, &first);
    check_labelled(body, &first);
    check(key_of(body, &other, &foreign) && foreign.known == first.known && (!first.known || !same(&foreign, &first)));
    return 0;
}
