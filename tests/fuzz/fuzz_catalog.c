/* Files of catalogue entries. Whatever is read, there is a file or an error and not both; what is read has names, a variant by every name
 * that its entries use, and can be published beside ours or clashes. */
#include "catalog/files.h"
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds) abort();
}

static void check_model(const fh_catalog_model *m, bool own)
{
    check(*m->id && *m->name && *m->licence && m->aliases && m->from && *m->modalities);
    check(own == (strcmp(m->tier, "own") == 0) && own == (*m->from != '\0'));
    for (size_t i = 0; i < m->variant_count; i++) check(fh_catalog_variant_find(m, m->variants[i].name) == &m->variants[i]);
    for (size_t i = 0; i < m->run_count; i++) check(*m->runs[i].engine && m->runs[i].arguments && m->runs[i].host_arguments);
    for (size_t i = 0; i < m->score_count; i++) check(m->scores[i].best_score > 0);
    fh_json *runs = fh_catalog_runs_json(m), *scores = fh_catalog_scores_json(m);
    check(fh_json_count(runs) == m->run_count && fh_json_count(scores) == m->score_count);
    fh_json_unref(runs);
    fh_json_unref(scores);
}

static void read_as(fh_str text, fh_catalog_file_kind kind)
{
    fh_catalog_file *f = NULL;
    fh_err *err = NULL;
    int rc = fh_catalog_file_read(text, "fuzz", kind, &f, &err);
    check((rc == 0) == (err == NULL) && (rc == 0) == (f != NULL));
    for (size_t i = 0; f && i < fh_catalog_file_models(f); i++) check_model(fh_catalog_file_model(f, i), kind == FH_CATALOG_OWN);
    for (size_t i = 0; f && i < fh_catalog_file_machines(f); i++) check(fh_catalog_file_machine(f, i)->memory_gb >= 0);
    if (f && kind == FH_CATALOG_OWN) {
        rc = fh_catalog_file_clashes(f, NULL, NULL, 0, &err);
        check((rc == 0) == (err == NULL));
    }
    fh_err_free(err);
    fh_catalog_file_free(f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    read_as((fh_str){(const char *)data, size}, FH_CATALOG_OWN);
    read_as((fh_str){(const char *)data, size}, FH_CATALOG_UPDATE);
    return 0;
}
