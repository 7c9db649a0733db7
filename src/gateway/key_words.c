/* The words in which it is told what a key may: scopes, priorities, and the list of models (see keys.h). Pure. */
#include "gateway/keys.h"

#include <stdio.h>
#include <string.h>

static const char *const scope_names[] = {"chat", "completions", "embeddings", "responses", "messages", "tokenize",
                                          "read", "spend",       "wake",       "guard",     "admin"};
static const char *const priority_names[] = {"low", "normal", "high"};

const char *fh_scope_name(fh_scope s)
{
    return scope_names[s];
}

/* The next of the words that commas split, without blanks around it; false when there is none any more. */
static bool next_word(fh_str *rest, fh_str *ret)
{
    if (!rest->ptr) return false;
    size_t comma = fh_str_find(*rest, FH_STR(","));
    *ret = fh_str_trim((fh_str){rest->ptr, comma});
    *rest = comma < rest->len ? (fh_str){rest->ptr + comma + 1, rest->len - comma - 1} : (fh_str){NULL, 0};
    return true;
}

static uint32_t scopes_of(fh_str word)
{
    if (fh_str_eqs(word, "use")) return FH_SCOPES_USE;
    for (size_t i = 0; i < FH_COUNT(scope_names); i++)
        if (fh_str_eqs(word, scope_names[i])) return FH_SCOPE_BIT(i);
    return 0;
}

bool fh_scopes_parse(fh_str text, uint32_t *ret, fh_str *ret_bad)
{
    uint32_t all = 0;
    fh_str word;
    *ret_bad = text;
    while (next_word(&text, &word)) {
        uint32_t some = scopes_of(word);
        *ret_bad = word;
        if (!some) return false;
        all |= some;
    }
    if (all) *ret = all;
    return all != 0;
}

static void add_word(char *out, size_t out_size, const char *word)
{
    size_t used = strlen(out);
    snprintf(out + used, out_size - used, "%s%s", used ? "," : "", word);
}

void fh_scopes_write(uint32_t scopes, char out[FH_SCOPES_TEXT])
{
    out[0] = '\0';
    if (scopes & FH_SCOPES_ADMIN) scopes = FH_SCOPES_ADMIN;
    if ((scopes & FH_SCOPES_USE) == FH_SCOPES_USE) {
        add_word(out, FH_SCOPES_TEXT, "use");
        scopes &= ~FH_SCOPES_USE;
    }
    for (size_t i = 0; i < FH_COUNT(scope_names); i++)
        if (scopes & FH_SCOPE_BIT(i)) add_word(out, FH_SCOPES_TEXT, scope_names[i]);
}

bool fh_key_may(const fh_key *k, fh_scope need)
{
    return need == FH_SCOPES || (k->scopes & (FH_SCOPE_BIT(need) | FH_SCOPES_ADMIN));
}

const char *fh_priority_name(fh_priority p)
{
    return priority_names[p - FH_PRIORITY_LOW];
}

bool fh_priority_parse(fh_str name, fh_priority *ret)
{
    for (int i = 0; i < FH_PRIORITIES; i++) {
        if (!fh_str_eqs(name, priority_names[i])) continue;
        *ret = (fh_priority)(i + FH_PRIORITY_LOW);
        return true;
    }
    return false;
}

/* ---- models ---- */

fh_str fh_key_model(const fh_key *k, size_t n)
{
    fh_str rest = fh_str_of(k->models), word;
    while (rest.len && next_word(&rest, &word))
        if (n-- == 0) return word;
    return (fh_str){NULL, 0};
}

bool fh_key_lists_model(const fh_key *k, fh_str name)
{
    if (!k->models[0]) return true;
    fh_str word;
    for (size_t i = 0; (word = fh_key_model(k, i)).len; i++)
        if (fh_str_eq(word, name)) return true;
    return false;
}

/* Ids, "owner/name:variant", "deployment/NAME", "provider/NAME/MODEL", groups: visible ASCII, and no comma. */
static bool is_name(fh_str name)
{
    for (size_t i = 0; i < name.len; i++)
        if (name.ptr[i] <= ' ' || name.ptr[i] > '~' || name.ptr[i] == ',') return false;
    return name.len > 0;
}

int fh_key_add_model(fh_key *k, fh_str name, fh_err **err)
{
    size_t used = strlen(k->models), comma = used > 0;
    int shown = (int)FH_MIN(name.len, (size_t)64);
    if (!is_name(name))
        fh_err_set(err, FH_E_INVALID, "'%.*s' is no name of a model, a group or a deployment", shown, name.ptr ? name.ptr : "");
    else if (used + comma + name.len >= sizeof k->models)
        fh_err_set(err, FH_E_INVALID, "the names of a key's models have %zu bytes together, and '%.*s' goes beyond that",
                   sizeof k->models - 1, shown, name.ptr);
    else if (!used || !fh_key_lists_model(k, name)) {
        snprintf(k->models + used, sizeof k->models - used, "%s%.*s", comma ? "," : "", (int)name.len, name.ptr);
        return 0;
    } else
        return 0; /* said twice */
    fh_err_param(err, "models");
    return FH_E_INVALID;
}
