/* Readers of slurmrestd's documents (see slurm_rest_says.h). */
#include "supply/slurm_rest_says.h"

#include "base/limits.h"
#include "base/mem.h"
#include "words.h"

#include <stdio.h>

#define NO_VALUE 4294967294 /* Slurm's NO_VAL; one more is INFINITE */
#define YEAR_S   (365 * 24 * 3600LL)

/* ---- values of both shapes ---- */

/* -1: none, or no end of it. */
static int64_t number_of(const fh_json *v)
{
    if (fh_json_kind_of(v) == FH_JSON_OBJECT)
        v = fh_json_is_true(fh_json_get(v, "set")) && !fh_json_is_true(fh_json_get(v, "infinite")) ? fh_json_get(v, "number") : NULL;
    int64_t n = fh_json_int(v, -1);
    return n >= 0 && n < NO_VALUE ? n : -1;
}

static uint64_t count_of(const fh_json *v)
{
    int64_t n = number_of(v);
    return n > 0 ? (uint64_t)n : 0;
}

/* Behind the state come flags, which squeue says instead of it: ["RUNNING", "COMPLETING"] is being cleared away. */
static const fh_slurm_state *state_of(const fh_json *v)
{
    const fh_slurm_state *last = NULL;
    if (fh_json_kind_of(v) == FH_JSON_STRING) return fh_slurm_state_find(fh_json_str(v));
    for (size_t i = 0; i < fh_json_count(v); i++) {
        const fh_slurm_state *s = fh_slurm_state_known(fh_json_str(fh_json_at(v, i)));
        if (s) last = s;
    }
    return last ? last : fh_slurm_state_find(FH_STR(""));
}

static bool has_flag(const fh_json *list, const char *upper, const char *lower)
{
    for (size_t i = 0; i < fh_json_count(list); i++) {
        fh_str s = fh_json_str(fh_json_at(list, i));
        if (fh_str_eqs(s, upper) || fh_str_eqs(s, lower)) return true;
    }
    return false;
}

/* ---- jobs ---- */

typedef struct thinning {
    fh_str text, mention;
    fh_buf *out;
    size_t copied, begun; /* of text; where the last job begins */
    size_t depth;
    fh_str key; /* the last text at depth 1 */
    bool in_jobs;
} thinning;

/* A text's end; i stays at its last quote. */
static size_t end_of_text(fh_str text, size_t i)
{
    for (i++; i < text.len && text.ptr[i] != '"'; i++)
        if (text.ptr[i] == '\\') i++;
    return i;
}

static void opened(thinning *t, size_t i)
{
    if (t->text.ptr[i] == '[' && t->depth == 1) t->in_jobs = fh_str_eqs(t->key, "jobs");
    if (t->in_jobs && t->depth == 2) t->begun = i;
    t->depth++;
}

static void closed(thinning *t, size_t i)
{
    t->depth--;
    if (t->depth == 1) t->in_jobs = false;
    if (!t->in_jobs || t->depth != 2) return;
    fh_str job = {t->text.ptr + t->begun, i + 1 - t->begun};
    if (fh_str_find(job, t->mention) < job.len) return;
    fh_buf_add(t->out, t->text.ptr + t->copied, t->begun - t->copied);
    fh_buf_addc(t->out, '0');
    t->copied = i + 1;
}

void fh_slurm_rest_thin(fh_str text, const char *mention, fh_buf *out)
{
    thinning t = {.text = text, .mention = fh_str_of(mention), .out = out};
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (c == '"') {
            size_t end = end_of_text(text, i);
            if (t.depth == 1 && end < text.len) t.key = (fh_str){text.ptr + i + 1, end - i - 1};
            i = end;
        } else if (c == '{' || c == '[') {
            opened(&t, i);
        } else if (c == '}' || c == ']') {
            if (!t.depth) break;
            closed(&t, i);
        }
    }
    fh_buf_add(out, text.ptr + t.copied, text.len - t.copied);
}

