/* The same work at home, on a rented GPU and in data centres: what a million tokens of it take. The model is an 8B one, because that is
 * what was measured in all three; every figure stands on factors of the catalogue (docs/ENERGY.md says how).
 *
 * What a case takes is active + idle: active goes with the tokens, idle with the day, whatever was asked in it. Pure; threads: any. */
#ifndef FH_METER_COMPARE_H
#define FH_METER_COMPARE_H

#include "base/err.h"
#include "meter/footprint.h"

typedef enum fh_energy_kind { FH_ENERGY_HOME, FH_ENERGY_RENTED, FH_ENERGY_CENTRE } fh_energy_kind;
const char *fh_energy_kind_name(fh_energy_kind k); /* "home" */

typedef struct fh_energy_wishes {
    double tokens_day; /* answered tokens; above 0 */
    const char *home;  /* ISO 3166 alpha-3 code of a country; "": anywhere, which is a range over all that are known */
    double rent_hours; /* a day, that a GPU is rented for */
    /* A machine of one's own, at its plug; watts 0: none. tok_s: while it works. */
    double own_watts, own_tok_s, own_idle_watts;
} fh_energy_wishes;

enum { FH_ENERGY_CASES = 16, FH_ENERGY_FACTORS = 16 };

typedef struct fh_energy_case {
    const char *id;   /* "home-pc-asleep" */
    const char *what; /* a line that says it */
    fh_energy_kind kind;
    fh_footprint mtok;                                   /* of a million tokens, at the tokens a day that were wished */
    fh_footprint active;                                 /* of a million tokens */
    fh_footprint idle_day;                               /* of a day */
    const fh_catalog_factor *factors[FH_ENERGY_FACTORS]; /* what it stands on, but for a home anywhere */
    size_t factor_count;
} fh_energy_case;

typedef struct fh_energy_comparison {
    fh_energy_case cases[FH_ENERGY_CASES]; /* at home, rented, in centres */
    size_t count;
} fh_energy_comparison;

/* FH_E_INVALID with the field as param: a number that makes no sense, a country that nothing is known of. */
int fh_energy_compare(const fh_energy_wishes *w, fh_energy_comparison *ret, fh_err **err);

typedef enum fh_energy_measure { FH_ENERGY_WH, FH_ENERGY_LITRES, FH_ENERGY_GRAMS, FH_ENERGY_USD } fh_energy_measure;
const char *fh_energy_measure_name(fh_energy_measure m); /* "wh" */
/* From how many tokens a day on `a` takes less than `b`, by the likeliest values: 0 always, INFINITY not of any great number, because a
 * token alone takes more; NAN where one of them is unknown. */
double fh_energy_break_even(const fh_energy_case *a, const fh_energy_case *b, fh_energy_measure m);

#endif
