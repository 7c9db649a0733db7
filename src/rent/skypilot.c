/* SkyPilot, by its command line (`sky`, on the PATH of this program): twenty more clouds, with the credentials that it has of its user. A
 * machine is a cluster of one node, launched of a task that runs what machines of others start with; its name is our mark, with dashes for
 * the colons, which its names may not have. Asked for at a time: `gpus list`, `launch`, `status`, `down`, of which a launch lasts until the
 * machine runs or cannot be had.
 *
 * The task, with the token that lets its machine in, lies in a file of mode 600 for as long as it is being launched. */
#include "call.h"

#include "base/clock.h"
#include "supply/command.h"
#include "sys/file.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#define NAME_MARK "freehold-"
enum { ACCELERATORS = 8, MARK_AT = 8, EPOCH_AT = 25, LAUNCH_MS = 2400000, DOWN_MS = 900000, ASK_MS = 300000 };

typedef struct sky_call sky_call;
typedef struct sky {
    const fh_rent_profile *profile;
    supply_host *host;
    char folder[1100];
    char infra[64], accelerators[256];
    sky_call *open;
    fh_loop *loop;
    bool telling, closed; /* somebody is being told what came of a call; and has closed the port */
    fh_post close;
} sky;

struct sky_call {
    sky *of;
    sky_call *next;
    rent_done done;
    void *arg;
    char name[FH_RENT_TAG_CHARS]; /* of the cluster, where it is about one */
    char task[1200];              /* its file; "": none */
    rent_offers offers;           /* so far */
    size_t at;                    /* of the accelerators */
};

/* ---- names ---- */

static void name_of_tag(const char *tag, char out[FH_RENT_TAG_CHARS])
{
    snprintf(out, FH_RENT_TAG_CHARS, "%s", tag);
    for (char *p = out; *p; p++)
        if (*p == ':') *p = '-';
}

/* Whether that is a mark is judged where marks are read. */
static void tag_of_name(const char *name, char out[FH_RENT_TAG_CHARS])
{
    snprintf(out, FH_RENT_TAG_CHARS, "%s", name);
    if (strncmp(name, NAME_MARK, sizeof NAME_MARK - 1) != 0 || strlen(name) <= EPOCH_AT || name[EPOCH_AT] != '-') return;
    out[MARK_AT] = out[EPOCH_AT] = ':';
}

/* ---- what it says ---- */

static void add_offer(const fh_json *v, rent_offers *out)
{
    char cloud[32], type[48], region[48], gpu[48];
    int64_t price = fh_rent_micro(fh_json_get(v, "price"));
    double gpus = fh_json_num(fh_json_get(v, "accelerator_count"), 0);
    fh_rent_text(cloud, sizeof cloud, fh_json_get(v, "cloud"));
    fh_rent_text(type, sizeof type, fh_json_get(v, "instance_type"));
    fh_rent_text(region, sizeof region, fh_json_get(v, "region"));
    fh_rent_text(gpu, sizeof gpu, fh_json_get(v, "accelerator_name"));
    bool whole = cloud[0] && type[0] && region[0] && gpu[0] && gpus >= 1 && gpus <= 64;
    fh_rent_offer *o =
        whole && price && strlen(cloud) + strlen(type) + strlen(region) + 2 < FH_RENT_ID_CHARS ? fh_rent_offers_add(out) : NULL;
    if (!o) return;
    snprintf(o->id, sizeof o->id, "%s|%s|%s", cloud, type, region);
    snprintf(o->gpu, sizeof o->gpu, "%s", gpu);
    snprintf(o->region, sizeof o->region, "%.31s", region);
    o->gpus = (uint32_t)gpus;
    o->gpu_memory_bytes = fh_rent_gb(fh_json_get(v, "device_memory"), 1 << 30);
    o->ram_bytes = fh_rent_gb(fh_json_get(v, "memory"), 1 << 30);
    o->cpus = (uint32_t)FH_MIN(FH_MAX(fh_json_num(fh_json_get(v, "cpu_count"), 0), 0), 100000);
    o->hour_micro = price;
    fh_rent_device_of(o->gpu, o->gpu_memory_bytes, o->device);
}

/* Of `gpus list`: for each name of an accelerator, the machines that have it. */
static int read_offers(const fh_json *doc, rent_offers *out, fh_err **err)
{
    const fh_json *list;
    void *it = NULL;
    fh_str name;
    if (fh_json_kind_of(doc) != FH_JSON_OBJECT) return fh_err_set(err, FH_E_UPSTREAM, "sky's list of accelerators is none");
    while (fh_json_next(doc, &it, &name, &list))
        for (size_t i = 0; i < fh_json_count(list); i++) add_offer(fh_json_at(list, i), out);
    return 0;
}

