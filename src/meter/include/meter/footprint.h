/* From joules to litres, grams and money: what a place makes of the energy that its machines take.
 *
 *   wall  = machines x PUE                      what the place draws
 *   site  = machines x WUE                      water that its cooling evaporates there
 *   grid  = wall x water of the grid            water that the making of its electricity took elsewhere
 *   grams = wall x carbon of the grid           location-based
 *   money = wall x tariff
 *
 * PUE is applied once, WUE to the energy of the machines (docs/ENERGY.md, with the sources). Pure; threads: any. */
#ifndef FH_METER_FOOTPRINT_H
#define FH_METER_FOOTPRINT_H

#include "meter/range.h"

typedef struct fh_site {  /* of a place; what is unknown makes unknown what is reckoned of it */
    fh_range pue;         /* 1 and more */
    fh_range wue;         /* litres a kWh of the machines */
    fh_range grid_water;  /* litres a kWh drawn */
    fh_range grid_carbon; /* grams of CO2 equivalents a kWh drawn */
    fh_range tariff;      /* US dollars a kWh drawn */
} fh_site;

typedef struct fh_footprint {
    fh_range wh; /* drawn by the place */
    fh_range site_l, grid_l;
    fh_range grams;
    fh_range usd; /* of electricity */
} fh_footprint;

fh_footprint fh_footprint_of(fh_range machines_wh, const fh_site *at);
fh_footprint fh_footprint_add(const fh_footprint *a, const fh_footprint *b);
fh_footprint fh_footprint_scale(const fh_footprint *a, double by);
fh_range fh_footprint_litres(const fh_footprint *f); /* of the site and of the grid */

#endif
