#include "words.h"

void fh_supply_words(fh_str text, char *out, size_t out_size)
{
    size_t n = 0, from = text.len > out_size - 1 ? text.len - (out_size - 1) : 0;
    for (size_t i = from; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        bool blank = c <= ' ' || c == 0x7f;
        if (!blank || (n && out[n - 1] != ' ')) out[n++] = blank ? ' ' : (char)c;
    }
    while (n && out[n - 1] == ' ') n--;
    out[n] = '\0';
    if (!fh_utf8_valid(out, n))
        for (size_t i = 0; i < n; i++)
            if ((unsigned char)out[i] >= 0x80) out[i] = '?';
}
