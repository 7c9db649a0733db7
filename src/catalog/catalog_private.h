/* The tables that generate.py makes. */
#ifndef FH_CATALOG_PRIVATE_H
#define FH_CATALOG_PRIVATE_H

#include "catalog/catalog.h"
#include "catalog/engines.h"

extern const fh_catalog_model fh_catalog_models[];
extern const size_t fh_catalog_model_count;
extern const fh_catalog_machine fh_catalog_machines[];
extern const size_t fh_catalog_machine_total;
extern const fh_catalog_engine fh_catalog_engines[];
extern const size_t fh_catalog_engine_total;

#endif