static fh_rent_status status_of(fh_str s)
{
    if (fh_str_eqs(s, "UP")) return FH_RENT_RUNNING;
    return fh_str_eqs(s, "STOPPED") ? FH_RENT_BROKEN : FH_RENT_PROVISIONING;
}

/* It does not say what one costs: that is the offer's price. Nor since when it is charged: that it was asked for then is not that. */
static void read_cluster(const fh_json *v, fh_rent_machine *m)
{
    char name[FH_RENT_TAG_CHARS];
    fh_rent_text(name, sizeof name, fh_json_get(v, "name"));
    snprintf(m->id, sizeof m->id, "%.63s", name);
    tag_of_name(name, m->tag);
    m->status = status_of(fh_json_str(fh_json_get(v, "status")));
}

const rent_adapter fh_rent_skypilot = {
    .kind = "skypilot", .read_offers = read_offers, .machines = "clusters", .read_machine = read_cluster};

/* ---- commands ---- */

static sky_call *new_call(sky *s, rent_done done, void *arg)
{
    sky_call *c = fh_calloc(1, sizeof *c);
    if (!c) return NULL;
    *c = (sky_call){.of = s, .next = s->open, .done = done, .arg = arg};
    s->open = c;
    return c;
}

static void end_call(sky_call *c)
{
    sky_call **at = &c->of->open;
    while (*at != c) at = &(*at)->next;
    *at = c->next;
    if (c->task[0]) (void)unlink(c->task);
    fh_free(c->offers.rows);
    fh_free(c);
}

/* Who is told may close the port, which must not happen while a command is: it does when the loop goes on. Nothing is told after it. */
static bool begin_telling(sky_call *c)
{
    c->of->telling = true;
    return !c->of->closed;
}

static void end_telling(sky_call *c)
{
    c->of->telling = false;
    end_call(c);
}

static int run(sky_call *c, const char *const *argv, int64_t timeout_ms, supply_done_fn *done, fh_err **err)
{
    const supply_command command = {.argv = argv, .timeout_ms = timeout_ms, .done = done, .arg = c};
    return fh_supply_run(c->of->host, &command, err);
}

static int why(const supply_result *r, const char *verb, fh_err **err)
{
    fh_err_set(err, FH_E_UPSTREAM, "sky %s fails: %.200s", verb, r->words && r->words[0] ? r->words : fh_err_message(r->why));
    return FH_E_UPSTREAM;
}

/* Something may stand before the document, as what it says when it starts its server. Always an object: what is a list becomes its member.
 */
static int parse(fh_str out, const char *member, fh_json **ret, fh_err **err)
{
    FH_AUTO(json) fh_json *doc = NULL;
    while (out.len && out.ptr[0] != '{' && out.ptr[0] != '[') {
        size_t line = fh_str_find(out, FH_STR("\n"));
        out = line < out.len ? (fh_str){out.ptr + line + 1, out.len - line - 1} : (fh_str){"", 0};
    }
    int rc = fh_json_parse(&doc, out, FH_LIMIT_SUPPLY_OUTPUT_BYTES, err);
    if (rc) return fh_err_set(err, FH_E_UPSTREAM, "sky does not answer with the document that was asked for");
    if (member) {
        fh_json *o = fh_json_new_object();
        fh_json_set(o, member, fh_take(doc));
        doc = o;
    }
    *ret = fh_take(doc);
    return 0;
}

/* ---- offers ---- */

static int ask_next(sky_call *c, fh_err **err);

static void tell_offers(sky_call *c, const fh_err *err)
{
    if (begin_telling(c)) c->done.offers(c->arg, c->offers.rows, err ? 0 : c->offers.count, err);
    end_telling(c);
}

static void offers_listed(void *arg, const supply_result *r)
{
    sky_call *c = arg;
    FH_AUTO(fh_err) fh_err *err = NULL;
    FH_AUTO(json) fh_json *doc = NULL;
    int rc = r->code ? why(r, "gpus list", &err) : parse(r->out, NULL, &doc, &err);
    if (!rc) rc = read_offers(doc, &c->offers, &err);
    if (!rc) {
        c->at++;
        rc = ask_next(c, &err);
        if (!rc) return;
    }
    tell_offers(c, rc == FH_E_NOT_FOUND ? NULL : err);
}

/* The nth of the words that commas split; false behind the last. */
static bool nth_word(const char *text, size_t n, char *out, size_t out_size)
{
    for (; n; n--) {
        text = strchr(text, ',');
        if (!text) return false;
        text++;
    }
    snprintf(out, out_size, "%.*s", (int)strcspn(text, ","), text);
    return out[0] != '\0';
}

