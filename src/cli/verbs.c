/* The one list of verbs, and finding one in it. */
#include "cli_private.h"

#include <string.h>

enum { FAR = 3 }; /* so many letters off is another word */

const char *const fh_cli_groups[] = {"Run models", "Models and weights", "Server", "One model, no server", "About freehold", NULL};

const fh_cli_verb *const fh_cli_verbs[] = {
    &fh_verb_run,
    &fh_verb_plan,
    &fh_verb_offers_import,
    &fh_verb_offers_lists,
    &fh_verb_offers_forget,
    &fh_verb_ps,
    &fh_verb_stop,
    &fh_verb_wake,
    &fh_verb_roll,
    &fh_verb_events,
    &fh_verb_logs,
    &fh_verb_models,
    &fh_verb_show,
    &fh_verb_models_show,
    &fh_verb_list,
    &fh_verb_catalog_list,
    &fh_verb_catalog_add,
    &fh_verb_catalog_remove,
    &fh_verb_catalog_update,
    &fh_verb_catalog_revert,
    &fh_verb_energy_compare,
    &fh_verb_energy_factors,
    &fh_verb_import,
    &fh_verb_verify,
    &fh_verb_serve,
    &fh_verb_console,
    &fh_verb_key_create,
    &fh_verb_key_list,
    &fh_verb_key_rotate,
    &fh_verb_key_revoke,
    &fh_verb_node_token,
    &fh_verb_node_join,
    &fh_verb_node_key,
    &fh_verb_node_list,
    &fh_verb_node_show,
    &fh_verb_node_check,
    &fh_verb_node_clear,
    &fh_verb_node_leave,
    &fh_verb_node_rank,
    &fh_verb_node_drain,
    &fh_verb_node_undrain,
    &fh_verb_node_remove,
    &fh_verb_provider_add,
    &fh_verb_provider_list,
    &fh_verb_provider_check,
    &fh_verb_provider_clear,
    &fh_verb_provider_remove,
    &fh_verb_provider_rentals,
    &fh_verb_provider_take_over,
    &fh_verb_guard,
    &fh_verb_group_create,
    &fh_verb_group_list,
    &fh_verb_group_remove,
    &fh_verb_usage_list,
    &fh_verb_usage_show,
    &fh_verb_engine,
    &fh_verb_bench,
    &fh_verb_eval,
    &fh_verb_tokenize,
    &fh_verb_detokenize,
    &fh_verb_doctor,
    &fh_verb_version,
    &fh_verb_completion,
    &fh_verb_help,
    NULL,
};

const fh_cli_flag fh_cli_common[] = {
    {"json", 0, FH_CLI_BOOL, NULL, "print JSON: one document, or one a line where the output has no end", 0, 0},
    {"server", 0, FH_CLI_TEXT, "URL",
     "the server to talk to (or FREEHOLD_URL; default that of FREEHOLD_LISTEN, else http://127.0.0.1:8470)", 0, 0},
    {"key-file", 0, FH_CLI_TEXT, "FILE", "file that holds the key (or FREEHOLD_KEY_FILE; default $XDG_CONFIG_HOME/freehold/key)", 0, 0},
    {"ca-file", 0, FH_CLI_TEXT, "FILE", "certificates that may vouch for an https server, PEM (or FREEHOLD_CA_FILE; default the system's)",
     0, 0},
    {"help", 'h', FH_CLI_BOOL, NULL, "show this help", 0, 0},
    {NULL, 0, FH_CLI_BOOL, NULL, NULL, 0, 0},
};

const fh_cli_variable fh_cli_environment[] = {
    {"FREEHOLD_URL", "the server to talk to, as --server"},
    {"FREEHOLD_LISTEN", "ADDR:PORT where `freehold serve` listens, and where the other commands look for it without FREEHOLD_URL"},
    {"FREEHOLD_KEY_FILE", "file that holds the key, as --key-file"},
    {"FREEHOLD_CA_FILE", "certificates that may vouch for an https server, as --ca-file"},
    {"FREEHOLD_DATA", "the data folder, as --data, for commands that work on one"},
    {NULL, NULL},
};

/* How many words name matches at the start of the command line; 0 when it does not. */
static size_t words_matched(const char *name, char *const *words, size_t count)
{
    size_t used = 0;
    while (*name && used < count) {
        size_t len = strcspn(name, " ");
        if (strlen(words[used]) != len || memcmp(words[used], name, len) != 0) return 0;
        used++;
        name += len + (name[len] == ' ');
    }
    return *name ? 0 : used;
}

const fh_cli_verb *fh_cli_verb_find(char *const *words, size_t count, size_t *ret_used)
{
    const fh_cli_verb *best = NULL;
    *ret_used = 0;
    for (size_t i = 0; fh_cli_verbs[i]; i++) {
        size_t used = words_matched(fh_cli_verbs[i]->name, words, count);
        if (used <= *ret_used) continue;
        *ret_used = used;
        best = fh_cli_verbs[i];
    }
    return best;
}

bool fh_cli_verb_begins(const fh_cli_verb *v, const char *word)
{
    size_t len = strcspn(v->name, " ");
    return v->name[len] && strlen(word) == len && memcmp(v->name, word, len) == 0;
}

bool fh_cli_verb_is_family(const char *word)
{
    for (size_t i = 0; fh_cli_verbs[i]; i++)
        if (strcmp(fh_cli_verbs[i]->name, word) == 0) return false;
    for (size_t i = 0; fh_cli_verbs[i]; i++)
        if (fh_cli_verb_begins(fh_cli_verbs[i], word)) return true;
    return false;
}

const char *fh_cli_verb_nearest_of(const char *family, const char *word)
{
    const char *best = NULL;
    unsigned best_distance = FAR;
    for (size_t i = 0; fh_cli_verbs[i]; i++) {
        if (!fh_cli_verb_begins(fh_cli_verbs[i], family)) continue;
        unsigned d = fh_str_distance(fh_str_of(fh_cli_verbs[i]->name + strlen(family) + 1), fh_str_of(word));
        if (d >= best_distance) continue;
        best_distance = d;
        best = fh_cli_verbs[i]->name;
    }
    return best;
}

const char *fh_cli_verb_nearest(const char *word)
{
    const char *best = NULL;
    unsigned best_distance = FAR;
    for (size_t i = 0; fh_cli_verbs[i]; i++) {
        const char *name = fh_cli_verbs[i]->name;
        fh_str first = {name, strcspn(name, " ")};
        unsigned d = fh_str_eqs(first, word) ? 0 : fh_str_distance(first, fh_str_of(word));
        if (d >= best_distance) continue;
        best_distance = d;
        best = name;
    }
    return best;
}

void fh_cli_page_name(const fh_cli_verb *v, char out[FH_CLI_PAGE_NAME])
{
    size_t n = 0;
    for (; v->name[n] && n + 1 < FH_CLI_PAGE_NAME; n++) out[n] = v->name[n] == ' ' ? '-' : v->name[n];
    out[n] = '\0';
}

const fh_cli_verb *fh_cli_verb_page(const char *page)
{
    for (size_t i = 0; fh_cli_verbs[i]; i++) {
        char name[FH_CLI_PAGE_NAME];
        fh_cli_page_name(fh_cli_verbs[i], name);
        if (strcmp(name, page) == 0) return fh_cli_verbs[i];
    }
    return NULL;
}
