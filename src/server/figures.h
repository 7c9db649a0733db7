/* What a token costs at a place, as far as nothing has measured it: prices and joules, modelled from the catalogue. */
#ifndef FH_SERVER_FIGURES_H
#define FH_SERVER_FIGURES_H

#include "catalog/catalog.h"
#include "gateway/ports.h"

/* Sets what is known of the model (NULL: it is not in the catalogue) at this machine, or at a hosted endpoint. */
void fh_figures_here(fh_candidate *c, const fh_catalog_model *m);
void fh_figures_hosted(fh_candidate *c, const fh_catalog_model *m);

#endif
