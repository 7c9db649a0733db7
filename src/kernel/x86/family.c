/* x86-64: AVX2 with FMA and half floats, AVX-512 with VNNI, and tiles of AMX. */
#include "../family.h"
#include "../kernels.h"
#include "../peak.h"
#include "sys/cpu.h"

static bool has_avx2(const fh_cpu *c)
{
    return c->avx2 && c->fma && c->f16c;
}

static bool has_avx512(const fh_cpu *c)
{
    return has_avx2(c) && c->avx512f && c->avx512bw && c->avx512vl && c->avx512dq && c->avx512vnni;
}

const fh_kernels *fh_family_kernels(fh_isa isa)
{
    const fh_cpu *c = fh_cpu_get();
    switch (isa) {
    case FH_ISA_AVX2: return has_avx2(c) ? &fh_kernels_avx2 : NULL;
    case FH_ISA_AVX512_VNNI: return has_avx512(c) ? &fh_kernels_avx512 : NULL;
    case FH_ISA_AMX: return has_avx512(c) && c->avx512bf16 && c->amx_bf16 && fh_cpu_permit_amx() ? &fh_kernels_amx : NULL;
    case FH_ISA_REF:
    case FH_ISA_NEON_DOT:
    case FH_ISA_COUNT: break;
    }
    return NULL;
}

fh_peak_row fh_family_peak(fh_peak p)
{
    const fh_cpu *c = fh_cpu_get();
    if (p == FH_PEAK_AVX2 && has_avx2(c)) return (fh_peak_row){fh_peak_loop_avx2, FH_PEAK_AVX2_OPS, 4000000};
    if (p == FH_PEAK_AVX512_VNNI && has_avx512(c)) return (fh_peak_row){fh_peak_loop_avx512, FH_PEAK_AVX512_OPS, 2000000};
    if (p == FH_PEAK_AMX_INT8 && c->amx_int8 && fh_cpu_permit_amx()) return (fh_peak_row){fh_peak_loop_amx, FH_PEAK_AMX_OPS, 500000};
    return (fh_peak_row){NULL, 0, 0};
}
