/* Reading text and token ids from outside. */
#include "tokens.h"
#include "base/limits.h"

#include <errno.h>
#include <unistd.h>

enum { PIECE_BYTES = 65536 };

int fh_cli_read_input(fh_buf *out, fh_err **err)
{
    for (;;) {
        if (!fh_buf_reserve(out, PIECE_BYTES)) return fh_buf_check(out, err, "standard input");
        ssize_t n = read(STDIN_FILENO, out->data + out->len, FH_MIN((size_t)PIECE_BYTES, out->cap - out->len - 1));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return fh_err_errno(err, FH_E_IO, errno, "cannot read standard input");
        if (n == 0) return 0;
        out->len += (size_t)n;
        out->data[out->len] = '\0';
    }
}

static int push_id(fh_tokens *out, int64_t id, fh_err **err)
{
    if (id < 0 || id > INT32_MAX) return fh_err_set(err, FH_E_INVALID, "%lld is no token id", (long long)id);
    return fh_tokens_push(out, (fh_token)id) ? 0 : fh_err_nomem(err);
}

static int parse_json_ids(fh_str text, fh_tokens *out, fh_err **err)
{
    FH_AUTO(json) fh_json *doc = NULL;
    int rc = fh_json_parse(&doc, text, FH_LIMIT_JSON_BODY_BYTES, err);
    if (rc) return rc;
    const fh_json *ids = fh_json_kind_of(doc) == FH_JSON_OBJECT ? fh_json_get(doc, "tokens") : doc;
    if (fh_json_kind_of(ids) != FH_JSON_ARRAY)
        return fh_err_set(err, FH_E_INVALID, "expected an array of token ids, or an object with one named tokens");
    for (size_t i = 0; i < fh_json_count(ids) && !rc; i++) rc = push_id(out, fh_json_int(fh_json_at(ids, i), -1), err);
    return rc;
}

static bool blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

int fh_cli_parse_ids(fh_str text, fh_tokens *out, fh_err **err)
{
    text = fh_str_trim(text);
    if (text.len && (text.ptr[0] == '[' || text.ptr[0] == '{')) return parse_json_ids(text, out, err);
    for (size_t i = 0; i < text.len;) {
        size_t from = i;
        while (i < text.len && !blank(text.ptr[i])) i++;
        fh_str word = {text.ptr + from, i - from};
        uint64_t id;
        if (!fh_str_u64(word, INT32_MAX, &id))
            return fh_err_set(err, FH_E_INVALID, "'%.*s' is no token id", (int)FH_MIN(word.len, (size_t)32), word.ptr);
        if (!fh_tokens_push(out, (fh_token)id)) return fh_err_nomem(err);
        while (i < text.len && blank(text.ptr[i])) i++;
    }
    return 0;
}

int fh_cli_require(const fh_cli *c, const char *flag, const char **ret, fh_err **err)
{
    *ret = fh_cli_text(c, flag, NULL);
    if (*ret) return 0;
    fh_err_set(err, FH_E_USAGE, "--%s is missing", flag);
    fh_err_hint(err, "`freehold %s --help` shows how to use it", c->verb->name);
    return FH_E_USAGE;
}
