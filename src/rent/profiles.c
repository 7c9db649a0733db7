/* How each provider behaves. What is not documented is taken on the safe side: docs/RENTING.md says which is which. */
#include "rent/rental.h"

#include "base/clock.h"
#include "base/mem.h"

#define LAG_NS    (60 * FH_NS_PER_S)
#define SETTLE_NS (60 * FH_NS_PER_S)
#define BILL_NS   (36 * 3600 * FH_NS_PER_S) /* charges are summed by days */

static const fh_rent_profile profiles[] = {
    {.kind = "runpod",
     .url = "https://api.runpod.io/v2",
     .lag_ns = LAG_NS,
     .settle_ns = SETTLE_NS,
     .bill_ns = BILL_NS,
     .start_ns = 1200 * FH_NS_PER_S,
     .rent_gap_ns = 1 * FH_NS_PER_S,
     .start_s = 120,
     .end_itself = "runpodctl remove pod \"$RUNPOD_POD_ID\"",
     .bills = true},
    {.kind = "vast",
     .url = "https://console.vast.ai",
     .lag_ns = LAG_NS,
     .settle_ns = SETTLE_NS,
     .bill_ns = BILL_NS,
     .start_ns = 1800 * FH_NS_PER_S,
     .rent_gap_ns = 5 * FH_NS_PER_S,
     .start_s = 240,
     .end_itself = "curl -fsS -X DELETE -H \"Authorization: Bearer $CONTAINER_API_KEY\" "
                   "\"https://console.vast.ai/api/v0/instances/$CONTAINER_ID/\"",
     .bills = true},
    {.kind = "lambda",
     .url = "https://cloud.lambda.ai",
     .lag_ns = LAG_NS,
     .settle_ns = SETTLE_NS,
     .bill_ns = BILL_NS,
     .start_ns = 1800 * FH_NS_PER_S,
     .rent_gap_ns = 12 * FH_NS_PER_S,
     .start_s = 300},
    {.kind = "skypilot",
     .url = "",
     .lag_ns = LAG_NS,
     .settle_ns = 300 * FH_NS_PER_S, /* its server goes on with a launch whose command was killed */
     .bill_ns = BILL_NS,
     .start_ns = 2400 * FH_NS_PER_S,
     .rent_gap_ns = 1 * FH_NS_PER_S,
     .start_s = 420,
     .end_itself = "kill 0", /* the task is over: SkyPilot takes the machine down when it was idle for five minutes */
     .commands = true},
};

const fh_rent_profile *fh_rent_profile_at(size_t i)
{
    return i < FH_COUNT(profiles) ? &profiles[i] : NULL;
}

const fh_rent_profile *fh_rent_profile_find(fh_str kind)
{
    for (size_t i = 0; i < FH_COUNT(profiles); i++)
        if (fh_str_eqs(kind, profiles[i].kind)) return &profiles[i];
    return NULL;
}