/* FH_E_NOT_FOUND: all were asked for. */
static int ask_next(sky_call *c, fh_err **err)
{
    char gpu[64];
    if (c->at == ACCELERATORS || !nth_word(c->of->accelerators, c->at, gpu, sizeof gpu)) return FH_E_NOT_FOUND;
    const char *const argv[] = {"sky", "gpus", "list", gpu, "--infra", c->of->infra, "--all-regions", "-o", "json", NULL};
    return run(c, argv, ASK_MS, offers_listed, err);
}

static int offers(void *ctx, const fh_rent_filter *f, fh_rent_offers_fn *done, void *arg, fh_err **err)
{
    (void)f;
    sky_call *c = new_call(ctx, (rent_done){.offers = done}, arg);
    if (!c) return fh_err_nomem(err);
    int rc = ask_next(c, err);
    if (rc == FH_E_NOT_FOUND) rc = fh_err_set(err, FH_E_INVALID, "the provider was added without 'accelerators'");
    if (rc) end_call(c);
    return rc;
}

/* ---- machines ---- */

static void clusters_listed(void *arg, const supply_result *r)
{
    sky_call *c = arg;
    FH_AUTO(fh_err) fh_err *err = NULL;
    FH_AUTO(json) fh_json *doc = NULL;
    FH_AUTO(ptr) fh_rent_machine *list = NULL;
    size_t count = 0;
    int rc = r->code ? why(r, "status", &err) : parse(r->out, "clusters", &doc, &err);
    if (!rc) (void)fh_rent_machines_read(c->of->profile, doc, &list, &count, &err);
    if (begin_telling(c)) c->done.list(c->arg, list, count, err);
    end_telling(c);
}

static int list(void *ctx, fh_rent_list_fn *done, void *arg, fh_err **err)
{
    static const char *const argv[] = {"sky", "status", "--refresh", "-o", "json", NULL};
    sky_call *c = new_call(ctx, (rent_done){.list = done}, arg);
    if (!c) return fh_err_nomem(err);
    int rc = run(c, argv, ASK_MS, clusters_listed, err);
    if (rc) end_call(c);
    return rc;
}

/* ---- renting ---- */

static bool says(const supply_result *r, const char *words)
{
    return r->words && strstr(r->words, words);
}

/* What it says when none could be had; whatever else went wrong may have left one. */
static bool is_refusal(const supply_result *r)
{
    static const char *const refusals[] = {"Failed to acquire resources", "Failed to provision all possible", "ResourcesUnavailableError",
                                           "No resource satisfying", "No cloud access is set up"};
    for (size_t i = 0; i < FH_COUNT(refusals); i++)
        if (r->status > 0 && says(r, refusals[i])) return true;
    return false;
}

static void launched(void *arg, const supply_result *r)
{
    sky_call *c = arg;
    FH_AUTO(fh_err) fh_err *err = NULL;
    fh_rent_machine m = {.status = FH_RENT_PROVISIONING};
    snprintf(m.id, sizeof m.id, "%.63s", c->name);
    tag_of_name(c->name, m.tag);
    if (r->code) (void)why(r, "launch", &err);
    fh_rent_reply reply = !r->code ? FH_RENT_DONE : is_refusal(r) ? FH_RENT_REFUSED : FH_RENT_UNSURE;
    if (begin_telling(c)) c->done.rented(c->arg, reply, reply == FH_RENT_DONE ? &m : NULL, err);
    end_telling(c);
}

static fh_str part_of(const char *id, size_t n)
{
    fh_str rest = fh_str_of(id);
    for (; n; n--) {
        size_t bar = fh_str_find(rest, FH_STR("|"));
        if (bar == rest.len) return (fh_str){"", 0};
        rest = (fh_str){rest.ptr + bar + 1, rest.len - bar - 1};
    }
    return (fh_str){rest.ptr, fh_str_find(rest, FH_STR("|"))};
}

/* JSON, which is YAML too. */
static fh_json *task_json(const fh_rent_spec *s)
{
    char gpus[80], image[280];
    fh_json *task = fh_json_new_object(), *resources = fh_json_new_object(), *secrets = fh_json_new_object();
    snprintf(gpus, sizeof gpus, "%s:%u", s->offer->gpu, s->offer->gpus);
    snprintf(image, sizeof image, "docker:%s", s->image);
    fh_json_set(resources, "cloud", fh_json_new_str(part_of(s->offer->id, 0)));
    fh_json_set(resources, "instance_type", fh_json_new_str(part_of(s->offer->id, 1)));
    fh_json_set(resources, "region", fh_json_new_str(part_of(s->offer->id, 2)));
    fh_json_set(resources, "accelerators", fh_json_new_cstr(gpus));
    fh_json_set(resources, "use_spot", fh_json_new_bool(false));
    if (s->image[0]) fh_json_set(resources, "image_id", fh_json_new_cstr(image));
    for (size_t i = 0; i < s->env_count; i++) fh_json_set(secrets, s->env[i].name, fh_json_new_cstr(s->env[i].value));
    fh_json_set(task, "name", fh_json_new_cstr("freehold"));
    fh_json_set(task, "resources", resources);
    fh_json_set(task, "secrets", secrets);
    if (!fh_json_set(task, "run", fh_json_new_cstr(s->onstart))) {
        fh_json_unref(task);
        return NULL;
    }
    return task;
}

