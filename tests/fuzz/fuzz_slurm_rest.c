/* What slurmrestd answers, and a token: arbitrary bytes, and JSON of any shape. Each job that is found is one of the user's with a number,
 * a state and texts; counts and times are none that Slurm uses for their absence. */
#include "supply/slurm_rest_says.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds) abort();
}

static void check_jobs(const fh_json *doc)
{
    FH_AUTO(ptr) fh_slurm_row *rows = NULL;
    size_t count = 0;
    if (fh_slurm_rest_jobs(doc, "me", "freehold-", &rows, &count, NULL)) return;
    check(count <= fh_json_count(fh_json_get(doc, "jobs")));
    for (size_t i = 0; i < count; i++) {
        const fh_slurm_row *r = &rows[i];
        check(r->job > 0 && r->job < 4294967294 && r->state && r->ends_s >= 0 && r->starts_s >= 0 && r->nodes < 4294967294);
        check(fh_str_starts(r->name, FH_STR("freehold-")));
    }
}

/* A document stays one, and no job of ours is lost. */
static void check_thin(fh_str text, const fh_json *doc)
{
    FH_AUTO(buf) fh_buf out = FH_BUF(text.len + 1);
    FH_AUTO(json) fh_json *thin = NULL;
    size_t counts[2] = {0, 0};
    fh_slurm_rest_thin(text, "freehold-", &out);
    check(fh_buf_ok(&out) && out.len <= text.len);
    if (!doc) return;
    check(fh_json_parse(&thin, (fh_str){fh_buf_cstr(&out), out.len}, 1 << 20, NULL) == 0);
    for (int i = 0; i < 2; i++) {
        FH_AUTO(ptr) fh_slurm_row *rows = NULL;
        (void)fh_slurm_rest_jobs(i ? thin : doc, "me", "freehold-", &rows, &counts[i], NULL);
    }
    check(counts[0] == counts[1] || fh_str_find(text, FH_STR("\\")) < text.len); /* names may be written with escapes */
}

static void check_document(const fh_json *doc)
{
    char apis[64];
    fh_slurm_rest_error e;
    fh_slurm_kinds k;
    check_jobs(doc);
    fh_slurm_rest_kinds(doc, doc, &k);
    for (size_t i = 0; i < k.count; i++) check(k.rows[i].partition[0] && k.rows[i].nodes > 0);
    check(fh_slurm_rest_job_id(doc) >= 0);
    fh_slurm_rest_error_read(doc, &e);
    check(strlen(e.words) < sizeof e.words);
    fh_slurm_rest_apis(doc, apis, sizeof apis);
    check(strlen(apis) < sizeof apis);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    FH_AUTO(json) fh_json *doc = NULL;
    FH_AUTO(ptr) char *comment = fh_strndup((const char *)data, size);
    char key[65];
    fh_str text = {(const char *)data, size};
    check(fh_slurm_token_ends_s(text) >= 0);
    if (comment && fh_slurm_comment_key(comment, key)) check(strlen(key) == 64);
    if (comment) check(strlen(fh_slurm_comment_said(comment)) <= size);
    if (fh_json_parse(&doc, text, 1 << 20, NULL) == 0) check_document(doc);
    check_thin(text, doc);
    return 0;
}
