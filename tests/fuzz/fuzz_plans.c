/* Requests for plans. Whatever is asked, there is a ranking or an error and not both; and what is ranked counts every offer once. */
#include "server/plans.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds) abort();
}

static void check_counts(const fh_json *ask, const fh_json *ranking)
{
    const fh_json *refused = fh_json_get(ranking, "refused");
    int64_t fit = fh_json_int(fh_json_get(ranking, "fit"), -1), all = fit;
    for (size_t i = 0; i < fh_json_count(refused); i++) all += fh_json_int(fh_json_get(fh_json_at(refused, i), "count"), -1);
    check(all == (int64_t)fh_json_count(fh_json_get(ask, "offers")) + 1); /* and this machine */
    check((int64_t)fh_json_count(fh_json_get(ranking, "plans")) == (fit < 50 ? fit : 50));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    FH_AUTO(json) fh_json *ask = NULL;
    FH_AUTO(json) fh_json *ranking = NULL;
    fh_err *err = NULL;
    if (fh_json_parse(&ask, (fh_str){(const char *)data, size}, 1 << 20, NULL)) return 0;
    int rc = fh_plans_make(ask, NULL, &ranking, &err);
    check((rc == 0) == (ranking != NULL) && (rc == 0) == (err == NULL));
    if (rc == 0) check_counts(ask, ranking);
    fh_err_free(err);
    return 0;
}
