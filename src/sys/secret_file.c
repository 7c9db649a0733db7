/* See sys/secret_file.h. */
#include "sys/secret_file.h"

#include "base/buf.h"
#include "base/mem.h"
#include "base/str.h"
#include "sys/file.h"

#include <sys/stat.h>

static bool is_word(fh_str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.ptr[i] <= ' ' || s.ptr[i] > '~') return false;
    return s.len > 0;
}

int fh_secret_file_read(const char *path, char *out, size_t out_size, fh_err **err)
{
    const size_t most = FH_MAX(out_size, (size_t)4096);
    FH_AUTO(buf) fh_buf text = FH_BUF(most);
    struct stat st;
    if (stat(path, &st) == 0 && (st.st_mode & 077) != 0) {
        fh_err_set(err, FH_E_FORBIDDEN, "others can read the key in %s", path);
        fh_err_hint(err, "chmod 600 %s", path);
        return FH_E_FORBIDDEN;
    }
    int rc = fh_file_read(path, most, &text, err);
    if (rc) return fh_err_add(err, "the provider's key cannot be read");
    fh_str word = fh_str_trim((fh_str){fh_buf_cstr(&text), text.len});
    if (is_word(word) && word.len < out_size) {
        memcpy(out, word.ptr, word.len);
        out[word.len] = '\0';
    } else {
        rc = fh_err_set(err, FH_E_INVALID, "%s holds no key: it must be one word", path);
        fh_err_hint(err, "put the key alone into the file, without Bearer");
    }
    if (text.data) explicit_bzero(text.data, text.len);
    return rc;
}
