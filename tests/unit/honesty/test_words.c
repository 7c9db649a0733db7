/* What is said of the evidence. */
#include "cmocka_all.h"

#include "honesty/record.h"
#include <string.h>

static void expect(const fh_honesty_observation *o, unsigned times, const char *part)
{
    fh_honesty_record r = {.rounds = 0};
    char text[300];
    for (unsigned i = 0; i < times; i++) fh_honesty_observe(&r, o);
    fh_honesty_reason(&r, text, sizeof text);
    if (!strstr(text, part)) fail_msg("'%s' is not in: %s", part, text);
}

static void test_each_verdict_says_why(void **state)
{
    (void)state;
    expect(&(fh_honesty_observation){.positions = 8, .bound = 0.02}, 5, "5 canaries could be compared, 20 are the least");
    expect(&(fh_honesty_observation){.positions = 8, .bound = 0.02, .deviation = 0.008}, 30, "its tokens are 0.0080 nats from ours");
    expect(&(fh_honesty_observation){.positions = 8, .bound = 0.02, .deviation = 0.08}, 30,
           "0.0800 nats from those of the weights that it names");
    expect(&(fh_honesty_observation){.positions = 8, .bound = 0.02, .repeated = true, .same = true, .chance = -60}, 30,
           "30 of 30 answers came again");
    expect(&(fh_honesty_observation){.positions = 8, .bound = 0.02, .counted = true, .said_prompt_tok = 90}, 30,
           "30 of 30 answers were said to have more tokens");
}

static void test_proof_comes_with_its_odds(void **state)
{
    (void)state;
    expect(&(fh_honesty_observation){.positions = 8, .bound = 0.02, .counted = true, .said_prompt_tok = 90}, 4, "odds of 1 in 10^");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_each_verdict_says_why), cmocka_unit_test(test_proof_comes_with_its_odds)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
