/* Cost guards that watch accounts (see guards.h), and what one is told. */
#include "guards.h"

#include "base/clock.h"
#include "providers.h"
#include "rent/guard_told.h"
#include "server_private.h"
#include <stdio.h>

typedef struct watch {
    char account[64]; /* "": free */
    int64_t silence_s, mono_ns;
} watch;

struct fh_guards {
    watch all[FH_LIMIT_PROVIDERS];
};

fh_guards *fh_guards_new(void)
{
    return fh_calloc(1, sizeof(fh_guards));
}

static bool is_fresh(const watch *w, int64_t mono_ns)
{
    return w->account[0] && mono_ns - w->mono_ns < FH_LIMIT_GUARD_FRESH_MS * FH_NS_PER_MS;
}

/* Two that watch one account are two rows, told apart by their silence. */
void fh_guards_note(fh_guards *all, const char *account, int64_t silence_s, int64_t mono_ns)
{
    watch *to = NULL;
    for (size_t i = 0; i < FH_COUNT(all->all); i++) {
        watch *w = &all->all[i];
        bool same = strcmp(w->account, account) == 0 && w->silence_s == silence_s;
        if (same || (!to && !is_fresh(w, mono_ns))) to = w;
        if (same) break;
    }
    if (!to) return;
    *to = (watch){.silence_s = silence_s, .mono_ns = mono_ns};
    snprintf(to->account, sizeof to->account, "%s", account);
}

int64_t fh_guards_silence_s(const fh_guards *all, const char *account, int64_t mono_ns)
{
    int64_t least = 0;
    for (size_t i = 0; i < FH_COUNT(all->all); i++) {
        const watch *w = &all->all[i];
        if (is_fresh(w, mono_ns) && strcmp(w->account, account) == 0 && (!least || w->silence_s < least)) least = w->silence_s;
    }
    return least;
}

/* ---- POST /api/v1/rentals/guard ---- */

static void add_machine(void *arg, const fh_guard_told *t)
{
    fh_json *o = fh_json_new_object();
    fh_json_set(o, "tag", fh_json_new_cstr(t->tag));
    fh_json_set(o, "machine", fh_json_new_cstr(t->machine[0] ? t->machine : NULL));
    fh_json_set(o, "left_s", fh_json_new_int(t->left_s));
    fh_json_append(arg, o);
}

static fh_json *told_json(const fh_provider *p, const char *installation, char epochs[][17], size_t count, fh_json *machines)
{
    fh_json *o = fh_json_new_object(), *list = fh_json_new_array();
    for (size_t i = 0; i < count; i++) fh_json_append(list, fh_json_new_cstr(epochs[i]));
    fh_json_set(o, "provider", fh_json_new_cstr(p->name));
    fh_json_set(o, "kind", fh_json_new_cstr(p->rents->kind));
    fh_json_set(o, "installation", fh_json_new_cstr(installation));
    fh_json_set(o, "epochs", list);
    fh_json_set(o, "machines", machines);
    return o;
}

static int find_account(const api_call *c, const fh_provider **ret, int64_t *ret_silence_s, fh_err **err)
{
    fh_str name = {0};
    int rc = fh_json_read_str(c->body, "provider", true, &name, err);
    if (!rc) rc = fh_json_read_i64(c->body, "silence_s", false, 1, FH_LIMIT_GUARD_TIME_S, ret_silence_s, err);
    if (rc) return rc;
    *ret = fh_providers_find(c->server->providers, name);
    if (*ret && (*ret)->rents) return 0;
    fh_err_set(err, FH_E_NOT_FOUND, "nothing is rented of a provider '%.*s'", (int)FH_MIN(name.len, (size_t)64), name.ptr);
    fh_err_hint(err, "`freehold provider list`, on the server's side, shows accounts");
    return FH_E_NOT_FOUND;
}

void api_rentals_guard(api_call *c)
{
    fh_err *err = NULL;
    const fh_provider *p = NULL;
    char installation[17], epochs[FH_LIMIT_GUARD_EPOCHS][17];
    size_t count = 0;
    int64_t silence_s = 0;
    FH_AUTO(json) fh_json *machines = fh_json_new_array();
    int rc = find_account(c, &p, &silence_s, &err);
    if (!rc) rc = fh_guard_identity(c->server->db, installation, epochs, &count, &err);
    if (!rc) rc = fh_guard_each(c->server->db, p->name, fh_clock_utc_ns(), add_machine, machines, &err);
    if (rc) {
        api_reply_error(c, err);
        return;
    }
    if (silence_s) fh_guards_note(c->server->guards, p->name, silence_s, fh_clock_mono_ns());
    api_reply(c, 200, told_json(p, installation, epochs, count, fh_take(machines)));
}