static int write_task(sky_call *c, const fh_rent_spec *s, fh_err **err)
{
    FH_AUTO(json) fh_json *task = task_json(s);
    FH_AUTO(buf) fh_buf text = FH_BUF(FH_LIMIT_CONTROL_BODY_BYTES);
    char file[FH_RENT_TAG_CHARS + 8];
    snprintf(file, sizeof file, "%s.yaml", c->name);
    int rc = fh_dir_make(c->of->folder, 0700, err);
    if (!rc) rc = fh_path_join(c->task, sizeof c->task, c->of->folder, file, err);
    if (!rc) rc = task ? fh_json_write(task, &text, err) : fh_err_nomem(err);
    if (!rc) rc = fh_file_write_atomic(c->task, text.data, text.len, 0600, err);
    if (text.data) explicit_bzero(text.data, text.len);
    return rc;
}

/* Its node ends at the limit (profiles.c); then nothing runs there, and SkyPilot takes it down after five minutes. */
static int rent(void *ctx, const fh_rent_spec *s, fh_rent_rented_fn *done, void *arg, fh_err **err)
{
    sky_call *c = new_call(ctx, (rent_done){.rented = done}, arg);
    if (!c) return fh_err_nomem(err);
    name_of_tag(s->tag, c->name);
    int rc = write_task(c, s, err);
    const char *const argv[] = {"sky", "launch", "-y", "-d", "-c", c->name, "-i", "5", "--down", c->task, NULL};
    if (!rc) rc = run(c, argv, LAUNCH_MS, launched, err);
    if (rc) end_call(c);
    return rc;
}

static void downed(void *arg, const supply_result *r)
{
    sky_call *c = arg;
    FH_AUTO(fh_err) fh_err *err = NULL;
    if (r->code) (void)why(r, "down", &err);
    bool gone = says(r, "not found") || says(r, "does not exist");
    if (begin_telling(c)) c->done.ended(c->arg, !r->code ? FH_RENT_DONE : gone ? FH_RENT_GONE : FH_RENT_UNSURE, err);
    end_telling(c);
}

static int end(void *ctx, const char *machine, fh_rent_ended_fn *done, void *arg, fh_err **err)
{
    sky_call *c = new_call(ctx, (rent_done){.ended = done}, arg);
    if (!c) return fh_err_nomem(err);
    snprintf(c->name, sizeof c->name, "%s", machine);
    const char *const argv[] = {"sky", "down", "-y", c->name, NULL};
    int rc = run(c, argv, DOWN_MS, downed, err);
    if (rc) end_call(c);
    return rc;
}

/* ---- opening ---- */

static void close_now(void *arg)
{
    sky *s = arg;
    fh_supply_host_close(s->host);
    while (s->open) end_call(s->open);
    fh_free(s);
}

static void close_sky(void *ctx)
{
    sky *s = ctx;
    if (!s) return;
    s->closed = true;
    s->close = (fh_post){.fn = close_now, .arg = s};
    if (!s->telling)
        close_now(s);
    else
        (void)fh_loop_post_own(s->loop, &s->close);
}

int fh_rent_skypilot_open(fh_rental *ret, const fh_rent_profile *p, const fh_rent_account *account, fh_err **err)
{
    sky *s = fh_calloc(1, sizeof *s);
    if (!s) return fh_err_nomem(err);
    s->profile = p;
    s->loop = account->loop;
    snprintf(s->folder, sizeof s->folder, "%s", account->folder ? account->folder : "");
    snprintf(s->infra, sizeof s->infra, "%s", account->infra ? account->infra : "");
    snprintf(s->accelerators, sizeof s->accelerators, "%s", account->accelerators ? account->accelerators : "");
    const supply_host_config here = {.url = "", .key_file = "", .folder = s->folder};
    int rc = fh_supply_host_open(&s->host, account->loop, &here, err);
    if (rc) {
        close_sky(s);
        return rc;
    }
    *ret = (fh_rental){.profile = p, .ctx = s, .offers = offers, .rent = rent, .list = list, .end = end, .free = close_sky};
    return 0;
}
