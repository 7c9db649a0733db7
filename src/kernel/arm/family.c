/* arm64: NEON with dot products of bytes (optional in Armv8.2, always there from 8.4 on); processors without run the reference. */
#include "../family.h"
#include "../kernels.h"
#include "../peak.h"
#include "sys/cpu.h"

const fh_kernels *fh_family_kernels(fh_isa isa)
{
    return isa == FH_ISA_NEON_DOT && fh_cpu_get()->dotprod ? &fh_kernels_neon : NULL;
}

fh_peak_row fh_family_peak(fh_peak p)
{
    bool here = p == FH_PEAK_NEON_DOT && fh_cpu_get()->dotprod;
    return here ? (fh_peak_row){fh_peak_loop_neon, FH_PEAK_NEON_OPS, 4000000} : (fh_peak_row){NULL, 0, 0};
}
