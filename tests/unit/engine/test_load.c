/* Opening a model: what is read right, and what is refused with a name and a reason. */
#include "fixture.h"
#include "torture.h"

#include <math.h>

static int open_tiny(const tiny_gguf *t, const char *name, fh_engine_options o, fh_engine **ret, fh_err **err)
{
    o.model_path = write_tiny(t, name);
    o.threads = 2;
    return fh_engine_open(ret, &o, err);
}

static void refused(const tiny_gguf *t, const char *name, int code, const char *word)
{
    fh_engine *e = NULL;
    fh_err *err = NULL;
    assert_int_equal(open_tiny(t, name, (fh_engine_options){0}, &e, &err), code);
    assert_null(e);
    assert_non_null(strstr(fh_err_message(err), word));
    fh_err_free(err);
}

static void a_model_tells_what_it_is(void **state)
{
    (void)state;
    tiny_gguf t;
    tiny_gguf_default(&t);
    FH_AUTO(fh_engine) fh_engine *e = NULL;
    fh_err *err = NULL;
    no_error(open_tiny(&t, "plain", (fh_engine_options){.parallel = 3}, &e, &err), err);
    const fh_engine_info *i = fh_engine_info_get(e);
    assert_string_equal(i->architecture, "llama");
    assert_string_equal(i->name, "tiny");
    assert_int_equal(i->context_tok, 256);
    assert_int_equal(i->parallel, 3);
    assert_int_equal(i->vocab_size, TINY_VOCAB);
    assert_int_equal(i->kv_bytes, 2u * 2 * 3 * 256 * 32 * 2);
    assert_non_null(fh_engine_template(e));
}

static void logits_of(const tiny_gguf *t, const char *name, float out[24 * TINY_VOCAB])
{
    FH_AUTO(fh_engine) fh_engine *e = NULL;
    fh_err *err = NULL;
    fh_token ids[24];
    for (int i = 0; i < 24; i++) ids[i] = i * 11 % 256;
    no_error(open_tiny(t, name, (fh_engine_options){0}, &e, &err), err);
    no_error(fh_engine_eval(e, ids, 24, 0, keep_row, out, &err), err);
}

static void a_split_file_computes_as_a_whole_one(void **state)
{
    (void)state;
    static float whole[24 * TINY_VOCAB], split[24 * TINY_VOCAB];
    tiny_gguf t;
    tiny_gguf_default(&t);
    t.type = TINY_Q8_0;
    logits_of(&t, "whole", whole);
    t.files = 3;
    logits_of(&t, "split", split);
    assert_memory_equal(whole, split, sizeof whole);
}

static void what_is_not_known_is_named(void **state)
{
    (void)state;
    tiny_gguf t;
    tiny_gguf_default(&t);
    t.architecture = "mamba9";
    refused(&t, "arch", FH_E_UNSUPPORTED, "mamba9");
    tiny_gguf_default(&t);
    t.rope_scaling = "longrope";
    refused(&t, "rope", FH_E_UNSUPPORTED, "longrope");
    tiny_gguf_default(&t);
    t.extra_tensor = "blk.0.attn_q.bias";
    refused(&t, "bias", FH_E_UNSUPPORTED, "blk.0.attn_q.bias");
}

static void a_missing_or_misshapen_tensor_is_named(void **state)
{
    (void)state;
    tiny_gguf t;
    tiny_gguf_default(&t);
    t.skip_layer_tensor = 2;
    refused(&t, "missing", FH_E_CORRUPT, "blk.0.attn_k.weight");
    tiny_gguf_default(&t);
    t.kv_heads = 3; /* 4 heads are no multiple of it */
    refused(&t, "heads", FH_E_CORRUPT, "head_count");
    tiny_gguf_default(&t);
    t.architecture = "qwen2";
    t.extra_tensor = "blk.0.attn_output.bias";
    refused(&t, "output-bias", FH_E_UNSUPPORTED, "blk.0.attn_output.bias");
}

static void experts_that_cannot_be_computed_are_named(void **state)
{
    (void)state;
    tiny_gguf t;
    tiny_gguf_default(&t);
    t.architecture = "qwen3moe";
    t.head_dim = 32;
    t.skip_layer_tensor = 6;
    refused(&t, "expert", FH_E_CORRUPT, "blk.0.ffn_up_exps.weight");
    t.skip_layer_tensor = 0;
    t.extra_tensor = "blk.0.ffn_gate_up_exps.weight";
    refused(&t, "fused", FH_E_UNSUPPORTED, "gate and up in one");
    t.extra_tensor = NULL;
    t.ff = 40;
    refused(&t, "narrow", FH_E_UNSUPPORTED, "qwen3moe.expert_feed_forward_length 40");
    t.ff = 64;
    t.experts_used = 9;
    refused(&t, "used", FH_E_CORRUPT, "qwen3moe.expert_used_count");
    t.experts_used = 8;
    t.expert_gating = 2;
    refused(&t, "gating", FH_E_UNSUPPORTED, "qwen3moe.expert_gating_func");
}

