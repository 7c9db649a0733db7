/* What a token costs at a place (see figures.h).
 *
 * A processor that computes one stream: 1.9 J a token for each thousand million parameters that it goes through (8B in 4 bits on two EPYC
 * 9334: 15 J at most, Leaseweb 2026). A hosted endpoint, whose machines compute some 32 streams at once: 0.02 J (Llama-3.1-8B on one H100:
 * 0.165 J; Llama-3.3-70B on four: 1.25 J; ML.ENERGY v3, 2026). Both are orders of magnitude to compare by, never to invoice. */
#include "figures.h"

enum { HERE_UJ_PER_B = 1900000, HOSTED_UJ_PER_B = 20000 };
#define PER_B 1e9

static void set_model(fh_candidate *c, const fh_catalog_model *m, double uj_per_b)
{
    c->licence = m ? (fh_terms)m->licence_class : FH_TERMS_RESTRICTED; /* what nobody has read allows nothing */
    if (!m) return;
    c->active_params = (int64_t)(m->params_active_b * PER_B);
    c->token_uj = (int64_t)(m->params_active_b * uj_per_b);
}

void fh_figures_here(fh_candidate *c, const fh_catalog_model *m)
{
    _Static_assert((int)FH_TERMS_RESTRICTED == (int)FH_LICENCE_RESTRICTED && (int)FH_TERMS_ASK == (int)FH_LICENCE_ASK, "the same classes");
    c->priced = true; /* the machine is the owner's: its tokens are sold to nobody */
    set_model(c, m, HERE_UJ_PER_B);
}

void fh_figures_hosted(fh_candidate *c, const fh_catalog_model *m)
{
    set_model(c, m, HOSTED_UJ_PER_B);
}
