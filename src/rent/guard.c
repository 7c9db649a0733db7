/* What the cost guard remembers and judges (see rent/guard.h). Pure. */
#include "rent/guard.h"

#include "rent_private.h"
#include <inttypes.h>
#include <stdio.h>

#define DAY_NS    (86400 * FH_NS_PER_S)
#define FAR_S     (3650LL * 86400) /* further away than any limit */
#define FORMER_NS (7 * DAY_NS)     /* that the limits of a former epoch are remembered after they passed */

/* ---- reading ---- */

static int wrong(fh_err **err, int code, const char *member)
{
    return fh_err_set(err, code, "'%s' of what the guard reads is not as it must be", member);
}

static bool read_hex(const fh_json *v, char out[17])
{
    fh_str s = fh_json_str(v);
    if (s.len != 16) return false;
    for (size_t i = 0; i < 16; i++)
        if (!strchr("0123456789abcdef", s.ptr[i])) return false;
    snprintf(out, 17, "%.16s", s.ptr);
    return true;
}

static bool read_word(const fh_json *v, char *out, size_t out_size)
{
    fh_str s = fh_json_str(v);
    if (s.len == 0 || s.len >= out_size) return false;
    snprintf(out, out_size, "%.*s", (int)s.len, s.ptr);
    return true;
}

static int read_epochs(const fh_json *list, fh_guard_memory *m, int code, fh_err **err)
{
    m->epoch_count = fh_json_count(list);
    if (fh_json_kind_of(list) != FH_JSON_ARRAY || m->epoch_count > FH_LIMIT_GUARD_EPOCHS) return wrong(err, code, "epochs");
    for (size_t i = 0; i < m->epoch_count; i++)
        if (!read_hex(fh_json_at(list, i), m->epochs[i])) return wrong(err, code, "epochs");
    return 0;
}

/* The tag must be one of the installation that m names. */
static bool read_tag(const fh_guard_memory *m, const fh_json *v, char out[FH_RENT_TAG_CHARS])
{
    char installation[17], epoch[17];
    int64_t act;
    return read_word(v, out, FH_RENT_TAG_CHARS) && fh_rent_tag_read(out, installation, epoch, &act) &&
           strcmp(installation, m->installation) == 0;
}

/* left: it says how many seconds are left from now on, and not when it ends. */
static int read_held(const fh_json *list, const char *left, int64_t now, fh_guard_memory *m, int code, fh_err **err)
{
    m->held_count = fh_json_count(list);
    if (fh_json_kind_of(list) != FH_JSON_ARRAY || m->held_count > FH_LIMIT_GUARD_MACHINES) return wrong(err, code, "machines");
    for (size_t i = 0; i < m->held_count; i++) {
        const fh_json *o = fh_json_at(list, i), *n = fh_json_get(o, left ? left : "ends_utc_ns");
        if (!read_tag(m, fh_json_get(o, "tag"), m->held[i].tag) || fh_json_kind_of(n) != FH_JSON_INT) return wrong(err, code, "machines");
        int64_t said = fh_json_int(n, 0);
        m->held[i].ends_utc_ns = left ? now + FH_MAX(FH_MIN(said, FAR_S), -FAR_S) * FH_NS_PER_S : said;
    }
    return 0;
}

static int read_ended(const fh_json *list, fh_guard_memory *m, fh_err **err)
{
    m->ended_count = fh_json_count(list);
    if (fh_json_kind_of(list) != FH_JSON_ARRAY || m->ended_count > FH_LIMIT_GUARD_MACHINES) return wrong(err, FH_E_CORRUPT, "ended");
    for (size_t i = 0; i < m->ended_count; i++) {
        fh_guard_ended *e = &m->ended[i];
        if (!read_word(fh_json_get(fh_json_at(list, i), "machine"), e->machine, sizeof e->machine))
            return wrong(err, FH_E_CORRUPT, "ended");
        e->utc_ns = fh_json_int(fh_json_get(fh_json_at(list, i), "utc_ns"), 0);
    }
    return 0;
}

