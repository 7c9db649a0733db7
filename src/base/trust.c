/* Classes of trust, and lists of who may read (see base/trust.h). */
#include "base/trust.h"

#include "base/mem.h"
#include <stdio.h>

static const char *const classes[FH_TRUSTS] = {"own", "rented", "named", "any"};
static const char *const kinds[] = {"node/", "provider/", "owner/"};
enum { OWNER = 2 };

const char *fh_trust_name(fh_trust t)
{
    return classes[t];
}

bool fh_trust_parse(fh_str name, fh_trust *ret)
{
    for (fh_trust t = 0; t < FH_TRUSTS; t++) {
        if (!fh_str_eqs(name, classes[t])) continue;
        *ret = t;
        return true;
    }
    return false;
}

/* What stands behind "node/", "provider/" or "owner/"; empty for what begins with none of them. */
static fh_str name_in(fh_str word, size_t kind)
{
    fh_str prefix = fh_str_of(kinds[kind]);
    return fh_str_starts(word, prefix) ? (fh_str){word.ptr + prefix.len, word.len - prefix.len} : (fh_str){NULL, 0};
}

static bool is_name(fh_str word)
{
    for (size_t i = 0; i < FH_COUNT(kinds); i++)
        if (fh_str_is_label(name_in(word, i))) return true;
    return false;
}

/* The next word of the text, which it is taken from. */
static bool next(fh_str *text, bool *more, fh_str *ret)
{
    if (!*more) return false;
    size_t comma = fh_str_find(*text, FH_STR(","));
    *ret = fh_str_trim((fh_str){text->ptr, comma});
    *more = comma < text->len;
    if (*more) *text = (fh_str){text->ptr + comma + 1, text->len - comma - 1};
    return true;
}

static bool has(const char *list, fh_str word)
{
    fh_str left = fh_str_of(list), one;
    for (bool more = left.len > 0; next(&left, &more, &one);)
        if (fh_str_eq(one, word)) return true;
    return false;
}

static int no_word(fh_str word, fh_err **err)
{
    fh_err_set(err, FH_E_INVALID, "'%.*s' is none who could be trusted", (int)FH_MIN(word.len, (size_t)64), word.ptr ? word.ptr : "");
    fh_err_hint(err, "own, rented, named or any; or names besides, with commas: node/NAME, provider/NAME, owner/NAME");
    return FH_E_INVALID;
}

static int add(char list[FH_LIMIT_TRUST_BYTES], fh_str word, fh_err **err)
{
    size_t used = strlen(list);
    if (has(list, word)) return 0;
    if (used + 1 + word.len >= FH_LIMIT_TRUST_BYTES)
        return fh_err_set(err, FH_E_INVALID, "those who are trusted have %d bytes together at most", FH_LIMIT_TRUST_BYTES - 1);
    snprintf(list + used, FH_LIMIT_TRUST_BYTES - used, ",%.*s", (int)word.len, word.ptr);
    return 0;
}

int fh_trusts_parse(fh_str text, char ret[FH_LIMIT_TRUST_BYTES], fh_err **err)
{
    char names[FH_LIMIT_TRUST_BYTES] = "", list[FH_LIMIT_TRUST_BYTES];
    fh_trust widest = FH_TRUST_OWN, said;
    fh_str word;
    int rc = 0;
    for (bool more = true; !rc && next(&text, &more, &word);) {
        if (fh_trust_parse(word, &said))
            widest = FH_MAX(widest, said);
        else
            rc = is_name(word) ? add(names, word, err) : no_word(word, err);
    }
    if (rc) return rc;
    if (widest == FH_TRUST_ANY) names[0] = '\0'; /* they are in it */
    if ((size_t)snprintf(list, sizeof list, "%s%s", classes[widest], names) >= sizeof list)
        return fh_err_set(err, FH_E_INVALID, "those who are trusted have %d bytes together at most", FH_LIMIT_TRUST_BYTES - 1);
    memcpy(ret, list, sizeof list);
    return 0;
}

static bool is_of(fh_str word, const fh_reader *r)
{
    fh_str owner = name_in(word, OWNER);
    if (owner.len) return fh_str_eqs(owner, r->owner ? r->owner : "");
    return fh_str_eqs(word, r->place ? r->place : "") || fh_str_eqs(word, r->via ? r->via : "");
}

bool fh_trusts_hold(const char *list, const fh_reader *r)
{
    fh_str left = fh_str_of(list), word;
    if (r->trust == FH_TRUST_OWN) return true;
    for (bool more = left.len > 0; next(&left, &more, &word);) {
        fh_trust said;
        if (fh_trust_parse(word, &said) ? r->trust <= said : is_of(word, r)) return true;
    }
    return false;
}
