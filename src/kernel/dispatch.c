/* Which table of kernels this machine runs: the widest that it has, or the one that FREEHOLD_ISA names. */
#include "family.h"
#include "kernels.h"

#include <stdlib.h>
#include <string.h>

static const char *const names[FH_ISA_COUNT] = {"ref", "avx2", "avx512_vnni", "amx", "neon_dot"};

const fh_kernels *fh_kernels_get(fh_isa isa)
{
    return isa == FH_ISA_REF ? &fh_kernels_ref : fh_family_kernels(isa);
}

bool fh_isa_available(fh_isa isa)
{
    return fh_kernels_get(isa) != NULL;
}

const char *fh_isa_name(fh_isa isa)
{
    return (unsigned)isa < FH_ISA_COUNT ? names[isa] : "?";
}

fh_isa fh_isa_best(void)
{
    fh_isa isa = (fh_isa)(FH_ISA_COUNT - 1);
    while (!fh_isa_available(isa)) isa = (fh_isa)(isa - 1);
    return isa;
}

static int refuse(const char *wanted, const char *why, fh_err **err)
{
    int rc = fh_err_set(err, FH_E_USAGE, "FREEHOLD_ISA=%.32s: %s", wanted, why);
    fh_err_hint(err, "unset it to take the best that the processor has, %s", fh_isa_name(fh_isa_best()));
    return rc;
}

int fh_isa_choose(fh_isa *ret, fh_err **err)
{
    const char *wanted = getenv("FREEHOLD_ISA");
    fh_isa isa = fh_isa_best();
    if (wanted && *wanted) {
        for (isa = FH_ISA_REF; isa < FH_ISA_COUNT && strcmp(wanted, names[isa]) != 0;) isa = (fh_isa)(isa + 1);
        if (isa == FH_ISA_COUNT) return refuse(wanted, "no such instruction set, there are ref, avx2, avx512_vnni, amx and neon_dot", err);
        if (!fh_isa_available(isa)) return refuse(wanted, "this processor lacks it", err);
    }
    *ret = isa;
    return 0;
}

fh_isa fh_isa_uniform(fh_isa isa)
{
    return isa == FH_ISA_AMX ? FH_ISA_AVX512_VNNI : isa;
}