int fh_guard_memory_read(const fh_json *doc, fh_guard_memory *ret, fh_err **err)
{
    FH_AUTO(ptr) fh_guard_memory *m = fh_calloc(1, sizeof *m);
    if (!m) return fh_err_nomem(err);
    if (!read_hex(fh_json_get(doc, "installation"), m->installation) && fh_json_str(fh_json_get(doc, "installation")).len)
        return wrong(err, FH_E_CORRUPT, "installation");
    int rc = read_epochs(fh_json_get(doc, "epochs"), m, FH_E_CORRUPT, err);
    if (!rc) rc = read_held(fh_json_get(doc, "machines"), NULL, 0, m, FH_E_CORRUPT, err);
    if (!rc) rc = read_ended(fh_json_get(doc, "ended"), m, err);
    if (!rc) rc = fh_json_read_i64(doc, "heard_utc_ns", true, 0, INT64_MAX, &m->heard_utc_ns, err);
    if (!rc) rc = fh_json_read_i64(doc, "asked_utc_ns", true, 0, INT64_MAX, &m->asked_utc_ns, err);
    if (!rc) rc = fh_json_read_i64(doc, "silent_utc_ns", true, 0, INT64_MAX, &m->silent_utc_ns, err);
    if (!rc) *ret = *m;
    return rc ? FH_E_CORRUPT : 0;
}

/* ---- writing ---- */

static fh_json *row_json(const char *name, const char *text, const char *when, int64_t utc_ns)
{
    fh_json *o = fh_json_new_object();
    if (fh_json_set(o, name, fh_json_new_cstr(text)) && fh_json_set(o, when, fh_json_new_int(utc_ns))) return o;
    fh_json_unref(o);
    return NULL;
}

fh_json *fh_guard_memory_json(const fh_guard_memory *m)
{
    fh_json *o = fh_json_new_object(), *epochs = fh_json_new_array(), *held = fh_json_new_array(), *ended = fh_json_new_array();
    for (size_t i = 0; i < m->epoch_count; i++) fh_json_append(epochs, fh_json_new_cstr(m->epochs[i]));
    for (size_t i = 0; i < m->held_count; i++) fh_json_append(held, row_json("tag", m->held[i].tag, "ends_utc_ns", m->held[i].ends_utc_ns));
    for (size_t i = 0; i < m->ended_count; i++)
        fh_json_append(ended, row_json("machine", m->ended[i].machine, "utc_ns", m->ended[i].utc_ns));
    bool whole = fh_json_count(epochs) == m->epoch_count && fh_json_count(held) == m->held_count && fh_json_count(ended) == m->ended_count;
    whole = fh_json_set(o, "epochs", epochs) && whole;
    whole = fh_json_set(o, "machines", held) && whole;
    whole = fh_json_set(o, "ended", ended) && whole;
    whole = whole && fh_json_set(o, "installation", fh_json_new_cstr(m->installation));
    whole = whole && fh_json_set(o, "heard_utc_ns", fh_json_new_int(m->heard_utc_ns));
    whole = whole && fh_json_set(o, "asked_utc_ns", fh_json_new_int(m->asked_utc_ns));
    whole = whole && fh_json_set(o, "silent_utc_ns", fh_json_new_int(m->silent_utc_ns));
    if (whole) return o;
    fh_json_unref(o);
    return NULL;
}

/* ---- the server ---- */

static bool is_own_epoch(const fh_guard_memory *m, const char *epoch)
{
    for (size_t i = 0; i < m->epoch_count; i++)
        if (strcmp(m->epochs[i], epoch) == 0) return true;
    return false;
}

/* Of epochs that are the server's own it told all; limits of others, which it leaves alone, stand. */
static void keep_former(fh_guard_memory *m, const fh_guard_memory *before, int64_t now)
{
    char installation[17], epoch[17];
    int64_t act;
    for (size_t i = 0; i < before->held_count && m->held_count < FH_LIMIT_GUARD_MACHINES; i++) {
        const fh_guard_held *h = &before->held[i];
        if (!fh_rent_tag_read(h->tag, installation, epoch, &act) || is_own_epoch(m, epoch) || h->ends_utc_ns + FORMER_NS < now) continue;
        m->held[m->held_count++] = *h;
    }
}

void fh_guard_alive(fh_guard_memory *m, int64_t now_utc_ns)
{
    m->heard_utc_ns = m->asked_utc_ns = now_utc_ns;
    m->silent_utc_ns = 0;
}

