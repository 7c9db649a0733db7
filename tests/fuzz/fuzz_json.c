/* JSON from arbitrary bytes. What is taken must survive a round trip: written, read again and written again, both texts are the same,
 * compact and pretty. */
#include "json/json.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds) abort();
}

static void check_round_trip(const fh_json *v, int (*write)(const fh_json *v, fh_buf *out, fh_err **err))
{
    FH_AUTO(buf) fh_buf one = FH_BUF((size_t)64 << 20), two = FH_BUF((size_t)64 << 20);
    FH_AUTO(json) fh_json *again = NULL;
    check(write(v, &one, NULL) == 0);
    check(fh_json_parse(&again, (fh_str){one.data, one.len}, one.len, NULL) == 0);
    check(fh_json_kind_of(again) == fh_json_kind_of(v) && fh_json_count(again) == fh_json_count(v));
    check(write(again, &two, NULL) == 0);
    check(one.len == two.len && memcmp(one.data, two.data, one.len) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    FH_AUTO(json) fh_json *v = NULL;
    fh_err *err = NULL;
    int rc = fh_json_parse(&v, (fh_str){(const char *)data, size}, 1 << 20, &err);
    check((rc == 0) == (v != NULL) && (rc == 0) == (err == NULL));
    fh_err_free(err);
    if (rc) return 0;
    check_round_trip(v, fh_json_write);
    check_round_trip(v, fh_json_write_pretty);
    return 0;
}
