/* freehold energy compare, factors: the same work at home and in data centres, and the factors that this stands on. Needs no server. */
#include "cli_private.h"

#include "catalog/factors.h"
#include "meter/compare.h"
#include "meter/published.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define FIGURE 32

/* Three digits, so that neither 0.000212 nor 12345 becomes wide; a dash is not known. */
static const char *figure(double v, char out[FIGURE])
{
    if (isnan(v))
        snprintf(out, FIGURE, "-");
    else if (v != 0 && (v < 0.001 || v >= 1e6))
        snprintf(out, FIGURE, "%.1e", v);
    else
        snprintf(out, FIGURE, "%.*f", v >= 100 || v == 0 ? 0 : v >= 10 ? 1 : v >= 1 ? 2 : v >= 0.1 ? 3 : v >= 0.01 ? 4 : 5, v);
    return out;
}

static const char *spread(fh_range r, char out[3 * FIGURE])
{
    char mid[FIGURE], low[FIGURE], high[FIGURE];
    figure(r.mid, mid);
    if (!fh_range_is_known(r) || (r.low == r.mid && r.high == r.mid))
        snprintf(out, 3 * FIGURE, "%s", mid);
    else
        snprintf(out, 3 * FIGURE, "%s (%s-%s)", mid, figure(r.low, low), figure(r.high, high));
    return out;
}

/* ---- JSON ---- */

static fh_json *number_json(double v)
{
    return isfinite(v) ? fh_json_new_real(v) : fh_json_new_null();
}

static fh_json *range_json(fh_range r)
{
    fh_json *o = fh_json_new_object();
    fh_json_set(o, "low", number_json(r.low));
    fh_json_set(o, "mid", number_json(r.mid));
    fh_json_set(o, "high", number_json(r.high));
    return o;
}

static fh_json *footprint_json(const fh_footprint *f)
{
    fh_json *o = fh_json_new_object();
    fh_json_set(o, "wh", range_json(f->wh));
    fh_json_set(o, "site_litres", range_json(f->site_l));
    fh_json_set(o, "grid_litres", range_json(f->grid_l));
    fh_json_set(o, "grams", range_json(f->grams));
    fh_json_set(o, "usd", range_json(f->usd));
    return o;
}

static fh_json *factor_json(const fh_catalog_factor *f)
{
    fh_json *o = fh_json_new_object();
    fh_json_set(o, "key", fh_json_new_cstr(f->key));
    fh_json_set(o, "value", fh_json_new_real(f->value));
    fh_json_set(o, "low", f->has_low ? fh_json_new_real(f->low) : fh_json_new_null());
    fh_json_set(o, "high", f->has_high ? fh_json_new_real(f->high) : fh_json_new_null());
    fh_json_set(o, "unit", fh_json_new_cstr(f->unit));
    fh_json_set(o, "scope", fh_json_new_cstr(f->scope));
    fh_json_set(o, "year", fh_json_new_cstr(f->year));
    fh_json_set(o, "source", fh_json_new_cstr(f->source));
    fh_json_set(o, "unverified", fh_json_new_bool(f->unverified));
    return o;
}

static fh_json *case_json(const fh_energy_case *c)
{
    fh_json *o = fh_json_new_object(), *factors = fh_json_new_array();
    for (size_t i = 0; i < c->factor_count; i++) fh_json_append(factors, factor_json(c->factors[i]));
    fh_json_set(o, "id", fh_json_new_cstr(c->id));
    fh_json_set(o, "what", fh_json_new_cstr(c->what));
    fh_json_set(o, "kind", fh_json_new_cstr(fh_energy_kind_name(c->kind)));
    fh_json_set(o, "per_million_tokens", footprint_json(&c->mtok));
    fh_json_set(o, "active_per_million_tokens", footprint_json(&c->active));
    fh_json_set(o, "idle_per_day", footprint_json(&c->idle_day));
    fh_json_set(o, "basis", fh_json_new_cstr("modelled"));
    fh_json_set(o, "factors", factors);
    return o;
}

