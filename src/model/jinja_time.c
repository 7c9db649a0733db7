/* strftime_now: the time that the caller passed in, as Python's datetime.strftime writes it in the C locale. */
#include "jinja.h"

static const char *const days[] = {"Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"};
static const char *const months[] = {"January", "February", "March",     "April",   "May",      "June",
                                     "July",    "August",   "September", "October", "November", "December"};

static void number(fh_buf *out, int v, int width, char pad, char flag)
{
    if (flag == '-') width = 0;
    if (flag == '_') pad = ' ';
    if (flag == '0') pad = '0';
    if (pad == ' ')
        fh_buf_addf(out, "%*d", width, v);
    else
        fh_buf_addf(out, "%0*d", width, v);
}

static void word(fh_buf *out, const char *s, size_t len, char flag)
{
    for (size_t i = 0; i < len && s[i]; i++) {
        bool small = s[i] >= 'a' && s[i] <= 'z', capital = s[i] >= 'A' && s[i] <= 'Z';
        fh_buf_addc(out, small && flag == '^' ? (char)(s[i] - 32) : capital && flag == '#' ? (char)(s[i] + 32) : s[i]);
    }
}

static int hour12(int hour)
{
    return hour % 12 ? hour % 12 : 12;
}

/* Weeks since the first Sunday (first 6) or Monday (first 0), as %U and %W count. */
static int week(const fh_template_time *t, int first)
{
    int since = (t->weekday - first + 7) % 7;
    return (t->yearday - 1 + 7 - since) / 7;
}

static bool leap(int year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

/* ISO 8601 week; *year is moved to the year it belongs to. */
static int iso_week(const fh_template_time *t, int *year)
{
    int w = (t->yearday - 1 - t->weekday + 10) / 7;
    int jan1 = ((t->weekday - (t->yearday - 1)) % 7 + 7) % 7;
    bool long_year = jan1 == 3 || (jan1 == 2 && leap(*year));
    if (w < 1) {
        --*year;
        int before = (jan1 + 7 - (leap(*year) ? 2 : 1)) % 7;
        return before == 3 || (before == 2 && leap(*year)) ? 53 : 52;
    }
    if (w == 53 && !long_year) {
        ++*year;
        return 1;
    }
    return w;
}

static const char *expansion(char c)
{
    switch (c) {
    case 'D':
    case 'x': return "%m/%d/%y";
    case 'F': return "%Y-%m-%d";
    case 'T':
    case 'X': return "%H:%M:%S";
    case 'R': return "%H:%M";
    case 'r': return "%I:%M:%S %p";
    case 'c': return "%a %b %e %H:%M:%S %Y";
    default: return NULL;
    }
}

static bool date_part(fh_buf *out, const fh_template_time *t, char c, char flag)
{
    const char *month = months[t->month - 1], *day = days[t->weekday];
    switch (c) {
    case 'Y': number(out, t->year, 0, '0', flag); return true;
    case 'C': number(out, t->year / 100, 2, '0', flag); return true;
    case 'y': number(out, t->year % 100, 2, '0', flag); return true;
    case 'm': number(out, t->month, 2, '0', flag); return true;
    case 'd': number(out, t->day, 2, '0', flag); return true;
    case 'e': number(out, t->day, 2, ' ', flag); return true;
    case 'j': number(out, t->yearday, 3, '0', flag); return true;
    case 'u': number(out, t->weekday + 1, 1, '0', flag); return true;
    case 'w': number(out, (t->weekday + 1) % 7, 1, '0', flag); return true;
    case 'B': word(out, month, 99, flag == '#' ? '^' : flag); return true;
    case 'b':
    case 'h': word(out, month, 3, flag == '#' ? '^' : flag); return true;
    case 'A': word(out, day, 99, flag == '#' ? '^' : flag); return true;
    case 'a': word(out, day, 3, flag == '#' ? '^' : flag); return true;
    default: return false;
    }
}

static bool time_part(fh_buf *out, const fh_template_time *t, char c, char flag)
{
    const char *half = t->hour < 12 ? "AM" : "PM";
    switch (c) {
    case 'H': number(out, t->hour, 2, '0', flag); return true;
    case 'k': number(out, t->hour, 2, ' ', flag); return true;
    case 'I': number(out, hour12(t->hour), 2, '0', flag); return true;
    case 'l': number(out, hour12(t->hour), 2, ' ', flag); return true;
    case 'M': number(out, t->minute, 2, '0', flag); return true;
    case 'S': number(out, t->second, 2, '0', flag); return true;
    case 'f': fh_buf_adds(out, "000000"); return true;
    case 'p': word(out, half, 2, flag); return true;
    case 'P': word(out, half, 2, '#'); return true;
    case 'n': fh_buf_addc(out, '\n'); return true;
    case 't': fh_buf_addc(out, '\t'); return true;
    case '%': fh_buf_addc(out, '%'); return true;
    case 'z':
    case 'Z': return true; /* a time without a zone */
    default: return false;
    }
}

static bool week_part(fh_buf *out, const fh_template_time *t, char c, char flag)
{
    int year = t->year, iso = iso_week(t, &year);
    switch (c) {
    case 'U': number(out, week(t, 6), 2, '0', flag); return true;
    case 'W': number(out, week(t, 0), 2, '0', flag); return true;
    case 'V': number(out, iso, 2, '0', flag); return true;
    case 'G': number(out, year, 0, '0', flag); return true;
    case 'g': number(out, year % 100, 2, '0', flag); return true;
    default: return false;
    }
}

static int write_time(jrun *r, fh_str format)
{
    int rc = jinja_steps(r, format.len);
    for (size_t i = 0; i < format.len && !rc; i++) {
        char c = format.ptr[i], flag = 0;
        if (c != '%' || i + 1 == format.len) {
            fh_buf_addc(&r->out, c);
            continue;
        }
        c = format.ptr[++i];
        if (jinja_one_of(c, "-_0^#") && i + 1 < format.len) {
            flag = c;
            c = format.ptr[++i];
        }
        const char *more = expansion(c);
        if (more)
            rc = write_time(r, fh_str_of(more));
        else if (!date_part(&r->out, r->now, c, flag) && !time_part(&r->out, r->now, c, flag) && !week_part(&r->out, r->now, c, flag))
            rc = jinja_fail(r, FH_E_UNSUPPORTED, "strftime_now with '%%%c' is not supported", c >= 32 && c < 127 ? c : '?');
    }
    return rc ? rc : jinja_out_check(r);
}

int jinja_strftime(jrun *r, fh_str format, jval *ret)
{
    size_t mark = jinja_mark(r);
    if (!r->now) return jinja_fail(r, FH_E_INVALID, "strftime_now is used but no time was given");
    int rc = write_time(r, format);
    return rc ? rc : jinja_cut(r, mark, ret);
}
