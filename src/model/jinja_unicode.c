/* Characters as Python classifies them, on utf8proc's tables, and the white space rules of str. */
#include "jinja.h"

#include <utf8proc.h>

bool jinja_is_space(uint32_t cp)
{
    if (cp < 128) return cp == ' ' || (cp >= 9 && cp <= 13) || (cp >= 28 && cp <= 31);
    return cp == 0x85 || cp == 0xa0 || cp == 0x1680 || (cp >= 0x2000 && cp <= 0x200a) || cp == 0x2028 || cp == 0x2029 || cp == 0x202f ||
           cp == 0x205f || cp == 0x3000;
}

static utf8proc_category_t category(uint32_t cp)
{
    return utf8proc_category((utf8proc_int32_t)cp);
}

bool jinja_is_printable(uint32_t cp)
{
    if (cp < 127) return cp >= 32;
    switch (category(cp)) {
    case UTF8PROC_CATEGORY_CN:
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CS:
    case UTF8PROC_CATEGORY_CO:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
    case UTF8PROC_CATEGORY_ZS: return false;
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_NO:
    case UTF8PROC_CATEGORY_PC:
    case UTF8PROC_CATEGORY_PD:
    case UTF8PROC_CATEGORY_PS:
    case UTF8PROC_CATEGORY_PE:
    case UTF8PROC_CATEGORY_PI:
    case UTF8PROC_CATEGORY_PF:
    case UTF8PROC_CATEGORY_PO:
    case UTF8PROC_CATEGORY_SM:
    case UTF8PROC_CATEGORY_SC:
    case UTF8PROC_CATEGORY_SK:
    case UTF8PROC_CATEGORY_SO: break;
    }
    return true;
}

bool jinja_is_alpha(uint32_t cp)
{
    if (cp < 128) return (cp >= 'a' && cp <= 'z') || (cp >= 'A' && cp <= 'Z');
    utf8proc_category_t c = category(cp);
    return c >= UTF8PROC_CATEGORY_LU && c <= UTF8PROC_CATEGORY_LO;
}

bool jinja_is_decimal(uint32_t cp)
{
    return cp < 128 ? cp >= '0' && cp <= '9' : category(cp) == UTF8PROC_CATEGORY_ND;
}

/* Superscripts, circled and similar digits count as digits; the class of numbers that are no digits is left to is_numeric. */
bool jinja_is_digit(uint32_t cp)
{
    if (jinja_is_decimal(cp)) return true;
    static const uint32_t ranges[][2] = {{0xb2, 0xb3},     {0xb9, 0xb9},       {0x1369, 0x1371},   {0x19da, 0x19da},   {0x2070, 0x2070},
                                         {0x2074, 0x2079}, {0x2080, 0x2089},   {0x2460, 0x2468},   {0x2474, 0x247c},   {0x2488, 0x2490},
                                         {0x24ea, 0x24ea}, {0x24f5, 0x24fd},   {0x24ff, 0x24ff},   {0x2776, 0x277e},   {0x2780, 0x2788},
                                         {0x278a, 0x2792}, {0x10a40, 0x10a43}, {0x10e60, 0x10e68}, {0x11052, 0x1105a}, {0x1f100, 0x1f10a}};
    for (size_t i = 0; i < FH_COUNT(ranges); i++)
        if (cp >= ranges[i][0] && cp <= ranges[i][1]) return true;
    return false;
}

bool jinja_is_numeric(uint32_t cp)
{
    if (cp < 128) return cp >= '0' && cp <= '9';
    utf8proc_category_t c = category(cp);
    return c == UTF8PROC_CATEGORY_ND || c == UTF8PROC_CATEGORY_NL || c == UTF8PROC_CATEGORY_NO;
}

bool jinja_is_upper(uint32_t cp)
{
    return cp < 128 ? cp >= 'A' && cp <= 'Z' : category(cp) == UTF8PROC_CATEGORY_LU;
}

bool jinja_is_lower(uint32_t cp)
{
    return cp < 128 ? cp >= 'a' && cp <= 'z' : category(cp) == UTF8PROC_CATEGORY_LL;
}

bool jinja_is_title(uint32_t cp)
{
    return cp >= 128 && category(cp) == UTF8PROC_CATEGORY_LT;
}

bool jinja_is_name_start(uint32_t cp)
{
    return cp == '_' || jinja_is_alpha(cp) || (cp >= 128 && category(cp) == UTF8PROC_CATEGORY_NL);
}

bool jinja_is_name_part(uint32_t cp)
{
    if (cp < 128) return cp == '_' || jinja_is_alpha(cp) || jinja_is_decimal(cp);
    utf8proc_category_t c = category(cp);
    return jinja_is_name_start(cp) || c == UTF8PROC_CATEGORY_ND || c == UTF8PROC_CATEGORY_MN || c == UTF8PROC_CATEGORY_MC ||
           c == UTF8PROC_CATEGORY_PC;
}

size_t jinja_chars(fh_str s)
{
    size_t n = 0;
    for (size_t i = 0; i < s.len; i++) n += ((uint8_t)s.ptr[i] & 0xc0) != 0x80;
    return n;
}

size_t jinja_offset(fh_str s, size_t chars)
{
    for (size_t i = 0; i < s.len; i++)
        if (((uint8_t)s.ptr[i] & 0xc0) != 0x80 && chars-- == 0) return i;
    return s.len;
}

fh_str jinja_strip(fh_str s, bool left, bool right)
{
    uint32_t cp;
    for (size_t n; left && s.len && (n = fh_utf8_decode(s.ptr, s.len, &cp)) && jinja_is_space(cp); s.ptr += n) s.len -= n;
    while (right && s.len) {
        size_t n = 1;
        while (n < s.len && n < 4 && ((uint8_t)s.ptr[s.len - n] & 0xc0) == 0x80) n++;
        if (!fh_utf8_decode(s.ptr + s.len - n, n, &cp) || !jinja_is_space(cp)) break;
        s.len -= n;
    }
    return s;
}

static bool ends_line(uint32_t cp)
{
    return (cp >= 10 && cp <= 13) || (cp >= 0x1c && cp <= 0x1e) || cp == 0x85 || cp == 0x2028 || cp == 0x2029;
}

bool jinja_next_line(fh_str s, size_t *at, fh_str *ret, fh_str *ret_with_end)
{
    if (*at >= s.len) return false;
    size_t from = *at, p = from, n = 0;
    uint32_t cp = 0;
    for (; p < s.len; p += n) {
        n = fh_utf8_decode(s.ptr + p, s.len - p, &cp);
        if (!n)
            n = 1;
        else if (ends_line(cp))
            break;
    }
    *ret = (fh_str){s.ptr + from, p - from};
    if (p < s.len) p += cp == '\r' && p + 1 < s.len && s.ptr[p + 1] == '\n' ? 2 : n;
    if (ret_with_end) *ret_with_end = (fh_str){s.ptr + from, p - from};
    *at = p;
    return true;
}