static void a_context_beyond_the_model_or_the_memory_is_refused(void **state)
{
    (void)state;
    tiny_gguf t;
    tiny_gguf_default(&t);
    t.context = 1 << 20;
    fh_engine *e = NULL;
    fh_err *err = NULL;
    fh_engine_options o = {.memory_limit_bytes = 64 << 20, .context_tok = 1 << 20};
    assert_int_equal(open_tiny(&t, "memory", o, &e, &err), FH_E_NOMEM);
    assert_non_null(strstr(fh_err_hint_get(err), "--context"));
    o = (fh_engine_options){.context_tok = 1 << 21};
    assert_int_equal(open_tiny(&t, "context", o, &e, &err), FH_E_USAGE);
    fh_err_free(err);
    err = NULL;
    o = (fh_engine_options){.memory_limit_bytes = 32 << 20, .parallel = 64};
    no_error(open_tiny(&t, "lowered", o, &e, &err), err);
    assert_in_range(fh_engine_info_get(e)->context_tok, 64, FH_ENGINE_CONTEXT_DEFAULT - 1);
    fh_engine_close(e);
}

static void a_cache_of_fewer_bits_is_smaller_and_counted_so(void **state)
{
    (void)state;
    static const char *const names[] = {"f16", "q8_0", "q4_0"};
    static const uint64_t block_bytes[] = {64, 34, 18};
    tiny_gguf t;
    tiny_gguf_default(&t);
    t.head_dim = 32;
    t.context = 1 << 20;
    uint32_t lowered[3];
    fh_err *err = NULL;
    for (size_t i = 0; i < 3; i++) {
        fh_engine *e = NULL;
        fh_engine_options o = {.context_tok = 1000, .parallel = 1};
        no_error(fh_engine_kv_parse(names[i], &o.kv, &err), err);
        no_error(open_tiny(&t, "kv", o, &e, &err), err);
        assert_string_equal(fh_engine_info_get(e)->kv_type, names[i]);
        assert_int_equal(fh_engine_info_get(e)->kv_bytes, 2 * 2 * 2 * block_bytes[i] * 1024); /* layers, both, heads, tokens */
        fh_engine_close(e);
        o = (fh_engine_options){.memory_limit_bytes = 32 << 20, .parallel = 16, .kv = o.kv};
        no_error(open_tiny(&t, "kv-lowered", o, &e, &err), err);
        lowered[i] = fh_engine_info_get(e)->context_tok;
        fh_engine_close(e);
    }
    assert_true(lowered[0] < lowered[1] && lowered[1] < lowered[2]);
}

/* MiB that an engine says to need beside weights and cache. */
static double besides(const tiny_gguf *t, fh_engine_options o)
{
    fh_engine *e = NULL;
    fh_err *err = NULL;
    double mib = 0;
    o.model_path = write_tiny(t, "besides");
    o.context_tok = 32768;
    o.memory_limit_bytes = 1;
    assert_int_equal(fh_engine_open(&e, &o, &err), FH_E_NOMEM);
    const char *at = strstr(fh_err_message(err), "for the cache and ");
    assert_non_null(at);
    assert_int_equal(sscanf(at, "for the cache and %lf MiB besides", &mib), 1);
    fh_err_free(err);
    return mib;
}

static void guesses_and_attention_are_counted_too(void **state)
{
    (void)state;
    tiny_gguf t;
    tiny_gguf_default(&t);
    t.context = 32768;
    t.heads = 32;
    t.kv_heads = 1;
    t.head_dim = 256;
    fh_engine_options plain = {.parallel = 64, .threads = 64, .deterministic = true, .drafts = FH_DRAFTS_NEVER}, drafts = plain,
                      split = plain;
    drafts.drafts = FH_DRAFTS_PAYING;
    split.deterministic = false;
    double least = besides(&t, plain);
    assert_true(fabs(besides(&t, drafts) - least - 64.0 * 32768 * 8 / (1 << 20)) <= 1); /* an index of two numbers a token */
    assert_true(fabs(besides(&t, split) - least - 64.0 * 32 * FH_ATTN_SPLIT_QUERIES * 258 * 4 / (1 << 20)) <= 1);
}

