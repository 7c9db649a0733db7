/* How far two engines are apart at one position (see reply.h). */
#include "honesty/reply.h"

#include "base/mem.h"
#include <math.h>

static const fh_honesty_token *find(const fh_honesty_position *p, fh_str text)
{
    for (size_t i = 0; i < p->top_count; i++)
        if (fh_str_eq(p->top[i].text, text)) return &p->top[i];
    return p->chosen.text.ptr && fh_str_eq(p->chosen.text, text) ? &p->chosen : NULL;
}

/* What is likelier than this would be on the list. The chosen token may stand behind the likeliest ones; 0 when it is all there is. */
static double floor_of(const fh_honesty_position *p)
{
    double least = 0;
    size_t others = 0;
    for (size_t i = 0; i < p->top_count; i++) {
        if (p->chosen.text.ptr && fh_str_eq(p->top[i].text, p->chosen.text)) continue;
        least = FH_MIN(least, p->top[i].logprob);
        others++;
    }
    return others ? least : 0;
}

double fh_honesty_deviation(const fh_honesty_position *said, const fh_honesty_position *ours)
{
    double floor = floor_of(said), sum = 0, mass = 0;
    for (size_t i = 0; i < ours->top_count; i++) {
        const fh_honesty_token *t = find(said, ours->top[i].text);
        double lp = ours->top[i].logprob, p = exp(lp);
        if (!t && !(lp > floor)) continue;
        sum += p * FH_MIN(fabs(t ? t->logprob - lp : lp - floor), FH_HONESTY_FAR);
        mass += p;
    }
    return mass > 0 ? sum / mass : FH_HONESTY_FAR;
}

double fh_honesty_logprob(const fh_honesty_position *ours, fh_str token)
{
    double least = 0;
    for (size_t i = 0; i < ours->top_count; i++) {
        if (fh_str_eq(ours->top[i].text, token)) return ours->top[i].logprob;
        least = FH_MIN(least, ours->top[i].logprob);
    }
    return least;
}
