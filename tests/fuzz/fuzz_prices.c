/* Price lists. Whatever is read, there is a count or an error and not both; what is listed can be planned for; every row is counted once.
 */
#include "plan/prices.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds) abort();
}

static int take(void *arg, const fh_plan_listing *l, fh_err **err)
{
    check(l->device && l->place.ptr && l->hour_nusd > 0);
    check(fh_plan_book_add(arg, l, err) == 0);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    FH_AUTO(fh_plan_book) fh_plan_book *b = NULL;
    fh_plan_prices said = {0};
    fh_err *err = NULL;
    if (fh_plan_book_new(&b, NULL)) return 0;
    int rc = fh_plan_prices_read((fh_str){(const char *)data, size}, "a/fuzz_v8.csv", take, b, &said, &err);
    check((rc == 0) == (err == NULL));
    if (rc == 0) {
        check(said.listings == fh_plan_book_market(b).offer_count);
        check(said.no_device + said.unknown + said.unpriced <= said.rows);
        check(said.listings || said.no_device + said.unknown + said.unpriced == said.rows);
    }
    fh_err_free(err);
    return 0;
}
