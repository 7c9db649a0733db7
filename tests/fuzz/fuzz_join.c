/* What a machine says that wants to join, in arbitrary bytes: the first of them say which reader gets the rest. What is taken is written as
 * text that is taken as the same. */
#include "json/json.h"
#include "pool/ca.h"
#include "pool/identity.h"
#include "pool/join_token.h"
#include <stdlib.h>

#include "../../src/pool/answers.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds) abort();
}

static void check_token(fh_str text)
{
    fh_join_token t, again;
    char written[FH_JOIN_TOKEN_LEN + 1];
    if (fh_join_token_parse(text, &t, NULL)) return;
    fh_join_token_write(&t, written);
    check(fh_join_token_parse(fh_str_of(written), &again, NULL) == 0 && memcmp(&t, &again, sizeof t) == 0);
    check(fh_str_eqs(fh_str_trim(text), written));
}

static void check_words(fh_str text)
{
    fh_node_ask ask;
    fh_pool_place place;
    if (fh_node_ask_parse(text, &ask, NULL) == 0) check(ask.micro >= 0 && ask.micro <= FH_NODE_ASK_MOST && strlen(ask.currency) == 3);
    if (fh_pool_place_parse(text, &place, NULL) == 0) check(place.host[0] && place.port > 0 && place.port < 65536);
}

static void check_documents(fh_str text)
{
    FH_AUTO(json) fh_json *doc = NULL;
    fh_node_join j;
    fh_str request, name;
    const fh_json *facts;
    fh_node_ask ask;
    if (fh_json_parse(&doc, text, 65536, NULL)) return;
    if (pool_join_read(doc, &j, &request, NULL) == 0) check(j.token.ptr && j.name.ptr && request.len && strlen(j.ask.currency) == 3);
    if (pool_facts_read(doc, &facts, &ask, NULL) == 0) check(fh_json_kind_of(facts) == FH_JSON_OBJECT);
    if (pool_certificate_read(doc, &request, &name, NULL) == 0) check(fh_node_name_check(name, NULL) == 0);
}

static void check_request(fh_str text)
{
    fh_link_digest key;
    fh_err *err = NULL;
    int rc = fh_pool_request_key(text, &key, &err);
    check((rc == 0) == (err == NULL));
    fh_err_free(err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const readers[])(fh_str text) = {check_token, check_words, check_documents, check_request};
    if (size == 0) return 0;
    readers[data[0] % FH_COUNT(readers)]((fh_str){(const char *)data + 1, size - 1});
    return 0;
}
