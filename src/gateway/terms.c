/* Names of the classes of licences, and of what may be preferred. */
#include "gateway/ports.h"
#include "gateway/prefer.h"

static const char *const terms[FH_TERMS] = {"free", "ask", "restricted"};

const char *fh_terms_name(fh_terms t)
{
    return terms[t];
}

bool fh_terms_parse(fh_str name, fh_terms *ret)
{
    for (fh_terms t = 0; t < FH_TERMS; t++) {
        if (!fh_str_eqs(name, terms[t])) continue;
        *ret = t;
        return true;
    }
    return false;
}

static const char *const prefers[FH_PREFERS] = {"balance", "price", "speed", "energy"};

const char *fh_prefer_name(fh_prefer p)
{
    return prefers[p];
}

bool fh_prefer_parse(fh_str name, fh_prefer *ret)
{
    for (fh_prefer p = 0; p < FH_PREFERS; p++) {
        if (!fh_str_eqs(name, prefers[p])) continue;
        *ret = p;
        return true;
    }
    return false;
}