int fh_guard_heard(fh_guard_memory *m, const fh_json *told, int64_t now_utc_ns, fh_err **err)
{
    FH_AUTO(ptr) fh_guard_memory *now = fh_calloc(1, sizeof *now);
    if (!now) return fh_err_nomem(err);
    if (!read_hex(fh_json_get(told, "installation"), now->installation)) return wrong(err, FH_E_UPSTREAM, "installation");
    if (m->installation[0] && strcmp(m->installation, now->installation) != 0) {
        fh_err_set(err, FH_E_CONFLICT, "another installation answers (%s, and not %s)", now->installation, m->installation);
        fh_err_hint(err, "if that is right, remove the guard's folder: then it guards the new one alone");
        return FH_E_CONFLICT;
    }
    int rc = read_epochs(fh_json_get(told, "epochs"), now, FH_E_UPSTREAM, err);
    if (!rc) rc = read_held(fh_json_get(told, "machines"), "left_s", now_utc_ns, now, FH_E_UPSTREAM, err);
    if (rc) return rc;
    keep_former(now, m, now_utc_ns);
    memcpy(now->ended, m->ended, sizeof now->ended);
    now->ended_count = m->ended_count;
    fh_guard_alive(now, now_utc_ns);
    *m = *now;
    return 0;
}

void fh_guard_unheard(fh_guard_memory *m, int64_t now_utc_ns, int64_t silence_ns)
{
    bool apart = now_utc_ns < m->asked_utc_ns || now_utc_ns - m->asked_utc_ns > silence_ns;
    if (!m->silent_utc_ns || apart) m->silent_utc_ns = now_utc_ns;
    m->asked_utc_ns = now_utc_ns;
}

/* ---- machines ---- */

void fh_guard_note_ended(fh_guard_memory *m, const char *machine, int64_t now_utc_ns)
{
    size_t kept = 0;
    for (size_t i = 0; i < m->ended_count; i++) {
        const fh_guard_ended *e = &m->ended[i];
        if (strcmp(e->machine, machine) != 0 && now_utc_ns - e->utc_ns < DAY_NS) m->ended[kept++] = *e;
    }
    if (kept == FH_LIMIT_GUARD_MACHINES) memmove(m->ended, m->ended + 1, --kept * sizeof *m->ended); /* the oldest */
    fh_guard_ended *e = &m->ended[kept++];
    *e = (fh_guard_ended){.utc_ns = now_utc_ns};
    snprintf(e->machine, sizeof e->machine, "%s", machine);
    m->ended_count = kept;
}

static const fh_guard_held *held_of(const fh_guard_memory *m, const char *tag)
{
    for (size_t i = 0; i < m->held_count; i++)
        if (strcmp(m->held[i].tag, tag) == 0) return &m->held[i];
    return NULL;
}

static bool was_ended(const fh_guard_memory *m, const char *machine, int64_t since)
{
    for (size_t i = 0; i < m->ended_count; i++)
        if (strcmp(m->ended[i].machine, machine) == 0) return m->ended[i].utc_ns > since;
    return false;
}

static long long seconds(int64_t ns)
{
    return (long long)(ns / FH_NS_PER_S);
}

fh_guard_verdict fh_guard_judge(const fh_guard_memory *m, const fh_rent_machine *x, const fh_guard_rules *rules, int64_t now_utc_ns,
                                char why[FH_GUARD_WHY])
{
    char installation[17], epoch[17];
    int64_t act;
    if (x->status == FH_RENT_ENDED || !fh_rent_tag_read(x->tag, installation, epoch, &act)) return FH_GUARD_FOREIGN;
    const fh_guard_held *held = held_of(m, x->tag);
    bool own = m->installation[0] && strcmp(installation, m->installation) == 0 && is_own_epoch(m, epoch);
    int64_t silent = m->silent_utc_ns ? now_utc_ns - m->silent_utc_ns : 0;
    if (!held && !own) return FH_GUARD_FOREIGN;
    if (was_ended(m, x->id, now_utc_ns - rules->lag_ns)) {
        snprintf(why, FH_GUARD_WHY, "it was ended, and the list may show it for a while");
        return FH_GUARD_KEEP;
    }
    if (held && now_utc_ns - held->ends_utc_ns >= rules->grace_ns) {
        snprintf(why, FH_GUARD_WHY, "its limit was reached %lld s ago", seconds(now_utc_ns - held->ends_utc_ns));
        return FH_GUARD_END;
    }
    if (own && m->silent_utc_ns && silent >= rules->silence_ns) {
        snprintf(why, FH_GUARD_WHY, "its server was not heard for %lld s", seconds(silent));
        return FH_GUARD_END;
    }
    if (m->silent_utc_ns && own)
        snprintf(why, FH_GUARD_WHY, "its server is not heard for %lld s, of %lld", seconds(silent), seconds(rules->silence_ns));
    else if (held)
        snprintf(why, FH_GUARD_WHY, "its limit is reached in %lld s", seconds(held->ends_utc_ns - now_utc_ns));
    else
        snprintf(why, FH_GUARD_WHY, "its server looks after it");
    return FH_GUARD_KEEP;
}
