/* Reads flags and operands as a verb's table declares them: --name value, --name=value, -n value; `--` ends the flags; flags and operands
 * may mix. */
#include "cli_private.h"

#include <string.h>

static const fh_cli_flag *find_in(const fh_cli_flag *list, fh_str name)
{
    for (const fh_cli_flag *f = list; f && f->name; f++)
        if (fh_str_eqs(name, f->name)) return f;
    return NULL;
}

static const fh_cli_flag *find_letter(const fh_cli_flag *list, char letter)
{
    for (const fh_cli_flag *f = list; f && f->name; f++)
        if (f->letter == letter) return f;
    return NULL;
}

/* A verb's own flag hides a common one of the same name. */
static const fh_cli_flag *find_flag(const fh_cli_verb *v, const char *arg, size_t len)
{
    bool is_long = arg[1] == '-';
    if (!is_long && len != 2) return NULL;
    fh_str name = {arg + 2, is_long ? len - 2 : 0};
    const fh_cli_flag *own = is_long ? find_in(v->flags, name) : find_letter(v->flags, arg[1]);
    if (own) return own;
    return is_long ? find_in(fh_cli_common, name) : find_letter(fh_cli_common, arg[1]);
}

static const char *nearest_in(const fh_cli_flag *list, fh_str name, unsigned *distance)
{
    const char *best = NULL;
    for (const fh_cli_flag *f = list; f && f->name; f++) {
        unsigned d = fh_str_distance(name, fh_str_of(f->name));
        if (d >= *distance) continue;
        *distance = d;
        best = f->name;
    }
    return best;
}

static int unknown_flag(const fh_cli_verb *v, const char *arg, size_t len, fh_err **err)
{
    fh_str name = {arg, len};
    while (name.len && name.ptr[0] == '-') name = (fh_str){name.ptr + 1, name.len - 1};
    unsigned distance = 4;
    const char *own = nearest_in(v->flags, name, &distance), *common = nearest_in(fh_cli_common, name, &distance);
    const char *near = common ? common : own;
    fh_err_set(err, FH_E_USAGE, "unknown flag %.*s", (int)FH_MIN(len, (size_t)64), arg);
    if (near)
        fh_err_hint(err, "did you mean --%s? `freehold %s --help` lists all flags", near, v->name);
    else
        fh_err_hint(err, "`freehold %s --help` lists all flags", v->name);
    return FH_E_USAGE;
}

static bool parse_int(const char *text, int64_t *ret)
{
    bool negative = text[0] == '-';
    uint64_t n;
    if (!fh_str_u64(fh_str_of(text + negative), INT64_MAX, &n)) return false;
    *ret = negative ? -(int64_t)n : (int64_t)n;
    return true;
}

static int check_value(const fh_cli_flag *f, const char *value, fh_err **err)
{
    int64_t n;
    double x;
    if (f->kind != FH_CLI_INT && f->kind != FH_CLI_REAL) return 0;
    if (f->kind == FH_CLI_INT && parse_int(value, &n) && n >= f->min && n <= f->max) return 0;
    if (f->kind == FH_CLI_REAL && fh_str_f64(fh_str_of(value), &x) && x >= (double)f->min && x <= (double)f->max) return 0;
    fh_err_set(err, FH_E_USAGE, "--%s wants a %snumber from %lld to %lld, not '%.64s'", f->name, f->kind == FH_CLI_INT ? "whole " : "",
               (long long)f->min, (long long)f->max, value);
    fh_err_param(err, "--%s", f->name);
    return FH_E_USAGE;
}

static int add_given(fh_cli *c, const fh_cli_flag *f, const char *value, fh_err **err)
{
    if (c->given_count == FH_CLI_GIVEN_MAX) return fh_err_set(err, FH_E_USAGE, "more than %d flags", FH_CLI_GIVEN_MAX);
    int rc = value ? check_value(f, value, err) : 0;
    if (rc) return rc;
    c->given[c->given_count].flag = f;
    c->given[c->given_count++].value = value;
    return 0;
}

int fh_cli_give(fh_cli *c, const char *flag, const char *value, fh_err **err)
{
    return add_given(c, find_in(c->verb->flags, fh_str_of(flag)), value, err);
}

