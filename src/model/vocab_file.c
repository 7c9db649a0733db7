/* A vocabulary from whatever file the makers give: by what is in it, and for tiktoken by its name. */
#include "vocab_private.h"
#include "sys/file.h"

static int open_gguf(fh_vocab **ret, const char *path, fh_err **err)
{
    FH_AUTO(fh_gguf) fh_gguf *g = NULL;
    int rc = fh_gguf_open(&g, path, err);
    if (!rc) rc = fh_vocab_new(ret, g, err);
    if (!rc) (*ret)->own_gguf = fh_take(g);
    return rc;
}

static int open_text(fh_vocab **ret, fh_str text, const char *name, fh_err **err)
{
    fh_str trimmed = fh_str_trim(text);
    if (text.len > FH_LIMIT_TOKENIZER_BYTES)
        return fh_err_set(err, FH_E_TOO_LARGE, "the file is %zu bytes long; of a tokenizer at most %d are read", text.len,
                          FH_LIMIT_TOKENIZER_BYTES);
    if (trimmed.len && trimmed.ptr[0] == '{') return fh_vocab_from_json(ret, text, err);
    return fh_vocab_from_tiktoken(ret, text, name, err);
}

static int open_any(fh_vocab **ret, const char *path, const char *name, fh_err **err)
{
    fh_mapping map = {0};
    int rc = fh_file_map(path, &map, err);
    if (rc) return rc;
    fh_str text = {map.data, map.bytes};
    bool gguf = fh_str_starts(text, FH_STR("GGUF"));
    if (!gguf) rc = open_text(ret, text, name, err);
    fh_file_unmap(&map);
    return gguf ? open_gguf(ret, path, err) : rc;
}

int fh_vocab_open_as(fh_vocab **ret, const char *path, const char *name, fh_err **err)
{
    int rc = open_any(ret, path, name, err);
    return rc ? fh_err_about(err, name) : 0;
}

int fh_vocab_open(fh_vocab **ret, const char *path, fh_err **err)
{
    const char *slash = strrchr(path, '/');
    int rc = open_any(ret, path, slash ? slash + 1 : path, err);
    return rc ? fh_err_about(err, path) : 0;
}

int fh_vocab_chat_template(const fh_vocab *v, fh_str *ret, fh_err **err)
{
    static const char key[] = "tokenizer.chat_template";
    *ret = (fh_str){NULL, 0};
    return v->own_gguf && fh_gguf_find(v->own_gguf, key) ? fh_gguf_get_str(v->own_gguf, key, ret, err) : 0;
}
