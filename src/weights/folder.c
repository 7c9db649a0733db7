/* Folders of safetensors: which files belong to one, and whether they are whole (see weights_folder.h). Everything that they say is checked
 * before it is used; sums cannot overflow. */
#include "weights_folder.h"

#include "base/limits.h"
#include "base/str.h"
#include "sys/file.h"
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LENGTH_BYTES 8

bool fh_folder_wants(fh_str name)
{
    static const char *const ends[] = {".safetensors", ".json", ".jinja", ".tiktoken"};
    static const char *const names[] = {"tokenizer.model", "merges.txt", "vocab.txt", "LICENSE"};
    if (fh_str_starts(name, FH_STR(".")) || fh_str_eqs(name, FH_WEIGHTS_META)) return false;
    for (size_t i = 0; i < FH_COUNT(ends); i++)
        if (fh_str_ends(name, fh_str_of(ends[i]))) return true;
    for (size_t i = 0; i < FH_COUNT(names); i++)
        if (fh_str_eqs(name, names[i])) return true;
    return false;
}

/* ---- a file ---- */

static int check_tensor(fh_str name, const fh_json *o, uint64_t data_bytes, uint64_t *end, fh_err **err)
{
    const fh_json *offsets = fh_json_get(o, "data_offsets");
    int64_t from = fh_json_int(fh_json_at(offsets, 0), -1), to = fh_json_int(fh_json_at(offsets, 1), -1);
    if (fh_json_count(offsets) != 2 || from < 0 || to < from || (uint64_t)to > data_bytes)
        return fh_err_set(err, FH_E_CORRUPT, "the tensor \"%.*s\" does not lie in the file", (int)FH_MIN(name.len, (size_t)128), name.ptr);
    *end = FH_MAX(*end, (uint64_t)to);
    return 0;
}

int fh_safetensors_check(fh_str header, uint64_t data_bytes, fh_err **err)
{
    FH_AUTO(json) fh_json *doc = NULL;
    void *it = NULL;
    fh_str name;
    const fh_json *tensor;
    uint64_t end = 0;
    int rc = fh_json_parse(&doc, header, FH_LIMIT_SAFETENSORS_HEADER_BYTES, err);
    if (rc == 0 && fh_json_kind_of(doc) != FH_JSON_OBJECT) rc = fh_err_set(err, FH_E_CORRUPT, "its header is no JSON object");
    while (rc == 0 && fh_json_next(doc, &it, &name, &tensor))
        if (!fh_str_eqs(name, "__metadata__")) rc = check_tensor(name, tensor, data_bytes, &end, err);
    if (rc == 0 && end != data_bytes)
        rc = fh_err_set(err, FH_E_CORRUPT, "its tensors end at byte %llu of its data, which has %llu", (unsigned long long)end,
                        (unsigned long long)data_bytes);
    return rc == 0 ? 0 : FH_E_CORRUPT;
}

static uint64_t little_endian(const uint8_t b[LENGTH_BYTES])
{
    uint64_t v = 0;
    for (int i = LENGTH_BYTES - 1; i >= 0; i--) v = v << 8 | b[i];
    return v;
}

int fh_folder_check_file(const char *path, uint64_t bytes, fh_err **err)
{
    uint8_t length[LENGTH_BYTES];
    FH_AUTO(fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
    FH_AUTO(buf) fh_buf header = FH_BUF(FH_LIMIT_SAFETENSORS_HEADER_BYTES + 1);
    if (fd < 0 || pread(fd, length, sizeof length, 0) != (ssize_t)sizeof length)
        return fh_err_set(err, FH_E_CORRUPT, "%s is too short for a safetensors file", path);
    uint64_t n = little_endian(length);
    if (n < 2 || n > FH_LIMIT_SAFETENSORS_HEADER_BYTES || n > bytes - LENGTH_BYTES)
        return fh_err_set(err, FH_E_CORRUPT, "%s is no safetensors file: its header would have %llu bytes", path, (unsigned long long)n);
    if (!fh_buf_reserve(&header, n)) return fh_err_nomem(err);
    if (pread(fd, header.data, n, LENGTH_BYTES) != (ssize_t)n) return fh_err_set(err, FH_E_IO, "cannot read %s", path);
    int rc = fh_safetensors_check((fh_str){header.data, n}, bytes - LENGTH_BYTES - n, err);
    return rc == 0 ? 0 : fh_err_add(err, "%s", path);
}

/* ---- what the model is ---- */

static uint64_t count_of(const fh_json *o, const char *name, uint64_t otherwise)
{
    int64_t v = fh_json_int(fh_json_get(o, name), 0);
    return v > 0 && v <= 1 << 20 ? (uint64_t)v : otherwise;
}

int fh_folder_config(fh_str text, fh_weights_meta *m, fh_err **err)
{
    FH_AUTO(json) fh_json *o = NULL;
    int rc = fh_json_parse(&o, text, FH_WEIGHTS_META_BYTES, err);
    if (rc == 0 && fh_json_kind_of(o) != FH_JSON_OBJECT) rc = fh_err_set(err, FH_E_CORRUPT, "it is no JSON object");
    if (rc != 0) return FH_E_CORRUPT;
    fh_str family = fh_json_str(fh_json_get(o, "model_type"));
    uint64_t heads = count_of(o, "num_attention_heads", 0), layers = count_of(o, "num_hidden_layers", 0);
    uint64_t head = count_of(o, "head_dim", heads ? count_of(o, "hidden_size", 0) / heads : 0);
    if (family.len < sizeof m->architecture)
        snprintf(m->architecture, sizeof m->architecture, "%.*s", (int)family.len, family.ptr ? family.ptr : "");
    m->context_tok = (int64_t)count_of(o, "max_position_embeddings", 0);
    m->kv_bytes_per_tok = 0; /* other families than grouped-query attention are not reckoned here */
    if (fh_str_eqs(family, "llama") && layers <= 4096 && heads <= 4096 && head <= 65536)
        m->kv_bytes_per_tok = 2 * layers * count_of(o, "num_key_value_heads", heads) * head * 2;
    return 0;
}