/* Takes the flag at args[*i] and its value; leaves *i on the last word taken. */
static int take_flag(fh_cli *c, char **args, size_t count, size_t *i, fh_err **err)
{
    const char *arg = args[*i];
    size_t len = strcspn(arg, "=");
    const char *value = arg[len] ? arg + len + 1 : NULL;
    const fh_cli_flag *f = find_flag(c->verb, arg, len);
    if (!f) return unknown_flag(c->verb, arg, len, err);
    if (f->kind == FH_CLI_BOOL && value) return fh_err_set(err, FH_E_USAGE, "--%s takes no value", f->name);
    if (f->kind == FH_CLI_BOOL) return add_given(c, f, NULL, err);
    if (!value && *i + 1 < count) value = args[++*i];
    if (value) return add_given(c, f, value, err);
    fh_err_set(err, FH_E_USAGE, "--%s wants a value (%s)", f->name, f->value);
    fh_err_hint(err, "%s", f->help);
    return FH_E_USAGE;
}

static int check_operands(const fh_cli *c, fh_err **err)
{
    const fh_cli_verb *v = c->verb;
    if (c->operand_count >= v->min_operands && c->operand_count <= v->max_operands) return 0;
    if (c->operand_count < v->min_operands)
        fh_err_set(err, FH_E_USAGE, "too few arguments: it wants %s", v->operands);
    else
        fh_err_set(err, FH_E_USAGE, "unexpected argument '%.64s'", c->operands[v->max_operands]);
    fh_err_hint(err, "`freehold %s --help` shows how to use it", v->name);
    return FH_E_USAGE;
}

int fh_cli_parse(fh_cli *c, const fh_cli_verb *verb, char **args, size_t count, fh_err **err)
{
    *c = (fh_cli){.verb = verb, .operands = args};
    bool flags_ended = false;
    for (size_t i = 0; i < count; i++) {
        bool is_flag = !flags_ended && args[i][0] == '-' && args[i][1] != '\0';
        if (is_flag && strcmp(args[i], "--") == 0) {
            flags_ended = true;
            continue;
        }
        if (!is_flag) {
            args[c->operand_count++] = args[i];
            continue;
        }
        int rc = take_flag(c, args, count, &i, err);
        if (rc) return rc;
    }
    c->json = fh_cli_has(c, "json");
    if (c->json && verb->no_json)
        return fh_err_set(err, FH_E_USAGE, "it runs until it is stopped and has no result to print: leave --json out");
    return check_operands(c, err);
}

bool fh_cli_has(const fh_cli *c, const char *flag)
{
    for (size_t i = 0; i < c->given_count; i++)
        if (strcmp(c->given[i].flag->name, flag) == 0) return true;
    return false;
}

const char *fh_cli_text(const fh_cli *c, const char *flag, const char *otherwise)
{
    for (size_t i = c->given_count; i-- > 0;)
        if (strcmp(c->given[i].flag->name, flag) == 0) return c->given[i].value;
    return otherwise;
}

const char *fh_cli_nth(const fh_cli *c, const char *flag, size_t n)
{
    for (size_t i = 0; i < c->given_count; i++)
        if (strcmp(c->given[i].flag->name, flag) == 0 && n-- == 0) return c->given[i].value;
    return NULL;
}

int64_t fh_cli_int(const fh_cli *c, const char *flag, int64_t otherwise)
{
    const char *text = fh_cli_text(c, flag, NULL);
    int64_t n;
    return text && parse_int(text, &n) ? n : otherwise;
}

int fh_cli_duration(const fh_cli *c, const char *flag, int64_t most_s, int64_t *ret_s, fh_err **err)
{
    static const struct {
        char unit;
        int64_t s;
    } units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}};
    const char *text = fh_cli_text(c, flag, NULL);
    if (!text) return 0;
    fh_str t = fh_str_of(text);
    uint64_t n = 0;
    for (size_t i = 0; t.len && i < FH_COUNT(units); i++) {
        if (t.ptr[t.len - 1] != units[i].unit || !fh_str_u64((fh_str){t.ptr, t.len - 1}, (uint64_t)(most_s / units[i].s), &n)) continue;
        *ret_s = (int64_t)n * units[i].s;
        return 0;
    }
    fh_err_set(err, FH_E_USAGE, "--%s wants a time up to %lldd, as 90s, 10m, 12h or 7d, not '%.32s'", flag, (long long)(most_s / 86400),
               text);
    fh_err_param(err, "--%s", flag);
    return FH_E_USAGE;
}

double fh_cli_real(const fh_cli *c, const char *flag, double otherwise)
{
    const char *text = fh_cli_text(c, flag, NULL);
    double x;
    return text && fh_str_f64(fh_str_of(text), &x) ? x : otherwise;
}
