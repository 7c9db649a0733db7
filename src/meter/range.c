/* Arithmetic of figures that are not known exactly. */
#include "meter/range.h"

#include <math.h>

fh_range fh_range_of(const fh_catalog_factor *f)
{
    return f ? (fh_range){f->low, f->value, f->high} : fh_range_exactly((double)NAN);
}

fh_range fh_range_exactly(double v)
{
    return (fh_range){v, v, v};
}

bool fh_range_is_known(fh_range r)
{
    return !isnan(r.mid);
}

fh_range fh_range_add(fh_range a, fh_range b)
{
    return (fh_range){a.low + b.low, a.mid + b.mid, a.high + b.high};
}

fh_range fh_range_mul(fh_range a, fh_range b)
{
    return (fh_range){a.low * b.low, a.mid * b.mid, a.high * b.high};
}

fh_range fh_range_div(fh_range a, fh_range by)
{
    return (fh_range){a.low / by.high, a.mid / by.mid, a.high / by.low};
}

fh_range fh_range_scale(fh_range a, double by)
{
    return (fh_range){a.low * by, a.mid * by, a.high * by};
}

fh_range fh_range_span(fh_range a, fh_range b)
{
    return (fh_range){fmin(a.low, b.low), a.mid, fmax(a.high, b.high)};
}
