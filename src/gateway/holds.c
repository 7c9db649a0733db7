/* What a request may use at most, held before and settled behind (see holds.h). Pure but for what the ports do. */
#include "holds.h"

#include "base/clock.h"
#include "base/limits.h"
#include "gateway/usage.h"

uint64_t fh_hold_guess_tok(const fh_hold *h)
{
    if (h->no_answer) return h->prompt_tok;
    return h->prompt_tok + (h->answer_tok ? h->answer_tok : (uint64_t)FH_LIMIT_HOLD_ANSWER_TOK);
}

static int out_of_budget(const fh_lease *l, fh_err **err)
{
    char left[FH_MONEY_CHARS], when[32];
    fh_money_write(l->left_nano, left);
    fh_err_set(err, FH_E_BUDGET, "the budget has %s %s left, which the prompt and %d tokens of an answer go beyond", left, l->currency,
               FH_LIMIT_HOLD_ANSWER_TOK);
    if (l->renews_utc_ns) {
        fh_clock_format_utc(l->renews_utc_ns, when, sizeof when);
        fh_err_hint(err, "it renews at %.16sZ; or raise it", when);
    } else
        fh_err_hint(err, "it does not renew: raise it");
    return FH_E_BUDGET;
}

int fh_holds_take(const fh_hold_port *ports, size_t count, const fh_hold *h, fh_leases *ret, fh_err **err)
{
    *ret = (fh_leases){.held = 0};
    for (size_t i = 0; i < count; i++) {
        fh_lease *l = &ret->list[i];
        int rc = ports[i].hold(ports[i].ctx, h, l, err);
        if (rc == 0) {
            ret->held++;
            continue;
        }
        if (rc == FH_E_BUDGET) out_of_budget(l, err);
        fh_holds_settle(ports, h, ret, &(fh_spent){0});
        return rc;
    }
    return 0;
}

void fh_holds_settle(const fh_hold_port *ports, const fh_hold *h, fh_leases *l, const fh_spent *spent)
{
    for (; l->held; l->held--) ports[l->held - 1].settle(ports[l->held - 1].ctx, h, &l->list[l->held - 1], spent);
}

uint64_t fh_holds_answer_tok(const fh_leases *l)
{
    uint64_t least = 0;
    for (size_t i = 0; i < FH_HOLD_PORTS; i++)
        if (l->list[i].answer_tok && (!least || l->list[i].answer_tok < least)) least = l->list[i].answer_tok;
    return least;
}

int64_t fh_holds_retry_ns(const fh_leases *l)
{
    int64_t most = 0;
    for (size_t i = 0; i < FH_HOLD_PORTS; i++) most = FH_MAX(most, l->list[i].retry_ns);
    return most;
}
