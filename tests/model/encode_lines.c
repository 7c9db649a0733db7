/* Encodes many texts with one vocabulary, for tests that compare with other programs: encode_lines MODEL [special] [bos]
 * reads one text a line, in hexadecimal, and writes for each a line "ids separated by blanks<TAB>what they decode to, in hexadecimal". */
#include "base/limits.h"
#include "model/vocab.h"
#include <stdio.h>
#include <stdlib.h>

static int say(const fh_err *err)
{
    fprintf(stderr, "encode_lines: %s\n", fh_err_message(err));
    return 1;
}

static int encode_line(const fh_vocab *v, fh_str hex, unsigned flags, fh_err **err)
{
    FH_AUTO(buf) fh_buf back = FH_BUF((size_t)FH_LIMIT_ENCODE_BYTES);
    FH_AUTO(ptr) char *text = fh_alloc(hex.len / 2);
    FH_AUTO(ptr) char *out = NULL;
    fh_tokens ids = {0};
    if (!text || !fh_hex_decode(hex, text, hex.len / 2)) return fh_err_set(err, FH_E_INVALID, "a line is not hexadecimal");
    int rc = fh_vocab_encode(v, (fh_str){text, hex.len / 2}, flags, &ids, err);
    if (!rc) rc = fh_vocab_decode_all(v, ids.ids, ids.count, (flags & FH_ENCODE_SPECIAL) != 0, &back, err);
    if (!rc && !(out = fh_alloc(2 * back.len + 1))) rc = fh_err_nomem(err);
    for (size_t i = 0; !rc && i < ids.count; i++) printf("%s%d", i ? " " : "", ids.ids[i]);
    if (!rc && fh_hex_encode(fh_buf_cstr(&back), back.len, out, 2 * back.len + 1)) printf("\t%s\n", out);
    fh_tokens_fini(&ids);
    return rc;
}

static int encode_input(const fh_vocab *v, unsigned flags, fh_err **err)
{
    char *line = NULL;
    size_t cap = 0;
    ssize_t n;
    int rc = 0;
    while (!rc && (n = getline(&line, &cap, stdin)) >= 0) rc = encode_line(v, fh_str_trim((fh_str){line, (size_t)n}), flags, err);
    free(line); /* getline's */
    return rc;
}

int main(int argc, char **argv)
{
    unsigned flags = 0;
    for (int i = 2; i < argc; i++) flags |= !strcmp(argv[i], "special") ? FH_ENCODE_SPECIAL : !strcmp(argv[i], "bos") ? FH_ENCODE_BOS : 0u;
    fh_vocab *v = NULL;
    fh_err *err = NULL;
    int rc = argc < 2 ? fh_err_set(&err, FH_E_USAGE, "encode_lines MODEL [special] [bos]") : fh_vocab_open(&v, argv[1], &err);
    if (!rc && fh_vocab_warning(v)) fprintf(stderr, "encode_lines: %s\n", fh_vocab_warning(v));
    if (!rc) rc = encode_input(v, flags, &err);
    int status = rc ? say(err) : 0;
    fh_err_free(err);
    fh_vocab_free(v);
    return status;
}
