/* Engines' rows as the gateway's terms (see engines.h). */
#include "engines.h"

#include "base/mem.h"

static uint32_t need_bit(const char *name)
{
    static const char *const names[] = {
#define FH_NEED_NAME(name, param, what) [FH_NEED_##name] = #name,
        FH_WIRE_NEED_LIST(FH_NEED_NAME)
#undef FH_NEED_NAME
    };
    for (size_t i = 0; i < FH_COUNT(names); i++)
        if (fh_str_ieq(fh_str_of(name), fh_str_of(names[i]))) return UINT32_C(1) << i;
    return 0;
}

uint32_t fh_engine_can(const fh_catalog_engine *e)
{
    uint32_t can = 0;
    for (size_t i = 0; e->can[i]; i++) can |= need_bit(e->can[i]);
    return can;
}

fh_resume fh_engine_resume(const fh_catalog_engine *e)
{
    static const fh_resume all[] = {[FH_ENGINE_RESUMES_NEVER] = FH_RESUME_NEVER,
                                    [FH_ENGINE_RESUMES_TEXT] = FH_RESUME_TEXT,
                                    [FH_ENGINE_RESUMES_TOKENS] = FH_RESUME_TOKENS};
    return all[e->resumes];
}

const fh_catalog_engine *fh_engine_owning(fh_str owned_by)
{
    for (size_t i = 0; owned_by.len && i < fh_catalog_engine_count(); i++)
        if (fh_str_eqs(owned_by, fh_catalog_engine_at(i)->owned_by)) return fh_catalog_engine_at(i);
    return NULL;
}
