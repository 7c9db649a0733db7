/* Hours in which a machine may be used. */
#include "base/mem.h"
#include "node/owner.h"

#include <stdio.h>
#include <string.h>

enum { DAY_MIN = 1440, EVERY_DAY = 0x7f };

/* "mon": 1, as struct tm counts; -1 for what is no day. */
static int read_day(fh_str s)
{
    static const char *const names[] = {"sun", "mon", "tue", "wed", "thu", "fri", "sat"};
    for (int i = 0; i < (int)FH_COUNT(names); i++)
        if (fh_str_eqs(s, names[i])) return i;
    return -1;
}

/* "mon", "fri-sun". */
static bool read_days(fh_str s, unsigned *ret)
{
    size_t dash = fh_str_find(s, FH_STR("-"));
    int first = read_day((fh_str){s.ptr, dash});
    int last = dash < s.len ? read_day((fh_str){s.ptr + dash + 1, s.len - dash - 1}) : first;
    if (first < 0 || last < 0) return false;
    *ret = 1u << first;
    for (int day = first; day != last;) *ret |= 1u << (day = (day + 1) % 7);
    return true;
}

/* "07:30", up to "24:00". */
static bool read_minute(fh_str s, int *ret)
{
    uint64_t hour, minute;
    if (s.len != 5 || s.ptr[2] != ':' || !fh_str_u64((fh_str){s.ptr, 2}, 24, &hour) || !fh_str_u64((fh_str){s.ptr + 3, 2}, 59, &minute))
        return false;
    *ret = (int)(hour * 60 + minute);
    return *ret <= DAY_MIN;
}

/* "mon-fri 18:00-08:00". */
static bool read_range(fh_str s, fh_node_range *r)
{
    size_t blank = fh_str_find(s, FH_STR(" "));
    r->days = EVERY_DAY;
    if (blank < s.len) {
        if (!read_days((fh_str){s.ptr, blank}, &r->days)) return false;
        s = fh_str_trim((fh_str){s.ptr + blank, s.len - blank});
    }
    return s.len == 11 && s.ptr[5] == '-' && read_minute((fh_str){s.ptr, 5}, &r->from_min) && r->from_min < DAY_MIN &&
           read_minute((fh_str){s.ptr + 6, 5}, &r->to_min);
}

int fh_node_hours_parse(fh_str text, fh_node_hours *ret, fh_err **err)
{
    fh_node_hours h = {0};
    bool good = text.len < sizeof h.text;
    if (good) snprintf(h.text, sizeof h.text, "%.*s", (int)text.len, text.len ? text.ptr : "");
    for (bool more = true; good && more;) {
        size_t comma = fh_str_find(text, FH_STR(","));
        more = comma < text.len;
        good = h.count < FH_NODE_RANGES && read_range(fh_str_trim((fh_str){text.ptr, comma}), &h.range[h.count]);
        h.count++;
        text = (fh_str){text.ptr + comma + more, text.len - comma - more};
    }
    if (!good) {
        fh_err_set(err, FH_E_INVALID, "these are no hours");
        fh_err_hint(err, "for example 22:00-07:00, or \"mon-fri 18:00-08:00,sat-sun 00:00-24:00\": up to %d ranges", FH_NODE_RANGES);
        return FH_E_INVALID;
    }
    *ret = h;
    return 0;
}

static bool in_range(const fh_node_range *r, int day, int minute)
{
    bool today = r->days >> day & 1, yesterday = r->days >> ((day + 6) % 7) & 1;
    if (r->from_min < r->to_min) return today && minute >= r->from_min && minute < r->to_min;
    return (today && minute >= r->from_min) || (yesterday && minute < r->to_min);
}

bool fh_node_hours_open(const fh_node_hours *h, const struct tm *local)
{
    bool open = h->count == 0;
    for (size_t i = 0; i < h->count; i++) open = open || in_range(&h->range[i], local->tm_wday, local->tm_hour * 60 + local->tm_min);
    return open;
}
