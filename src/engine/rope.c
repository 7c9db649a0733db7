/* Rotary position embedding: the inverse frequencies theta_i = base^(-2i/r), i < r/2, with the file's scaling in them.
 *
 * Sources: linear (kaiokendev's interpolation), YaRN (arXiv:2309.00071) with its bounds rounded outwards, Llama 3.1 (divisors in tensor
 * rope_freqs). LongRoPE needs a choice by prompt length and is refused by name. */
#include "model.h"

#include <math.h>

typedef struct scaling {
    fh_str type;
    double base, factor, beta_fast, beta_slow, attn_factor;
    uint32_t original_tok;
} scaling;

static int read_scaling(const fh_load *l, scaling *s, fh_err **err)
{
    *s = (scaling){.type = FH_STR("none"), .base = 10000, .factor = 1, .beta_fast = 32, .beta_slow = 1, .attn_factor = 1};
    int rc = fh_load_f32_optional(l, "rope.freq_base", 1e-3, 1e12, &s->base, err);
    if (!rc) rc = fh_load_f32_optional(l, "rope.scale_linear", 0, 1e6, &s->factor, err); /* an older spelling */
    if (!rc && s->factor > 0 && s->factor != 1) s->type = FH_STR("linear");
    if (!rc) rc = fh_load_str_optional(l, "rope.scaling.type", &s->type, err);
    if (!rc) rc = fh_load_f32_optional(l, "rope.scaling.factor", 0, 1e6, &s->factor, err);
    if (!rc) rc = fh_load_u32_optional(l, "rope.scaling.original_context_length", 1, UINT32_MAX, &s->original_tok, err);
    if (!rc) rc = fh_load_f32_optional(l, "rope.scaling.attn_factor", 1e-3, 1e3, &s->attn_factor, err);
    if (!rc) rc = fh_load_f32_optional(l, "rope.scaling.yarn_beta_fast", 1e-3, 1e6, &s->beta_fast, err);
    if (!rc) rc = fh_load_f32_optional(l, "rope.scaling.yarn_beta_slow", 1e-3, 1e6, &s->beta_slow, err);
    if (!rc && s->factor == 0) s->factor = 1; /* 0 means "none" in files */
    return rc;
}

/* The dimension that turns `turns` times over the original context. */
static double turning_dim(const scaling *s, uint32_t dims, double turns)
{
    return dims * log(s->original_tok / (turns * 2 * M_PI)) / (2 * log(s->base));
}

static void scale_yarn(const scaling *s, uint32_t dims, float *inv)
{
    double low = fmax(floor(turning_dim(s, dims, s->beta_fast)), 0), high = fmin(ceil(turning_dim(s, dims, s->beta_slow)), dims - 1);
    if (high <= low) high = low + 0.001;
    for (uint32_t i = 0; i < dims / 2; i++) {
        double ramp = fmin(fmax((i - low) / (high - low), 0), 1);
        double theta = pow(s->base, -2.0 * i / dims);
        inv[i] = (float)(theta * (1 - ramp) + theta / s->factor * ramp);
    }
}

static int apply(const fh_load *l, const scaling *s, uint32_t dims, float *inv, float *ret_mscale, fh_err **err)
{
    *ret_mscale = 1;
    if (fh_str_eqs(s->type, "none") || s->factor == 1) return 0;
    if (fh_str_eqs(s->type, "linear")) {
        for (uint32_t i = 0; i < dims / 2; i++) inv[i] = (float)((double)inv[i] / s->factor);
        return 0;
    }
    if (!fh_str_eqs(s->type, "yarn"))
        return fh_err_set(err, FH_E_UNSUPPORTED, "%.*s.rope.scaling.type is '%.*s'; this engine knows none, linear and yarn",
                          (int)l->arch.len, l->arch.ptr, (int)FH_MIN(s->type.len, (size_t)32), s->type.ptr);
    if (s->original_tok == 0)
        return fh_err_set(err, FH_E_CORRUPT, "%.*s.rope.scaling.original_context_length is missing, which yarn needs", (int)l->arch.len,
                          l->arch.ptr);
    if (s->base <= 1)
        return fh_err_set(err, FH_E_CORRUPT, "%.*s.rope.freq_base is %g, which yarn cannot scale", (int)l->arch.len, l->arch.ptr, s->base);
    scale_yarn(s, dims, inv);
    *ret_mscale = (float)(s->attn_factor * (0.1 * log(s->factor) + 1));
    return 0;
}

int fh_rope_inv_freq(const fh_load *l, uint32_t dims, const float *factors, float **ret, float *ret_mscale, fh_err **err)
{
    scaling s;
    int rc = read_scaling(l, &s, err);
    if (rc) return rc;
    FH_AUTO(ptr) float *inv = fh_alloc_aligned(64, FH_MAX(dims / 2, 1u) * sizeof *inv);
    if (!inv) return fh_err_nomem(err);
    for (uint32_t i = 0; i < dims / 2; i++) inv[i] = (float)pow(s.base, -2.0 * i / dims);
    rc = apply(l, &s, dims, inv, ret_mscale, err);
    if (rc) return rc;
    for (uint32_t i = 0; factors && i < dims / 2; i++) {
        if (!(factors[i] > 0)) return fh_err_set(err, FH_E_CORRUPT, "tensor rope_freqs.weight holds a divisor that is not above zero");
        inv[i] /= factors[i];
    }
    *ret = fh_take(inv);
    return 0;
}
