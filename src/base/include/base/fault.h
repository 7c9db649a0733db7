/* Fault points for the torture tests: the Nth allocation, read, write, fsync or process start fails once (or from then on).
 *
 * Off (the normal state) a point costs one relaxed atomic load. Tests arm one kind at a time, run a scenario, and repeat with N + 1 until
 * the scenario ends without the fault having struck. Threads: any; the count is global. */
#ifndef FH_BASE_FAULT_H
#define FH_BASE_FAULT_H

#include <stdbool.h>
#include <stdint.h>

typedef enum fh_fault {
    FH_FAULT_ALLOC,
    FH_FAULT_OPEN,
    FH_FAULT_READ,
    FH_FAULT_WRITE,
    FH_FAULT_FSYNC,
    FH_FAULT_RENAME,
    FH_FAULT_SPAWN,
    FH_FAULT_KINDS
} fh_fault;

/* True when the operation about to be done must be reported as failed. */
bool fh_fault_strikes(fh_fault kind);

void fh_fault_arm(fh_fault kind, uint64_t nth, bool all_after); /* nth from 1 */
void fh_fault_disarm(void);
bool fh_fault_struck(void); /* since it was armed */

#endif
