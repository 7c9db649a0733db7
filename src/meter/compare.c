/* The cases that are compared, and what each takes. */
#include "meter/compare.h"

#include "base/mem.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

#define MILLION         1e6
#define J_PER_WH        3600.0
#define HOURS_PER_DAY   24.0
#define GPUS_PER_SERVER 8
#define WATTS_MAX       1e6
#define TOKENS_MAX      1e15

const char *fh_energy_kind_name(fh_energy_kind k)
{
    static const char *const names[] = {"home", "rented", "centre"};
    return names[k];
}

const char *fh_energy_measure_name(fh_energy_measure m)
{
    static const char *const names[] = {"wh", "litres", "grams", "usd"};
    return names[m];
}

/* ---- factors, each noted in the case that it is used for ---- */

static fh_range use(fh_energy_case *c, const char *key)
{
    const fh_catalog_factor *f = fh_catalog_factor_find(fh_str_of(key));
    if (f && c->factor_count < FH_ENERGY_FACTORS) c->factors[c->factor_count++] = f;
    return fh_range_of(f);
}

/* Tariffs are in the currency of their country; only dollars can be added up. */
static fh_range use_tariff(fh_energy_case *c, const char *key)
{
    const fh_catalog_factor *f = fh_catalog_factor_find(fh_str_of(key));
    return f && strcmp(f->unit, "USD/kWh") == 0 ? use(c, key) : fh_range_of(NULL);
}

/* ---- places ---- */

static bool is_country(const char *key, size_t prefix)
{
    const char *code = key + prefix;
    for (size_t i = 0; i < 3; i++)
        if (code[i] < 'A' || code[i] > 'Z') return false;
    return code[3] == '\0' || code[3] == '.';
}

/* Over all countries; the likeliest value is the world's. */
static fh_range anywhere(fh_energy_case *c, const char *prefix, const char *suffix, const char *world)
{
    fh_range all = use(c, world);
    size_t len = strlen(prefix);
    for (size_t i = 0; i < fh_catalog_factor_count(); i++) {
        const fh_catalog_factor *f = fh_catalog_factor_at(i);
        if (strncmp(f->key, prefix, len) != 0 || !is_country(f->key, len)) continue;
        if (strcmp(f->key + len + 3, suffix) != 0 || (*suffix && strcmp(f->unit, "USD/kWh") != 0)) continue;
        all = fh_range_span(all, fh_range_exactly(f->value));
    }
    return all;
}

static fh_site site_of_home(fh_energy_case *c, const char *home)
{
    char water[40], carbon[40], tariff[40];
    fh_site s = {.pue = use(c, "pue.home.no_ac"), .wue = use(c, "wue.home")};
    if (!*home) {
        s.grid_water = anywhere(c, "water_kwh.region.", "", "water_kwh.region.WOR");
        s.grid_carbon = anywhere(c, "grid.", "", "grid.WORLD");
        s.tariff = anywhere(c, "price.", ".residential", "price.WORLD.residential");
        return s;
    }
    snprintf(water, sizeof water, "water_kwh.region.%.3s", home);
    snprintf(carbon, sizeof carbon, "grid.%.3s", home);
    snprintf(tariff, sizeof tariff, "price.%.3s.residential", home);
    s.grid_water = use(c, water);
    s.grid_carbon = use(c, carbon);
    s.tariff = use_tariff(c, tariff);
    return s;
}

typedef struct centre { /* a region that its owner reports of */
    const char *pue, *wue, *grid_water, *grid_carbon, *tariff;
} centre;

static const centre cold = {"pue.aws.eu-north-1", "wue.aws.eu-north-1", "water_kwh.region.SWE", "grid.SWE", "price.SWE.business"};
static const centre mild = {"pue.aws.us-east-1", "wue.aws.us-east-1", "water_kwh.region.US-VA", "grid.gcp.us-east4", "price.USA.business"};
static const centre hot = {"pue.aws.ap-southeast-3", "wue.aws.ap-southeast-3", "water_kwh.region.IDN", "grid.IDN",
                           "price.ASIA.gpp.business"};

/* dry: cooled without evaporation. What that costs in power is not published for a region: up to what all operators say of theirs. */
static fh_site site_of_centre(fh_energy_case *c, const centre *at, bool dry)
{
    fh_site s = {.pue = use(c, at->pue), .wue = use(c, dry ? "wue.closed_loop.dlc" : at->wue)};
    if (dry) s.pue = fh_range_span(s.pue, use(c, "pue.uptime.survey"));
    s.grid_water = use(c, at->grid_water);
    s.grid_carbon = use(c, at->grid_carbon);
    s.tariff = use_tariff(c, at->tariff);
    return s;
}

