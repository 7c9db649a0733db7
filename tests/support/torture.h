/* Torture: runs a scenario again and again; in run N the Nth operation of one kind fails. It ends when a run no longer reaches the fault.
 * The scenario must free all it made and must answer an error whenever a fault struck that it could not absorb; leaks are the sanitizer's
 * to find. */
#ifndef FH_TEST_TORTURE_H
#define FH_TEST_TORTURE_H

#include "base/fault.h"
#include "cmocka_all.h"

/* fn returns 0 or an error code; with all_after every later operation fails too. Answers how many runs were struck. */
static inline unsigned fh_torture(fh_fault kind, int (*fn)(void *arg), void *arg, unsigned max_runs)
{
    unsigned struck = 0;
    for (int all_after = 0; all_after < 2; all_after++) {
        for (unsigned nth = 1; nth <= max_runs; nth++) {
            fh_fault_arm(kind, nth, all_after);
            int rc = fn(arg);
            bool hit = fh_fault_struck();
            fh_fault_disarm();
            if (!hit) {
                assert_int_equal(rc, 0);
                break;
            }
            struck++;
        }
    }
    return struck;
}

#endif
