/* Drawing canaries (see draw.h). */
#include "honesty/draw.h"

#include "base/limits.h"
#include "base/mem.h"
#include <stdio.h>

enum { PROMPT_LEAST = 12, PROMPT_DOUBLINGS = 4, ANSWER_LEAST = 8, AGAIN_OF = 4 };

/* SplitMix64 (Steele, Lea, Flood 2014): secrecy comes from the seed, which is random. */
static uint64_t next(uint64_t *state)
{
    uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static uint32_t below(uint64_t *state, uint32_t count)
{
    return (uint32_t)(((next(state) >> 32) * count) >> 32);
}

static const char *const beginnings[] = {
    "The",        "In the",        "When the",     "A short note on the", "Before the", "Nobody had seen the",
    "It was the", "Dear Sir, the", "How does the", "What became of",      "Of all the", "They spoke of the",
    "Why the",    "Once the",      "After the",    "Remember the"};
static const char *const nouns[] = {"harbour", "committee", "winter",  "letter", "engine",   "garden",  "treaty", "river",
                                    "teacher", "market",    "ship",    "report", "mountain", "captain", "song",   "village",
                                    "budget",  "storm",     "library", "bridge", "question", "horse",   "law",    "whale",
                                    "kitchen", "doctor",    "machine", "story",  "island",   "window",  "voyage", "people"};
static const char *const joints[] = {"of the", "and the", "without a", "near the", "for the", "against the", "in the", "is the"};

static const char *one_of(uint64_t *state, const char *const *list, size_t count)
{
    return list[below(state, (uint32_t)count)];
}

uint32_t fh_honesty_draw_seed(uint64_t *state)
{
    return (uint32_t)(next(state) >> 33);
}

/* Lengths as those of requests are: short ones are common, each doubling as likely as the one before. */
void fh_honesty_draw(uint64_t *state, fh_honesty_canary *ret)
{
    const char *begin = one_of(state, beginnings, FH_COUNT(beginnings)), *first = one_of(state, nouns, FH_COUNT(nouns));
    const char *joint = one_of(state, joints, FH_COUNT(joints)), *second = one_of(state, nouns, FH_COUNT(nouns));
    snprintf(ret->opening, sizeof ret->opening, "%s %s %s %s", begin, first, joint, second);
    uint32_t span = (uint32_t)PROMPT_LEAST << below(state, PROMPT_DOUBLINGS);
    ret->prompt_tok = span + below(state, span);
    ret->answer_tok = ANSWER_LEAST + below(state, FH_LIMIT_HONESTY_ANSWER_TOK - ANSWER_LEAST + 1);
    ret->write_seed = fh_honesty_draw_seed(state);
    ret->ask_seed = fh_honesty_draw_seed(state);
}

size_t fh_honesty_draw_again(uint64_t *state, size_t kept)
{
    return kept && below(state, AGAIN_OF) == 0 ? below(state, (uint32_t)kept) : kept;
}
