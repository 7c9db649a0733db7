/* Processors that no fast kernels are written for: the reference is all there is. */
#include "../family.h"

const fh_kernels *fh_family_kernels(fh_isa isa)
{
    (void)isa;
    return NULL;
}

fh_peak_row fh_family_peak(fh_peak p)
{
    (void)p;
    return (fh_peak_row){NULL, 0, 0};
}