/* ---- what machines take ---- */

static fh_energy_case *add(fh_energy_comparison *all, fh_energy_kind kind, const char *id, const char *what)
{
    fh_energy_case *c = &all->cases[all->count++];
    *c = (fh_energy_case){.id = id, .what = what, .kind = kind};
    return c;
}

static fh_range wh_of_mtok(fh_range j_per_tok)
{
    return fh_range_scale(j_per_tok, MILLION / J_PER_WH);
}

/* idle_w: of the hours a day in which it waits. */
static void finish(fh_energy_case *c, const fh_energy_wishes *w, const fh_site *at, fh_range j_per_tok, fh_range idle_w, double hours)
{
    c->active = fh_footprint_of(wh_of_mtok(j_per_tok), at);
    c->idle_day = fh_footprint_of(fh_range_scale(idle_w, hours), at);
    fh_footprint share = fh_footprint_scale(&c->idle_day, MILLION / w->tokens_day);
    c->mtok = fh_footprint_add(&c->active, &share);
}

static void add_mac(fh_energy_comparison *all, const fh_energy_wishes *w)
{
    fh_energy_case *c = add(all, FH_ENERGY_HOME, "home-mac", "a small Mac that is always on; active energy without its power supply");
    fh_site at = site_of_home(c, w->home);
    finish(c, w, &at, use(c, "token.llama3_1_8b_q8.m1_pro.home"), use(c, "device.mac_mini_m4.idle"), HOURS_PER_DAY);
}

/* The board's power through the power supply, and the rest of the machine; idle: a factor's key, NULL where it is on anyway. */
static void add_pc(fh_energy_comparison *all, const fh_energy_wishes *w, const char *id, const char *what, const char *idle)
{
    fh_energy_case *c = add(all, FH_ENERGY_HOME, id, what);
    fh_site at = site_of_home(c, w->home);
    fh_range board = fh_range_div(use(c, "power.rtx5060ti.qwen2_5_coder_7b"), use(c, "meas.psu.efficiency.home"));
    fh_range machine = fh_range_add(board, use(c, "home_pc.host.active"));
    fh_range j = fh_range_div(machine, use(c, "rate.rtx5060ti.qwen2_5_coder_7b"));
    finish(c, w, &at, j, idle ? use(c, idle) : fh_range_exactly(0), HOURS_PER_DAY);
}

static void add_own(fh_energy_comparison *all, const fh_energy_wishes *w)
{
    fh_energy_case *c = add(all, FH_ENERGY_HOME, "home-own", "the machine that was named, on all day for this");
    fh_site at = site_of_home(c, w->home);
    finish(c, w, &at, fh_range_exactly(w->own_watts / w->own_tok_s), fh_range_exactly(w->own_idle_watts), HOURS_PER_DAY);
}

/* Of accelerators alone to their whole server: the host beside them. */
static fh_range with_host(fh_energy_case *c, fh_range accelerators_j)
{
    fh_range share = use(c, "share.gemini.accelerators"), host = use(c, "share.gemini.host");
    return fh_range_mul(accelerators_j, fh_range_div(fh_range_add(share, host), share));
}

/* One request alone in each step. */
static void add_rented(fh_energy_comparison *all, const fh_energy_wishes *w)
{
    fh_energy_case *c =
        add(all, FH_ENERGY_RENTED, "rented-gpu", "one rented H100 for one person, and its share of an idle server meanwhile");
    fh_site at = site_of_centre(c, &mild, false);
    fh_range step = fh_range_add(use(c, "step_fixed.llama_3_1_8b_instruct.bfloat16.1xh100"),
                                 use(c, "step_marginal.llama_3_1_8b_instruct.bfloat16.1xh100"));
    fh_range idle = fh_range_scale(use(c, "server.8x_h100_hgx.idle"), 1.0 / GPUS_PER_SERVER);
    finish(c, w, &at, with_host(c, step), idle, w->rent_hours);
}

/* Idle machines of a centre are shared by all its requests, so that they go with the tokens. */
static void add_centre(fh_energy_comparison *all, const fh_energy_wishes *w, const char *id, const char *what, const char *token,
                       const centre *where, bool dry)
{
    fh_energy_case *c = add(all, FH_ENERGY_CENTRE, id, what);
    fh_site at = site_of_centre(c, where, dry);
    fh_range share = use(c, "share.gemini.accelerators"), j = use(c, token);
    fh_range idle = fh_range_mul(j, fh_range_div(use(c, "util.gemini.idle_share_energy"), share));
    finish(c, w, &at, fh_range_add(with_host(c, j), idle), fh_range_exactly(0), HOURS_PER_DAY);
}

