/* The alphabet of byte-level BPE (GPT-2's): each byte is written as one printable character, so that vocabularies are text. Printable
 * Latin-1 stands for itself; the other 68 bytes follow from U+0100 on. Pure. */
#include "vocab_private.h"

uint32_t fh_byte_to_char(uint8_t byte)
{
    if (byte <= 0x20) return 0x100u + byte;
    if (byte >= 0x7f && byte <= 0xa0) return 0x121u + (byte - 0x7fu);
    if (byte == 0xad) return 0x143;
    return byte;
}

int fh_char_to_byte(uint32_t cp)
{
    if (cp >= 0x100 && cp <= 0x120) return (int)(cp - 0x100);
    if (cp >= 0x121 && cp <= 0x142) return (int)(cp - 0x121 + 0x7f);
    if (cp == 0x143) return 0xad;
    if (cp > 0xff || cp <= 0x20 || (cp >= 0x7f && cp <= 0xa0) || cp == 0xad) return -1;
    return (int)cp;
}

size_t fh_bytes_to_chars(const char *p, size_t n, char *out)
{
    size_t at = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t cp = fh_byte_to_char((uint8_t)p[i]);
        if (cp < 0x80) {
            out[at++] = (char)cp;
        } else {
            out[at++] = (char)(0xc0 | cp >> 6);
            out[at++] = (char)(0x80 | (cp & 0x3f));
        }
    }
    return at;
}

bool fh_chars_to_bytes(fh_str piece, fh_buf *out)
{
    size_t before = out->len;
    for (size_t i = 0; i < piece.len;) {
        uint32_t cp = 0;
        size_t n = fh_utf8_decode(piece.ptr + i, piece.len - i, &cp);
        int byte = n ? fh_char_to_byte(cp) : -1;
        if (byte < 0) {
            out->len = before;
            if (out->data) out->data[before] = 0;
            return false;
        }
        fh_buf_addc(out, (char)byte);
        i += n;
    }
    return true;
}
