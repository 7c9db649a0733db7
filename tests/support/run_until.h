/* For tests of what goes on a loop: runs it until a condition holds, which is looked at every few milliseconds. */
#ifndef FH_TEST_RUN_UNTIL_H
#define FH_TEST_RUN_UNTIL_H

#include "base/clock.h"
#include "cmocka_all.h"
#include "net/loop.h"

typedef struct looking {
    fh_loop *loop;
    fh_timer *again;
    bool (*condition)(void);
} looking;

static inline void look_again(void *arg)
{
    looking *l = arg;
    if (l->condition())
        fh_loop_stop(l->loop);
    else
        fh_timer_start(l->again, 2 * FH_NS_PER_MS);
}

/* deadline: a timer that fails the test; it is started for a minute. */
static inline void run_until(fh_loop *loop, fh_timer *deadline, bool (*condition)(void))
{
    looking l = {.loop = loop, .condition = condition};
    assert_int_equal(fh_timer_new(&l.again, loop, look_again, &l, NULL), 0);
    fh_timer_start(l.again, 0);
    fh_timer_start(deadline, 60 * FH_NS_PER_S);
    assert_int_equal(fh_loop_run(loop, NULL), 0);
    fh_timer_stop(deadline);
    fh_timer_free(l.again);
}

#endif
