/* Regions and lists of them (see region.h). */
#include "gateway/region.h"

#include "base/mem.h"
#include <stdio.h>
#include <string.h>

bool fh_region_is(fh_str name)
{
    return fh_str_is_label(name);
}

fh_str fh_regions_at(const char *list, size_t n)
{
    size_t len;
    for (; (len = strcspn(list, ",")) && n; n--) list += len + (list[len] == ',');
    return (fh_str){list, len};
}

bool fh_regions_hold(const char *list, const char *region)
{
    fh_str one;
    for (size_t i = 0; region && (one = fh_regions_at(list, i)).len; i++)
        if (fh_str_eqs(one, region)) return true;
    return false;
}

int fh_regions_add(char list[FH_LIMIT_REGIONS_BYTES], fh_str name, fh_err **err)
{
    char label[FH_REGION_CHARS];
    size_t used = strlen(list);
    if (!fh_region_is(name)) {
        fh_err_set(err, FH_E_INVALID, "'%.*s' is no name of a region", (int)FH_MIN(name.len, (size_t)64), name.ptr ? name.ptr : "");
        fh_err_hint(err, "a region has 1 to %d small letters, digits and dashes, as eu-west-1", FH_REGION_CHARS - 1);
        return FH_E_INVALID;
    }
    snprintf(label, sizeof label, "%.*s", (int)name.len, name.ptr);
    if (fh_regions_hold(list, label)) return 0; /* said twice */
    if (used + (used > 0) + name.len >= FH_LIMIT_REGIONS_BYTES)
        return fh_err_set(err, FH_E_INVALID, "the names of regions have %d bytes together, and '%s' goes beyond that",
                          FH_LIMIT_REGIONS_BYTES - 1, label);
    snprintf(list + used, FH_LIMIT_REGIONS_BYTES - used, "%s%s", used ? "," : "", label);
    return 0;
}

int fh_regions_parse(fh_str text, char ret[FH_LIMIT_REGIONS_BYTES], fh_err **err)
{
    char list[FH_LIMIT_REGIONS_BYTES] = "";
    int rc = 0;
    for (bool more = true; !rc && more;) {
        size_t comma = fh_str_find(text, FH_STR(","));
        more = comma < text.len;
        rc = fh_regions_add(list, fh_str_trim((fh_str){text.ptr, comma}), err);
        text = more ? (fh_str){text.ptr + comma + 1, text.len - comma - 1} : (fh_str){NULL, 0};
    }
    if (!rc) memcpy(ret, list, sizeof list);
    return rc;
}
