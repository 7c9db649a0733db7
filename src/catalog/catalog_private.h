/* The tables that generate.py makes, and how one file's entries are read and checked. */
#ifndef FH_CATALOG_PRIVATE_H
#define FH_CATALOG_PRIVATE_H

#include "catalog/catalog.h"
#include "catalog/engines.h"
#include "catalog/factors.h"

extern const fh_catalog fh_catalog_built_in;
extern const char fh_catalog_model_schema[], fh_catalog_machine_schema[]; /* JSON Schema, of one entry */
extern const fh_catalog_engine fh_catalog_engines[];
extern const size_t fh_catalog_engine_total;
extern const fh_catalog_factor fh_catalog_factors[]; /* sorted by key, byte by byte */
extern const size_t fh_catalog_factor_total;

#endif
