/* Answers of providers that machines are rented of. Whatever they say, there is a list or an error and not both; what is in a list has an
 * id, bounded texts, and a price that is none below zero. */
#include "rent/adapters.h"
#include "rent/renter.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds) abort();
}

static void read_offers(const fh_rent_profile *p, const fh_json *doc)
{
    fh_err *err = NULL;
    fh_rent_offer *list = NULL;
    size_t count = 0;
    int rc = fh_rent_offers_read(p, doc, &list, &count, &err);
    check((rc == 0) == (err == NULL) && (rc == 0 || list == NULL));
    for (size_t i = 0; i < count; i++)
        check(list[i].id[0] && list[i].hour_micro > 0 && list[i].gpus > 0 && memchr(list[i].gpu, 0, sizeof list[i].gpu));
    fh_free(list);
    fh_err_free(err);
}

static void read_machines(const fh_rent_profile *p, const fh_json *doc)
{
    fh_err *err = NULL;
    fh_rent_machine *list = NULL;
    size_t count = 0;
    int rc = fh_rent_machines_read(p, doc, &list, &count, &err);
    check((rc == 0) == (list != NULL) && (rc == 0) == (err == NULL));
    for (size_t i = 0; i < count; i++)
        check(list[i].id[0] && list[i].hour_micro >= 0 && list[i].started_utc_ns >= 0 && memchr(list[i].tag, 0, sizeof list[i].tag));
    fh_free(list);
    fh_err_free(err);
}

static void read_charged(const fh_rent_profile *p, const fh_json *doc)
{
    fh_err *err = NULL;
    int64_t micro = -1;
    int rc = fh_rent_charged_read(p, doc, "4003", &micro, &err);
    check((rc == 0) == (err == NULL) && (rc == 0) == (micro >= 0));
    fh_err_free(err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    FH_AUTO(json) fh_json *doc = NULL;
    if (fh_json_parse(&doc, (fh_str){(const char *)data, size}, 1 << 20, NULL)) return 0;
    for (size_t i = 0; fh_rent_profile_at(i); i++) {
        read_offers(fh_rent_profile_at(i), doc);
        read_machines(fh_rent_profile_at(i), doc);
        read_charged(fh_rent_profile_at(i), doc);
    }
    return 0;
}
