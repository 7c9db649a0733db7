/* What steps cost (costs.h). */
#include "costs.h"

#define ROW_SHARE 0.0625 /* what a row more is thought to take, of a step, until it was tried */

static bool known(const costs *c, size_t rows)
{
    return c->ns[rows] > 0 && c->steps - c->seen[rows] < COST_KEPT;
}

/* A step that something else held up counts for at most twice what was thought. */
void costs_learn(costs *c, size_t rows, double took_ns)
{
    size_t i = FH_MIN(rows, (size_t)COST_ROWS);
    double thought = costs_of(c, i), value = thought > 0 ? FH_MIN(took_ns, 2 * thought) : took_ns;
    c->ns[i] = known(c, i) ? c->ns[i] + (value - c->ns[i]) / 8 : value;
    c->seen[i] = c->steps++;
}

/* Between the nearest that are known; and no more than a larger one takes. */
double costs_of(const costs *c, size_t rows)
{
    size_t at = FH_MIN(rows, (size_t)COST_ROWS), below = at, above = at;
    while (below > 0 && !known(c, below)) below--;
    while (above <= COST_ROWS && !known(c, above)) above++;
    if (above > COST_ROWS) return c->ns[below] * (1 + ROW_SHARE * (double)(at - below));
    double low = below ? c->ns[below] : c->ns[above], share = above > below ? (double)(at - below) / (double)(above - below) : 0,
           ns = low + (c->ns[above] - low) * share;
    for (size_t i = above; i <= COST_ROWS; i++)
        if (known(c, i)) ns = FH_MIN(ns, c->ns[i]);
    return ns;
}

static float next_odds(const cost_wish *w)
{
    return w->ahead.odds[w->given];
}

/* Of equally likely ones that whose sequence got fewer. */
static bool goes_before(const cost_wish *a, const cost_wish *b)
{
    return next_odds(a) > next_odds(b) || (next_odds(a) >= next_odds(b) && a->given < b->given);
}

/* The guess that most likely comes, of those not yet given a row; NULL: none is left. */
static cost_wish *likeliest(cost_wish *wishes, size_t count)
{
    cost_wish *best = NULL;
    for (size_t i = 0; i < count; i++) {
        cost_wish *w = &wishes[i];
        if (w->given < w->ahead.count && (!best || goes_before(w, best))) best = w;
    }
    return best;
}

/* How many rows promise most. Gives as many as are tried. */
static size_t best_count(const costs *c, cost_wish *wishes, size_t count, size_t most)
{
    double tokens = (double)count, alone_ns = costs_of(c, count), best = tokens / alone_ns * COST_GAIN;
    size_t found = 0;
    for (size_t n = 1; n <= most; n++) {
        cost_wish *w = likeliest(wishes, count);
        double ns = costs_of(c, count + n);
        if (!w || (count > 1 && ns > COST_BESIDE * alone_ns)) break;
        tokens += (double)next_odds(w);
        w->given++;
        if (tokens / ns <= best) continue;
        best = tokens / ns;
        found = n;
    }
    return found;
}

void costs_share(const costs *c, cost_wish *wishes, size_t count, size_t most)
{
    size_t room = count < COST_ROWS ? FH_MIN(most, COST_ROWS - count) : 0;
    bool asked = false;
    for (size_t i = 0; i < count; i++) {
        wishes[i].given = 0;
        asked |= wishes[i].ahead.count > 0;
    }
    if (!asked || !room || !(costs_of(c, count) > 0)) return;
    size_t best = best_count(c, wishes, count, room);
    for (size_t i = 0; i < count; i++) wishes[i].given = 0;
    for (size_t i = 0; i < best; i++) likeliest(wishes, count)->given++;
}