#define H100 "token.llama_3_1_8b_instruct.bfloat16.1xh100."

static void add_all(fh_energy_comparison *all, const fh_energy_wishes *w)
{
    add_mac(all, w);
    add_pc(all, w, "home-pc-asleep", "a PC with an RTX 5060 Ti that sleeps between answers", "home_pc.asleep");
    add_pc(all, w, "home-pc-on-anyway", "the same, on all day for something else", NULL);
    add_pc(all, w, "home-pc-for-this", "the same, on all day for this alone", "home_pc.rx7900xtx_server.idle");
    if (w->own_watts > 0) add_own(all, w);
    add_rented(all, w);
    add_centre(all, w, "centre-8", "H100, 8 requests at a time, N. Virginia", H100 "b8", &mild, false);
    add_centre(all, w, "centre-32", "H100, 32 at a time, N. Virginia", H100 "b32", &mild, false);
    add_centre(all, w, "centre-128", "H100, 128 at a time, N. Virginia", H100 "b128", &mild, false);
    add_centre(all, w, "centre-511", "H100, 511 at a time, N. Virginia", H100 "b511", &mild, false);
    add_centre(all, w, "centre-32-dry", "32 at a time, N. Virginia, cooled by air alone", H100 "b32", &mild, true);
    add_centre(all, w, "centre-32-cold", "32 at a time, Stockholm", H100 "b32", &cold, false);
    add_centre(all, w, "centre-32-hot", "32 at a time, Jakarta, cooled by water", H100 "b32", &hot, false);
    add_centre(all, w, "centre-32-hot-dry", "32 at a time, Jakarta, cooled by air alone", H100 "b32", &hot, true);
}

/* ---- what is asked for ---- */

static int bad(fh_err **err, const char *field, const char *why)
{
    fh_err_set(err, FH_E_INVALID, "%s %s", field, why);
    fh_err_param(err, "%s", field);
    return FH_E_INVALID;
}

static bool within(double v, double least, double most)
{
    return v >= least && v <= most; /* NAN is not */
}

static int check(const fh_energy_wishes *w, fh_err **err)
{
    char key[16];
    if (!within(w->tokens_day, 1, TOKENS_MAX)) return bad(err, "tokens_day", "must be 1 to 10^15");
    if (!within(w->rent_hours, 0, HOURS_PER_DAY)) return bad(err, "rent_hours", "must be 0 to 24");
    if (!within(w->own_watts, 0, WATTS_MAX) || !within(w->own_idle_watts, 0, WATTS_MAX))
        return bad(err, "own_watts", "must be 0 to 1000000");
    if (w->own_watts > 0 && !within(w->own_tok_s, 1e-6, TOKENS_MAX)) return bad(err, "own_tok_s", "must say how fast the machine is");
    snprintf(key, sizeof key, "grid.%.8s", w->home);
    if (*w->home && (strlen(w->home) != 3 || !fh_catalog_factor_find(fh_str_of(key)))) {
        bad(err, "home", "is no country that the factors know");
        fh_err_hint(err, "give its ISO 3166 code of three letters, as USA or DEU; `freehold energy factors grid.` lists them");
        return FH_E_INVALID;
    }
    return 0;
}

int fh_energy_compare(const fh_energy_wishes *w, fh_energy_comparison *ret, fh_err **err)
{
    int rc = check(w, err);
    if (rc) return rc;
    ret->count = 0;
    add_all(ret, w);
    return 0;
}

static double likeliest(const fh_footprint *f, fh_energy_measure m)
{
    switch (m) {
    case FH_ENERGY_WH: return f->wh.mid;
    case FH_ENERGY_LITRES: return fh_footprint_litres(f).mid;
    case FH_ENERGY_GRAMS: return f->grams.mid;
    case FH_ENERGY_USD: break;
    }
    return f->usd.mid;
}

double fh_energy_break_even(const fh_energy_case *a, const fh_energy_case *b, fh_energy_measure m)
{
    double saved = likeliest(&b->active, m) - likeliest(&a->active, m), idle = likeliest(&a->idle_day, m) - likeliest(&b->idle_day, m);
    if (isnan(saved) || isnan(idle)) return (double)NAN;
    if (saved <= 0) return (double)INFINITY;
    return fmax(idle / saved * MILLION, 0);
}