/* never: as null; unknown: left out. */
static fh_json *even_json(const fh_energy_case *a, const fh_energy_case *b)
{
    fh_json *o = fh_json_new_object();
    fh_json_set(o, "home", fh_json_new_cstr(a->id));
    fh_json_set(o, "than", fh_json_new_cstr(b->id));
    for (fh_energy_measure m = FH_ENERGY_WH; m <= FH_ENERGY_USD; m++) {
        double tokens = fh_energy_break_even(a, b, m);
        if (!isnan(tokens)) fh_json_set(o, fh_energy_measure_name(m), number_json(tokens));
    }
    return o;
}

static int print_comparison_json(const fh_energy_comparison *all, const fh_energy_wishes *w, fh_err **err)
{
    FH_AUTO(json) fh_json *o = fh_json_new_object();
    fh_json *cases = fh_json_new_array(), *evens = fh_json_new_array();
    for (size_t i = 0; i < all->count; i++) {
        fh_json_append(cases, case_json(&all->cases[i]));
        for (size_t k = 0; all->cases[i].kind == FH_ENERGY_HOME && k < all->count; k++)
            if (all->cases[k].kind != FH_ENERGY_HOME) fh_json_append(evens, even_json(&all->cases[i], &all->cases[k]));
    }
    fh_json_set(o, "tokens_per_day", fh_json_new_real(w->tokens_day));
    fh_json_set(o, "home", *w->home ? fh_json_new_cstr(w->home) : fh_json_new_null());
    fh_json_set(o, "cases", cases);
    fh_json_set(o, "break_even_tokens_per_day", evens);
    return fh_cli_print_json(o, err);
}

/* ---- text ---- */

static bool add_case(fh_cli_table *t, const fh_energy_case *c)
{
    char wh[3 * FIGURE], site[FIGURE], grid[FIGURE], grams[FIGURE], usd[FIGURE];
    const char *cells[] = {c->id,
                           spread(c->mtok.wh, wh),
                           figure(c->mtok.site_l.mid, site),
                           figure(c->mtok.grid_l.mid, grid),
                           figure(c->mtok.grams.mid, grams),
                           figure(c->mtok.usd.mid, usd),
                           c->what};
    return fh_cli_table_add(t, cells);
}

static const fh_energy_case *case_of(const fh_energy_comparison *all, const char *id)
{
    for (size_t i = 0; i < all->count; i++)
        if (strcmp(all->cases[i].id, id) == 0) return &all->cases[i];
    return NULL;
}

static void say_even(const fh_energy_case *home, const fh_energy_case *centre, fh_buf *out)
{
    double tokens = fh_energy_break_even(home, centre, FH_ENERGY_WH);
    if (tokens == 0)
        fh_buf_addf(out, "  than %s: always\n", centre->id);
    else if (isinf(tokens))
        fh_buf_addf(out, "  than %s: never; a token alone takes more\n", centre->id);
    else if (tokens >= 1e6)
        fh_buf_addf(out, "  than %s: from %.1f million tokens a day on\n", centre->id, tokens / 1e6);
    else
        fh_buf_addf(out, "  than %s: from %.0f tokens a day on\n", centre->id, tokens);
}

/* From when on each machine at home takes less energy than a rented GPU, a centre that works little, and one that is well used. */
static void say_evens(const fh_energy_comparison *all, fh_buf *out)
{
    static const char *const against[] = {"rented-gpu", "centre-8", "centre-128"};
    for (size_t i = 0; i < all->count; i++) {
        if (all->cases[i].kind != FH_ENERGY_HOME) continue;
        fh_buf_addf(out, "%s takes less energy\n", all->cases[i].id);
        for (size_t k = 0; k < FH_COUNT(against); k++) say_even(&all->cases[i], case_of(all, against[k]), out);
    }
}

