/* What was learned about one model (see learn.h). */
#include "learn.h"

enum { NEAREST = 24 };
#define PRIOR_COUNT 2.0    /* outcomes that the prior is worth */
#define REACH       8192.0 /* squared distance at which an outcome says half as much */
#define OLDEST      0.5    /* of what a new one says */

void fh_learned_add(fh_learned *l, const fh_outcome_seen *o)
{
    l->seen[l->next] = *o;
    l->next = (l->next + 1) % FH_LIMIT_LEARN_OUTCOMES;
    if (l->count < FH_LIMIT_LEARN_OUTCOMES) l->count++;
}

typedef struct near {
    uint32_t distance;
    size_t age;
    const fh_outcome_seen *seen;
} near;

/* Sorted, nearest first. */
static void insert(near *list, size_t *count, near one)
{
    size_t i = *count;
    if (i == NEAREST && list[i - 1].distance <= one.distance) return;
    if (i == NEAREST) i--;
    for (; i > 0 && list[i - 1].distance > one.distance; i--) list[i] = list[i - 1];
    list[i] = one;
    if (*count < NEAREST) ++*count;
}

static size_t find_nearest(const fh_learned *l, const fh_features *f, near *ret)
{
    size_t n = 0;
    for (size_t age = 0; age < l->count; age++) {
        const fh_outcome_seen *s = &l->seen[(l->next + FH_LIMIT_LEARN_OUTCOMES - 1 - age) % FH_LIMIT_LEARN_OUTCOMES];
        insert(ret, &n, (near){fh_features_distance(&s->features, f), age, s});
    }
    return n;
}

fh_belief fh_learned_belief(const fh_learned *l, const fh_features *f, double prior)
{
    near nearest[NEAREST];
    double sum = 0, good = 0;
    size_t n = l ? find_nearest(l, f, nearest) : 0;
    for (size_t i = 0; i < n; i++) {
        double far = nearest[i].distance / REACH, fresh = 1 - (1 - OLDEST) * (double)nearest[i].age / FH_LIMIT_LEARN_OUTCOMES;
        double weight = nearest[i].seen->weight / 255.0 * fresh / (1 + far * far);
        sum += weight;
        good += weight * nearest[i].seen->good / 255.0;
    }
    return (fh_belief){.success = (good + PRIOR_COUNT * prior) / (sum + PRIOR_COUNT), .evidence = sum};
}