/* As squeue's: a job without a limit ends never, or is said to end a year after its start. */
static int64_t end_of(const fh_json *job)
{
    int64_t limit = number_of(fh_json_get(job, "time_limit")), end_s = number_of(fh_json_get(job, "end_time"));
    int64_t start_s = number_of(fh_json_get(job, "start_time"));
    return limit > 0 && end_s > 0 && end_s - FH_MAX(start_s, 0) < YEAR_S ? end_s : 0;
}

static bool row_of(const fh_json *job, const char *user, fh_str prefix, fh_slurm_row *ret)
{
    fh_str name = fh_json_str(fh_json_get(job, "name"));
    int64_t id = number_of(fh_json_get(job, "job_id"));
    if (id <= 0 || !fh_str_eqs(fh_json_str(fh_json_get(job, "user_name")), user) || !fh_str_starts(name, prefix)) return false;
    *ret = (fh_slurm_row){.job = id,
                          .state = state_of(fh_json_get(job, "job_state")),
                          .reason = fh_json_str(fh_json_get(job, "state_reason")),
                          .node = fh_json_str(fh_json_get(job, "nodes")),
                          .name = name,
                          .comment = fh_json_str(fh_json_get(job, "comment")),
                          .ends_s = end_of(job),
                          .starts_s = (int64_t)count_of(fh_json_get(job, "start_time")),
                          .nodes = count_of(fh_json_get(job, "node_count"))};
    return true;
}

int fh_slurm_rest_jobs(const fh_json *doc, const char *user, const char *prefix, fh_slurm_row **ret, size_t *ret_count, fh_err **err)
{
    const fh_json *jobs = fh_json_get(doc, "jobs");
    size_t all = fh_json_count(jobs), count = 0;
    if (fh_json_kind_of(jobs) != FH_JSON_ARRAY) return fh_err_set(err, FH_E_UPSTREAM, "slurmrestd's list of jobs is none");
    fh_slurm_row *rows = fh_calloc(all + 1, sizeof *rows);
    if (!rows) return fh_err_nomem(err);
    for (size_t i = 0; i < all; i++) count += row_of(fh_json_at(jobs, i), user, fh_str_of(prefix), &rows[count]);
    *ret = rows;
    *ret_count = count;
    return 0;
}

int64_t fh_slurm_rest_job_id(const fh_json *submitted)
{
    return (int64_t)count_of(fh_json_get(submitted, "job_id"));
}

/* ---- partitions ---- */

static bool is_standard(const fh_json *partitions, fh_str name)
{
    const fh_json *list = fh_json_get(partitions, "partitions");
    for (size_t i = 0; i < fh_json_count(list); i++) {
        const fh_json *p = fh_json_at(list, i);
        fh_str at = fh_json_str(fh_json_get(p, "name"));
        if (at.len == name.len && (!at.len || memcmp(at.ptr, name.ptr, at.len) == 0))
            return has_flag(fh_json_get(p, "flags"), "DEFAULT", "default");
    }
    return false;
}

static void add_node(const fh_json *partitions, const fh_json *node, fh_slurm_kinds *ret)
{
    const fh_json *in = fh_json_get(node, "partitions");
    uint64_t cpus = count_of(fh_json_get(node, "cpus")), mib = count_of(fh_json_get(node, "real_memory"));
    for (size_t i = 0; i < fh_json_count(in); i++) {
        fh_str name = fh_json_str(fh_json_at(in, i));
        if (name.len) fh_slurm_kinds_add(ret, name, is_standard(partitions, name), cpus, mib, 1);
    }
}

void fh_slurm_rest_kinds(const fh_json *partitions, const fh_json *nodes, fh_slurm_kinds *ret)
{
    const fh_json *list = fh_json_get(nodes, "nodes");
    *ret = (fh_slurm_kinds){.count = 0};
    for (size_t i = 0; i < fh_json_count(list); i++) add_node(partitions, fh_json_at(list, i), ret);
}

/* ---- errors ---- */