static double site_percent(const fh_energy_case *c)
{
    return 100 * c->mtok.site_l.mid / fh_footprint_litres(&c->mtok).mid;
}

static void say_drivers(const fh_energy_comparison *all, fh_buf *out)
{
    const fh_energy_case *few = case_of(all, "centre-8"), *many = case_of(all, "centre-128"), *pc = case_of(all, "home-pc-for-this");
    const fh_energy_case *hot = case_of(all, "centre-32-hot"), *cold = case_of(all, "centre-32-cold");
    fh_buf_addf(out, "what drives them:\n");
    fh_buf_addf(out, "  requests at a time: 8 take %.1f times the energy of 128\n", few->mtok.wh.mid / many->mtok.wh.mid);
    fh_buf_addf(out, "  idle: %.0f %% of a PC that is on for this alone\n", 100 * (1 - pc->active.wh.mid / pc->mtok.wh.mid));
    fh_buf_addf(out, "  the site: Jakarta's takes %.2f times the energy of Stockholm's for the same work\n",
                hot->mtok.wh.mid / cold->mtok.wh.mid);
    fh_buf_addf(out, "  water: of all litres, those at the site are %.0f %% in Jakarta, %.0f %% in N. Virginia, %.0f %% in Stockholm\n",
                site_percent(hot), site_percent(few), site_percent(cold));
    fh_buf_addf(out, "  the grid: %.0f times the carbon in Jakarta\n", hot->mtok.grams.mid / cold->mtok.grams.mid);
}

static int print_comparison(const fh_energy_comparison *all, const fh_energy_wishes *w, fh_err **err)
{
    static const fh_cli_column columns[] = {{"CASE", FH_CLI_LEFT},    {"WH/M", FH_CLI_LEFT},    {"L SITE", FH_CLI_RIGHT},
                                            {"L GRID", FH_CLI_RIGHT}, {"G CO2E", FH_CLI_RIGHT}, {"$", FH_CLI_RIGHT},
                                            {"", FH_CLI_WRAP},        {NULL, FH_CLI_LEFT}};
    char tokens[FIGURE];
    FH_AUTO(buf) fh_buf out = FH_BUF(1 << 20);
    FH_AUTO(fh_cli_table) fh_cli_table *t = fh_cli_table_new(columns);
    if (!t) return fh_err_nomem(err);
    for (size_t i = 0; i < all->count; i++)
        if (!add_case(t, &all->cases[i])) return fh_err_nomem(err);
    fh_buf_addf(&out, "a million answered tokens of an 8B model, at %s tokens a day; all modelled, likeliest (least-greatest)\n",
                figure(w->tokens_day, tokens));
    fh_cli_table_write(t, &out);
    if (!*w->home) fh_buf_adds(&out, "home may be anywhere: --home USA says where\n");
    say_drivers(all, &out);
    say_evens(all, &out);
    fh_buf_adds(&out, "--json has every figure's range and its factors; `freehold energy factors KEY` has their sources\n");
    return fh_cli_print(&out, err);
}

/* ---- published figures ---- */

static fh_json *published_json(const fh_published *p)
{
    fh_json *o = fh_json_new_object();
    bool known = fh_range_is_known(p->ours);
    fh_json_set(o, "what", fh_json_new_cstr(p->what));
    fh_json_set(o, "unit", fh_json_new_cstr(p->unit));
    fh_json_set(o, "source", fh_json_new_cstr(p->source));
    fh_json_set(o, "published", range_json(p->published));
    fh_json_set(o, "reckoned", known ? range_json(p->ours) : fh_json_new_null());
    fh_json_set(o, "agrees", known ? fh_json_new_bool(fh_published_agrees(p)) : fh_json_new_null());
    fh_json_set(o, "how", fh_json_new_cstr(p->how));
    return o;
}

static int print_published_json(fh_err **err)
{
    FH_AUTO(json) fh_json *o = fh_json_new_object();
    fh_json *items = fh_json_new_array();
    for (size_t i = 0; i < fh_published_count(); i++) {
        fh_published p = fh_published_at(i);
        fh_json_append(items, published_json(&p));
    }
    fh_json_set(o, "items", items);
    return fh_cli_print_json(o, err);
}

