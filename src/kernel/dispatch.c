/* Which table of kernels this machine runs: the widest that it has, or the one that FREEHOLD_ISA names. */
#include "kernels.h"
#include "base/log.h"
#include "sys/cpu.h"

#include <stdlib.h>
#include <string.h>

static const fh_kernels *const tables[FH_ISA_COUNT] = {
    [FH_ISA_REF] = &fh_kernels_ref,
#if defined(__x86_64__)
    [FH_ISA_AVX2] = &fh_kernels_avx2,
    [FH_ISA_AVX512_VNNI] = &fh_kernels_avx512,
#endif
};

static const char *const names[FH_ISA_COUNT] = {"ref", "avx2", "avx512_vnni"};

bool fh_isa_available(fh_isa isa)
{
    const fh_cpu *c = fh_cpu_get();
    bool avx2 = c->avx2 && c->fma && c->f16c;
    switch (isa) {
    case FH_ISA_REF: return true;
    case FH_ISA_AVX2: return tables[isa] && avx2;
    case FH_ISA_AVX512_VNNI: return tables[isa] && avx2 && c->avx512f && c->avx512bw && c->avx512vl && c->avx512dq && c->avx512vnni;
    case FH_ISA_COUNT: break;
    }
    return false;
}

const char *fh_isa_name(fh_isa isa)
{
    return (unsigned)isa < FH_ISA_COUNT ? names[isa] : "?";
}

static bool isa_wanted(fh_isa *ret)
{
    const char *wanted = getenv("FREEHOLD_ISA");
    if (!wanted || !*wanted) return false;
    for (unsigned i = 0; i < FH_ISA_COUNT; i++) {
        if (strcmp(wanted, names[i]) != 0) continue;
        *ret = (fh_isa)i;
        if (fh_isa_available(*ret)) return true;
        fh_log(FH_LOG_WARN, "kernel", "FREEHOLD_ISA=%s: this processor lacks it; taking the best that it has", wanted);
        return false;
    }
    fh_log(FH_LOG_WARN, "kernel", "FREEHOLD_ISA=%s: no such instruction set, there are ref, avx2 and avx512_vnni; taking the best", wanted);
    return false;
}

fh_isa fh_isa_best(void)
{
    fh_isa isa;
    if (isa_wanted(&isa)) return isa;
    for (isa = (fh_isa)(FH_ISA_COUNT - 1); !fh_isa_available(isa); isa = (fh_isa)(isa - 1)) {
    }
    return isa;
}

const fh_kernels *fh_kernels_get(fh_isa isa)
{
    return fh_isa_available(isa) ? tables[isa] : NULL;
}
