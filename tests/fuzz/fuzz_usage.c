/* Packed records of what requests used, as they are read from the database: those that are taken lie in their bytes, come out of being
 * packed again as they were, and are told in valid JSON; one that is broken changes nothing. */
#include "gateway/usage.h"
#include "json/json.h"
#include <stdlib.h>

enum { RECORDS = 64, TEXTS = 10, OUT_BYTES = 1 << 24 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds) abort();
}

static void texts_of(const fh_usage *u, fh_str ret[TEXTS])
{
    const fh_str all[TEXTS] = {u->request, u->key,    u->operation, u->model, u->deployment,
                               u->place,   u->reason, u->others,    u->cache, u->finish};
    memcpy(ret, all, sizeof all);
}

static void check_inside(fh_str text, fh_str all)
{
    check(!text.len || (text.ptr >= all.ptr && text.ptr + text.len <= all.ptr + all.len));
}

static void check_record(const fh_usage *u, fh_str all)
{
    fh_str texts[TEXTS];
    texts_of(u, texts);
    for (size_t i = 0; i < TEXTS; i++) check_inside(texts[i], all);
    check(u->failover_count <= FH_LIMIT_RECORD_ATTEMPTS && u->used.counted < FH_COUNTED && u->used.covers < FH_COVERS);
    for (size_t i = 0; i < u->failover_count; i++) check_inside(u->failovers[i].deployment, all);
}

static void check_told(const fh_usage *u, void (*write)(const fh_usage *u, fh_buf *out))
{
    FH_AUTO(buf) fh_buf out = FH_BUF(OUT_BYTES);
    FH_AUTO(json) fh_json *doc = NULL;
    write(u, &out);
    check(fh_buf_ok(&out) && fh_json_parse(&doc, (fh_str){out.data, out.len}, OUT_BYTES, NULL) == 0);
}

static size_t unpack(fh_str all, fh_usage *ret)
{
    fh_str rest = all;
    fh_usage u = {.code = 0};
    size_t n = 0;
    while (n < RECORDS) {
        fh_str before = rest;
        fh_usage had = u;
        bool taken = fh_usage_unpack(&rest, &u);
        check(taken ? rest.len < before.len : rest.ptr == before.ptr && rest.len == before.len && memcmp(&u, &had, sizeof u) == 0);
        if (!taken) break;
        check_record(&u, all);
        ret[n++] = u;
    }
    return n;
}

static void pack(const fh_usage *records, size_t n, fh_buf *out)
{
    for (size_t i = 0; i < n; i++) fh_usage_pack(&records[i], i ? &records[i - 1] : NULL, out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static fh_usage records[RECORDS], again[RECORDS];
    FH_AUTO(buf) fh_buf first = FH_BUF(OUT_BYTES);
    FH_AUTO(buf) fh_buf second = FH_BUF(OUT_BYTES);
    size_t n = unpack((fh_str){(const char *)data, size}, records);
    pack(records, n, &first);
    check(unpack((fh_str){fh_buf_cstr(&first), first.len}, again) == n);
    pack(again, n, &second);
    check(fh_buf_ok(&first) && first.len == second.len && memcmp(fh_buf_cstr(&first), fh_buf_cstr(&second), first.len) == 0);
    for (size_t i = 0; i < n; i++) {
        check_told(&records[i], fh_usage_write);
        check_told(&records[i], fh_usage_write_brief);
        check_told(&again[i], fh_usage_write);
    }
    return 0;
}