static int print_published(fh_err **err)
{
    static const fh_cli_column columns[] = {{"PUBLISHED", FH_CLI_LEFT}, {"UNIT", FH_CLI_LEFT}, {"IT SAYS", FH_CLI_RIGHT},
                                            {"BY OURS", FH_CLI_LEFT},   {"", FH_CLI_LEFT},     {"HOW", FH_CLI_WRAP},
                                            {NULL, FH_CLI_LEFT}};
    FH_AUTO(buf) fh_buf out = FH_BUF(1 << 20);
    FH_AUTO(fh_cli_table) fh_cli_table *t = fh_cli_table_new(columns);
    if (!t) return fh_err_nomem(err);
    for (size_t i = 0; i < fh_published_count(); i++) {
        char says[FIGURE], ours[3 * FIGURE];
        fh_published p = fh_published_at(i);
        const char *agrees = !fh_range_is_known(p.ours) ? "" : fh_published_agrees(&p) ? "agrees" : "DIFFERS";
        const char *cells[] = {p.what, p.unit, figure(p.published.mid, says), spread(p.ours, ours), agrees, p.how};
        if (!fh_cli_table_add(t, cells)) return fh_err_nomem(err);
    }
    fh_cli_table_write(t, &out);
    return fh_cli_print(&out, err);
}

/* ---- the verbs ---- */

static int run_compare(fh_cli *c, fh_err **err)
{
    fh_energy_wishes w = {
        .tokens_day = (double)fh_cli_int(c, "tokens-day", 12000),
        .home = fh_cli_text(c, "home", ""),
        .rent_hours = fh_cli_real(c, "rent-hours", 1),
        .own_watts = fh_cli_real(c, "watts", 0),
        .own_tok_s = fh_cli_real(c, "tok-s", 0),
        .own_idle_watts = fh_cli_real(c, "idle-watts", 0),
    };
    fh_energy_comparison all;
    if (fh_cli_has(c, "published")) return c->json ? print_published_json(err) : print_published(err);
    if (fh_cli_has(c, "watts") && !fh_cli_has(c, "tok-s")) {
        int rc = fh_err_set(err, FH_E_INVALID, "--watts says what the machine draws, and nothing how fast it is");
        fh_err_hint(err, "give --tok-s too: its tokens a second, as `freehold bench` measures them");
        return rc;
    }
    int rc = fh_energy_compare(&w, &all, err);
    if (rc) return rc;
    return c->json ? print_comparison_json(&all, &w, err) : print_comparison(&all, &w, err);
}

static bool is_asked_for(const fh_catalog_factor *f, const char *word)
{
    return !word || strncmp(f->key, word, strlen(word)) == 0;
}

static int print_factors(const char *word, fh_err **err)
{
    static const fh_cli_column columns[] = {{"KEY", FH_CLI_LEFT},  {"VALUE", FH_CLI_RIGHT},          {"UNIT", FH_CLI_LEFT},
                                            {"YEAR", FH_CLI_LEFT}, {"OF WHAT; SOURCE", FH_CLI_WRAP}, {NULL, FH_CLI_LEFT}};
    FH_AUTO(buf) fh_buf out = FH_BUF(4 << 20);
    FH_AUTO(fh_cli_table) fh_cli_table *t = fh_cli_table_new(columns);
    if (!t) return fh_err_nomem(err);
    for (size_t i = 0; i < fh_catalog_factor_count(); i++) {
        const fh_catalog_factor *f = fh_catalog_factor_at(i);
        char value[3 * FIGURE], said[1024];
        if (!is_asked_for(f, word)) continue;
        snprintf(said, sizeof said, "%s; %s%s", f->scope, f->source, f->unverified ? " (not confirmed)" : "");
        const char *cells[] = {f->key, spread(fh_range_of(f), value), f->unit, f->year, said};
        if (!fh_cli_table_add(t, cells)) return fh_err_nomem(err);
    }
    fh_cli_table_write(t, &out);
    return fh_cli_print(&out, err);
}

