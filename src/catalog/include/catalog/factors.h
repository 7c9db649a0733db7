/* Factors of energy, water, carbon and electricity: what a site adds to the energy of its machines, what a kilowatt-hour costs in litres,
 * grams and money in a country, what devices draw and tokens take. Each has its source and, where one was found, its spread.
 *
 * The data are data/catalog/factors.json, compiled into the program. Everything returned is constant and lives for ever; threads: any. */
#ifndef FH_CATALOG_FACTORS_H
#define FH_CATALOG_FACTORS_H

#include "base/str.h"
#include <stdbool.h>
#include <stddef.h>

typedef struct fh_catalog_factor {
    const char *key;         /* "pue.aws.us-east-1": its kind stands before the first point */
    double value, low, high; /* low and high are the value where no spread is known */
    bool has_low, has_high;
    const char *unit;         /* "L/kWh_IT" */
    const char *scope, *year; /* what it holds for, and of which year it is */
    const char *source;
    bool unverified; /* an assumption, or not confirmed at its source */
} fh_catalog_factor;

size_t fh_catalog_factor_count(void);
const fh_catalog_factor *fh_catalog_factor_at(size_t i);     /* in the order of their keys */
const fh_catalog_factor *fh_catalog_factor_find(fh_str key); /* NULL: there is none */

#endif
