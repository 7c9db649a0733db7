/* Formats, each as a pattern: a part of what the format allows that every validator takes (no 29th of February, no leap second, hosts and
 * addresses in the forms that all agree on). Sources: RFC 3339, 5321, 1123, 4291, 9562, 3986; ISO 8601 as RFC 3339 appendix A has it. */
#include "json_schema_private.h"

#define YEAR  "(19|20)[0-9]{2}"
#define DATE  YEAR "-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|1[0-9]|2[0-8]))"
#define CLOCK "([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,6})?"
#define TIME  CLOCK "(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])"
#define LABEL "[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?"
#define HOST  "(" LABEL "\\.){0,3}[a-z]([a-z0-9-]{0,30}[a-z0-9])?"
#define BYTE  "(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
#define H16   "[0-9a-f]{1,4}"
#define DAYS  "[0-9]{1,3}D"
#define HOURS "T([0-9]{1,3}H([0-9]{1,2}M([0-9]{1,2}S)?)?|[0-9]{1,3}M([0-9]{1,2}S)?|[0-9]{1,3}S)"
#define SAFE  "[A-Za-z0-9_.~-]"

static const struct format {
    const char *name, *pattern;
} formats[] = {
    {"date", "^" DATE "$"},
    {"time", "^" TIME "$"},
    {"date-time", "^" DATE "T" TIME "$"},
    {"uuid", "^[0-9a-f]{8}-[0-9a-f]{4}-[1-5][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$"},
    {"email", "^[A-Za-z0-9]{1,20}([._+-][A-Za-z0-9]{1,10}){0,3}@(" LABEL "\\.){1,3}[a-z]{2,10}$"},
    {"hostname", "^" HOST "$"},
    {"ipv4", "^" BYTE "(\\." BYTE "){3}$"},
    {"ipv6", "^((" H16 ":){7}" H16 "|(" H16 ":){1,6}:" H16 "|::" H16 "|::)$"},
    {"duration",
     "^P([0-9]{1,3}W|[0-9]{1,3}Y([0-9]{1,2}M(" DAYS ")?)?(" HOURS ")?|[0-9]{1,3}M(" DAYS ")?(" HOURS ")?|" DAYS "(" HOURS ")?|" HOURS ")$"},
    {"uri", "^https?://" HOST "(:[1-9][0-9]{0,3})?(/" SAFE "{1,20}){0,6}/?(\\?" SAFE "{1,20}(=" SAFE "{0,20})?)?(#" SAFE "{0,20})?$"},
};

const char *schema_format_pattern(fh_str format)
{
    for (size_t i = 0; i < FH_COUNT(formats); i++)
        if (fh_str_eqs(format, formats[i].name)) return formats[i].pattern;
    return NULL;
}