static int print_factors_json(const char *word, fh_err **err)
{
    FH_AUTO(json) fh_json *o = fh_json_new_object();
    fh_json *items = fh_json_new_array();
    for (size_t i = 0; i < fh_catalog_factor_count(); i++)
        if (is_asked_for(fh_catalog_factor_at(i), word)) fh_json_append(items, factor_json(fh_catalog_factor_at(i)));
    fh_json_set(o, "items", items);
    return fh_cli_print_json(o, err);
}

static int run_factors(fh_cli *c, fh_err **err)
{
    const char *word = fh_cli_operand(c, 0);
    size_t found = 0;
    for (size_t i = 0; i < fh_catalog_factor_count(); i++) found += is_asked_for(fh_catalog_factor_at(i), word);
    if (!found) {
        int rc = fh_err_set(err, FH_E_NOT_FOUND, "no factor's key begins with \"%.64s\"", word);
        fh_err_hint(err,
                    "`freehold energy factors` lists all; keys begin with pue. wue. water_kwh. grid. price. device. token. and others");
        return rc;
    }
    return c->json ? print_factors_json(word, err) : print_factors(word, err);
}

static const fh_cli_flag compare_flags[] = {
    {"tokens-day", 0, FH_CLI_INT, "N", "answered tokens a day; 12000 without, which is thirty answers", 1, 1000000000000},
    {"home", 0, FH_CLI_TEXT, "COUNTRY", "where home is, by its ISO code of three letters; without: anywhere, as a range", 0, 0},
    {"rent-hours", 0, FH_CLI_REAL, "N", "a day, that the GPU is rented for; 1 without", 0, 24},
    {"watts", 0, FH_CLI_REAL, "W", "a machine of your own: what it draws at its plug while it answers", 0, 1000000},
    {"tok-s", 0, FH_CLI_REAL, "N", "its tokens a second meanwhile", 0, 1000000000},
    {"idle-watts", 0, FH_CLI_REAL, "W", "what it draws while it waits; 0 without", 0, 1000000},
    {"published", 0, FH_CLI_BOOL, NULL, "instead: figures that others published, reckoned anew from our factors", 0, 0},
    {NULL, 0, FH_CLI_BOOL, NULL, NULL, 0, 0},
};
static const char *const compare_examples[] = {"freehold energy compare --home USA --tokens-day 200000",
                                               "freehold energy compare --watts 240 --tok-s 95 --idle-watts 60", NULL};
static const char *const factors_examples[] = {"freehold energy factors grid.", "freehold energy factors pue.aws --json", NULL};

const fh_cli_verb fh_verb_energy_compare = {
    .name = "energy compare",
    .group = "Models and weights",
    .summary = "the same work at home and in data centres: joules, litres, grams",
    .operands = "",
    .about = "What a million answered tokens of an 8B model take at home, on a rented GPU and in data centres of three climates: energy at "
             "the place's meter, water at the site and for its electricity, carbon of the grid, and the price of the electricity. What "
             "drives the figures is said, and from how many tokens a day on home takes less.\n\nAll of it is modelled from factors, each "
             "with its source and its spread: docs/ENERGY.md says how. A dash is not known.",
    .examples = compare_examples,
    .flags = compare_flags,
    .run = run_compare,
};
const fh_cli_verb fh_verb_energy_factors = {
    .name = "energy factors",
    .group = "Models and weights",
    .summary = "factors of energy, water, carbon and electricity, with their sources",
    .operands = "[BEGINNING]",
    .max_operands = 1,
    .about = "BEGINNING is how their keys begin: pue, wue, water_kwh, grid, price, device, token, and so on.",
    .examples = factors_examples,
    .run = run_factors,
};
