/* What energy is at a place. */
#include "meter/footprint.h"

#define WH_PER_KWH 1000.0

fh_footprint fh_footprint_of(fh_range machines_wh, const fh_site *at)
{
    fh_range wall = fh_range_mul(machines_wh, at->pue), kwh = fh_range_scale(wall, 1 / WH_PER_KWH);
    return (fh_footprint){
        .wh = wall,
        .site_l = fh_range_mul(fh_range_scale(machines_wh, 1 / WH_PER_KWH), at->wue),
        .grid_l = fh_range_mul(kwh, at->grid_water),
        .grams = fh_range_mul(kwh, at->grid_carbon),
        .usd = fh_range_mul(kwh, at->tariff),
    };
}

fh_footprint fh_footprint_add(const fh_footprint *a, const fh_footprint *b)
{
    return (fh_footprint){
        .wh = fh_range_add(a->wh, b->wh),
        .site_l = fh_range_add(a->site_l, b->site_l),
        .grid_l = fh_range_add(a->grid_l, b->grid_l),
        .grams = fh_range_add(a->grams, b->grams),
        .usd = fh_range_add(a->usd, b->usd),
    };
}

fh_footprint fh_footprint_scale(const fh_footprint *a, double by)
{
    return (fh_footprint){
        .wh = fh_range_scale(a->wh, by),
        .site_l = fh_range_scale(a->site_l, by),
        .grid_l = fh_range_scale(a->grid_l, by),
        .grams = fh_range_scale(a->grams, by),
        .usd = fh_range_scale(a->usd, by),
    };
}

fh_range fh_footprint_litres(const fh_footprint *f)
{
    return fh_range_add(f->site_l, f->grid_l);
}