static void take_error(const fh_json *e, fh_slurm_rest_error *ret)
{
    fh_str said = fh_json_str(fh_json_get(e, "description"));
    int64_t number = fh_json_int(fh_json_get(e, "error_number"), fh_json_int(fh_json_get(e, "error_code"), 0));
    if (!said.len) said = fh_json_str(fh_json_get(e, "error"));
    if (!ret->words[0]) fh_supply_words((fh_str){said.ptr, FH_MIN(said.len, (size_t)180)}, ret->words, sizeof ret->words);
    if (number) ret->number = number;
}

void fh_slurm_rest_error_read(const fh_json *doc, fh_slurm_rest_error *ret)
{
    const fh_json *list = fh_json_get(doc, "errors");
    *ret = (fh_slurm_rest_error){.number = 0};
    for (size_t i = 0; i < fh_json_count(list); i++) take_error(fh_json_at(list, i), ret);
    if (fh_json_count(list) && !ret->words[0]) snprintf(ret->words, sizeof ret->words, "an error without words");
}

/* ---- what it offers ---- */

void fh_slurm_rest_apis(const fh_json *openapi, char *out, size_t out_size)
{
    const fh_str before = FH_STR("/slurm/"), after = FH_STR("/ping");
    FH_AUTO(buf) fh_buf list = FH_BUF(out_size);
    void *it = NULL;
    fh_str path;
    const fh_json *value;
    while (fh_json_next(fh_json_get(openapi, "paths"), &it, &path, &value)) {
        while (path.len && path.ptr[path.len - 1] == '/') path.len--;
        if (!fh_str_starts(path, before) || !fh_str_ends(path, after) || path.len <= before.len + after.len) continue;
        fh_buf_addf(&list, "%s%.*s", list.len ? ", " : "", (int)(path.len - before.len - after.len), path.ptr + before.len);
    }
    snprintf(out, out_size, "%s", fh_buf_ok(&list) ? fh_buf_cstr(&list) : "");
}

/* ---- tokens ---- */

/* Of its three parts between dots the header and what it claims are objects; the third is the signature. */
static bool read_part(fh_str token, size_t which, fh_json **ret)
{
    char text[FH_LIMIT_SLURM_TOKEN_BYTES];
    fh_str part = {token.ptr, fh_str_find(token, FH_STR("."))};
    for (; which && part.len < token.len; which--) {
        token = (fh_str){token.ptr + part.len + 1, token.len - part.len - 1};
        part = (fh_str){token.ptr, fh_str_find(token, FH_STR("."))};
    }
    size_t bytes = part.len * 6 / 8;
    if (part.len >= token.len || !bytes || bytes > sizeof text || !fh_base64url_decode(part, text, bytes)) return false;
    bool good = fh_json_parse(ret, (fh_str){text, bytes}, sizeof text, NULL) == 0 && fh_json_kind_of(*ret) == FH_JSON_OBJECT;
    explicit_bzero(text, sizeof text);
    return good;
}

bool fh_slurm_token_is(fh_str text)
{
    FH_AUTO(json) fh_json *header = NULL;
    FH_AUTO(json) fh_json *claims = NULL;
    return read_part(text, 0, &header) && fh_json_str(fh_json_get(header, "alg")).len && read_part(text, 1, &claims);
}

int64_t fh_slurm_token_ends_s(fh_str token)
{
    FH_AUTO(json) fh_json *claims = NULL;
    return read_part(token, 1, &claims) ? FH_MAX(fh_json_int(fh_json_get(claims, "exp"), 0), (int64_t)0) : 0;
}

/* ---- comments ---- */

static const char key_word[] = "freehold key ", said_word[] = "freehold said ";

bool fh_slurm_comment_key(const char *comment, char ret[65])
{
    const char *hex = comment + sizeof key_word - 1;
    if (strncmp(comment, key_word, sizeof key_word - 1) != 0 || strlen(hex) != 64 || strspn(hex, "0123456789abcdef") != 64) return false;
    memcpy(ret, hex, 65);
    return true;
}

const char *fh_slurm_comment_said(const char *comment)
{
    return strncmp(comment, said_word, sizeof said_word - 1) == 0 ? comment + sizeof said_word - 1 : "";
}