static void a_cache_that_cannot_be_is_refused(void **state)
{
    (void)state;
    tiny_gguf t;
    tiny_gguf_default(&t); /* heads of 16 */
    fh_engine *e = NULL;
    fh_engine_kv kv;
    fh_err *err = NULL;
    assert_int_equal(open_tiny(&t, "heads", (fh_engine_options){.kv = FH_ENGINE_KV_Q8_0}, &e, &err), FH_E_USAGE);
    assert_non_null(strstr(fh_err_message(err), "heads of this model are 16"));
    fh_err_free(err);
    err = NULL;
    assert_int_equal(fh_engine_kv_parse("q5_0", &kv, &err), FH_E_USAGE);
    assert_non_null(strstr(fh_err_message(err), "q5_0"));
    fh_err_free(err);
}

static void loading_reports_progress_and_can_be_given_up(void **state)
{
    (void)state;
    tiny_gguf t;
    tiny_gguf_default(&t);
    fh_engine *e = NULL;
    fh_err *err = NULL;
    _Atomic bool cancel = true;
    assert_int_equal(open_tiny(&t, "cancel", (fh_engine_options){.cancel = &cancel}, &e, &err), FH_E_CANCELLED);
    fh_err_free(err);
}

static void a_model_without_chat_template_opens(void **state)
{
    (void)state;
    tiny_gguf t;
    tiny_gguf_default(&t);
    t.chat_template = "";
    FH_AUTO(fh_engine) fh_engine *e = NULL;
    fh_err *err = NULL;
    no_error(open_tiny(&t, "bare", (fh_engine_options){0}, &e, &err), err);
    assert_null(fh_engine_template(e));
}

static int open_and_close(void *arg)
{
    fh_engine *e = NULL;
    fh_err *err = NULL;
    fh_engine_options o = {.model_path = arg, .threads = 1, .context_tok = 64, .parallel = 1};
    int rc = fh_engine_open(&e, &o, &err);
    if (rc) assert_non_null(err);
    fh_engine_close(e);
    fh_err_free(err);
    return rc;
}

static void opening_survives_every_allocation_that_fails(void **state)
{
    (void)state;
    tiny_gguf t;
    tiny_gguf_default(&t);
    t.layers = 1;
    t.head_dim = 32;
    char path[600];
    for (unsigned i = 0; i < 2; i++) {
        t.architecture = i ? "llama" : "qwen3moe";
        snprintf(path, sizeof path, "%s", write_tiny(&t, "torture"));
        assert_true(fh_torture(FH_FAULT_ALLOC, open_and_close, path, 5000) > 20);
    }
    assert_true(fh_torture(FH_FAULT_OPEN, open_and_close, path, 100) > 0);
}

static int submit_only(void *arg)
{
    fh_token ids[] = {1, 2, 3};
    fh_str stops[] = {FH_STR("stop")};
    fh_gen *g = NULL;
    fh_gen_request q = request_of(ids, 3);
    q.stops = stops;
    q.stop_count = 1;
    int rc = fh_engine_submit(arg, &q, &g, NULL);
    fh_gen_release(g);
    return rc;
}

static void submitting_survives_every_allocation_that_fails(void **state)
{
    (void)state;
    tiny_gguf t;
    tiny_gguf_default(&t);
    FH_AUTO(fh_engine) fh_engine *e = NULL;
    no_error(open_tiny(&t, "submit", (fh_engine_options){0}, &e, NULL), NULL);
    assert_true(fh_torture(FH_FAULT_ALLOC, submit_only, e, 1000) > 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_model_tells_what_it_is),
        cmocka_unit_test(a_split_file_computes_as_a_whole_one),
        cmocka_unit_test(what_is_not_known_is_named),
        cmocka_unit_test(a_missing_or_misshapen_tensor_is_named),
        cmocka_unit_test(experts_that_cannot_be_computed_are_named),
        cmocka_unit_test(a_context_beyond_the_model_or_the_memory_is_refused),
        cmocka_unit_test(a_cache_of_fewer_bits_is_smaller_and_counted_so),
        cmocka_unit_test(a_cache_that_cannot_be_is_refused),
        cmocka_unit_test(guesses_and_attention_are_counted_too),
        cmocka_unit_test(loading_reports_progress_and_can_be_given_up),
        cmocka_unit_test(a_model_without_chat_template_opens),
        cmocka_unit_test(opening_survives_every_allocation_that_fails),
        cmocka_unit_test(submitting_survives_every_allocation_that_fails),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
