/* Opening a model: the file, the family, the weights, the cache and the buffers of a step. */
#include "engine_private.h"
#include "kernel/speed.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static int find_family(fh_engine *e, const fh_load *l, fh_err **err)
{
    e->model.family = fh_family_find(l->arch);
    if (e->model.family) return 0;
    FH_AUTO(buf) fh_buf known = FH_BUF(256);
    fh_family_list(&known);
    fh_err_set(err, FH_E_UNSUPPORTED, "architecture '%.*s' is not one that this engine computes (%s)", (int)l->arch.len, l->arch.ptr,
               fh_buf_cstr(&known));
    fh_err_hint(err, "run this model with an external engine such as llama.cpp or vLLM");
    return FH_E_UNSUPPORTED;
}

/* How replies are read: found by asking the template. */
static int open_toolfmt(fh_engine *e, fh_str source, fh_err **err)
{
    fh_token bos = fh_vocab_bos(e->vocab), eos = fh_vocab_eos(e->vocab);
    size_t tokens = fh_vocab_size(e->vocab);
    fh_toolfmt_source s = {.compiled = e->chat_template, .source = source, .vocab = e->vocab};
    if (bos != FH_TOKEN_NONE) s.bos = fh_vocab_piece(e->vocab, bos);
    if (eos != FH_TOKEN_NONE) s.eos = fh_vocab_piece(e->vocab, eos);
    e->shown = fh_calloc(tokens / 64 + 1, sizeof *e->shown);
    if (!e->shown) return fh_err_nomem(err);
    int rc = fh_toolfmt_detect(&e->toolfmt, &s, err);
    for (size_t i = 0; !rc && i < tokens; i++)
        if (fh_vocab_is_control(e->vocab, (fh_token)i) && fh_toolfmt_wants(e->toolfmt, fh_vocab_piece(e->vocab, (fh_token)i)))
            e->shown[i / 64] |= (uint64_t)1 << (i % 64);
    return rc;
}

static int open_vocab(fh_engine *e, fh_err **err)
{
    int rc = fh_vocab_new(&e->vocab, e->gguf, err);
    if (!rc) rc = fh_specials_new(&e->specials, e->gguf, e->vocab, err);
    if (rc) return rc;
    fh_str source = {"", 0};
    bool has = fh_gguf_find(e->gguf, "tokenizer.chat_template") != NULL;
    if (has) rc = fh_gguf_get_str(e->gguf, "tokenizer.chat_template", &source, err);
    if (!rc && has) rc = fh_template_compile(&e->chat_template, source, err);
    if (!rc) rc = open_toolfmt(e, source, err);
    return rc ? rc : fh_grammars_new(&e->grammars, e->vocab, fh_vocab_size(e->vocab), err);
}

/* The tokenizer and what is made of it take a processor as long as a gigabyte of kept weights takes the disk: a thread makes them
 * meanwhile. */
typedef struct vocab_maker {
    fh_engine *engine;
    pthread_t thread;
    bool runs;
    int rc;
    fh_err *err; /* owned */
} vocab_maker;

static void *make_vocab(void *arg)
{
    vocab_maker *m = arg;
    m->rc = open_vocab(m->engine, &m->err);
    return NULL;
}

static int begin_vocab(vocab_maker *m, fh_err **err)
{
    m->runs = pthread_create(&m->thread, NULL, make_vocab, m) == 0;
    return m->runs ? 0 : fh_err_set(err, FH_E_UNAVAILABLE, "no thread could be started to read the vocabulary");
}

/* What was wrong before counts first. */
static int end_vocab(vocab_maker *m, int rc, fh_err **err)
{
    if (m->runs) pthread_join(m->thread, NULL);
    if (!rc && m->rc) fh_err_move(err, &m->err);
    fh_err_free(m->err);
    return rc ? rc : m->rc;
}

static int check_vocab(const fh_engine *e, fh_err **err)
{
    size_t tokens = fh_vocab_size(e->vocab);
    if (tokens == e->model.shape.vocab) return 0;
    return fh_err_set(err, FH_E_CORRUPT, "tokenizer.ggml.tokens has %zu entries, but token_embd.weight has %u rows", tokens,
                      e->model.shape.vocab);
}

static void read_name(fh_engine *e)
{
    fh_str name;
    if (!fh_gguf_find(e->gguf, "general.name") || fh_gguf_get_str(e->gguf, "general.name", &name, NULL) != 0) return;
    size_t len = fh_utf8_whole(name.ptr, FH_MIN(name.len, sizeof e->name - 1));
    if (fh_utf8_valid(name.ptr, len)) memcpy(e->name, name.ptr, len);
}

/* ---- open and close ---- */

static int make_buffers(fh_engine *e, fh_err **err)
{
    size_t batch = e->info.batch_tok, seqs = e->info.parallel, rows = e->logit_rows, bytes;
    if (fh_mul_overflows(rows * sizeof(float), e->model.shape.vocab, &bytes)) return fh_err_nomem(err);
    e->slots = fh_calloc(seqs, sizeof *e->slots);
    e->ids = fh_calloc(batch, sizeof *e->ids);
    e->pos = fh_calloc(batch, sizeof *e->pos);
    e->seqs = fh_calloc(seqs, sizeof *e->seqs);
    e->shares = fh_calloc(seqs, sizeof *e->shares);
    e->out = fh_calloc(rows, sizeof *e->out);
    e->logits = fh_alloc_aligned(64, bytes);
    if (fh_mul_overflows(batch * sizeof(float), e->model.shape.embd, &bytes)) return fh_err_nomem(err);
    e->state_rows = fh_calloc(batch, sizeof *e->state_rows);
    e->states = fh_alloc_aligned(64, bytes);
    e->hidden = fh_alloc_aligned(64, bytes);
    e->sampled = fh_calloc(rows, sizeof *e->sampled);
    e->groups = fh_calloc(seqs, sizeof *e->groups);
    e->wishes = fh_calloc(seqs, sizeof *e->wishes);
    if (!e->slots || !e->shares || !e->ids || !e->pos || !e->seqs || !e->out || !e->logits || !e->sampled || !e->groups || !e->wishes ||
        !e->state_rows || !e->states || !e->hidden)
        return fh_err_nomem(err);
    int rc = fh_prefix_new(&e->prefix, &e->model.kv, e->spill, err);
    for (size_t i = 0; i < seqs && !rc; i++) rc = fh_kv_seq_init(&e->slots[i].kv, e->info.context_tok, err);
    return rc;
}

static int make_weights(fh_engine *e, const fh_engine_options *o, fh_load *l, fh_err **err)
{
    int rc = fh_pool_new(&e->pool, o->threads, err);
    if (!rc) rc = fh_packed_open(&e->packed, l, o->model_path, o->weight_cache, err);
    if (rc) return rc;
    l->packed = e->packed.data;
    l->filled = e->packed.filled;
    e->info.owned_bytes = e->packed.filled ? 0 : l->packed_bytes;
    fh_load_progress p = {o->progress, o->progress_arg, o->cancel};
    rc = fh_load_run(l, e->pool, &p, err);
    if (!rc) rc = e->model.family->does->finish(&e->model, l, err);
    return rc;
}

/* What a page's bytes depend on besides its tokens. Of the model: its tensors' names and first bytes, and the file's size and time. */
static void tell_made_by(const fh_engine *e, const fh_engine_options *o, const fh_load *l, fh_buf *out)
{
    const fh_kv *kv = &e->model.kv;
    struct stat st = {0};
    stat(o->model_path, &st);
    fh_buf_addf(out, FH_VERSION " %s %d %zu %zu %d %d %lld.%09ld %llu ", e->info.isa, (int)kv->type, kv->layers, kv->row_bytes,
                e->info.deterministic, e->info.exact, (long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec,
                (unsigned long long)fh_gguf_file_bytes(e->gguf));
    for (size_t i = 0; i < l->count; i++) {
        const fh_gguf_tensor *t = l->items[i].tensor;
        fh_buf_add(out, t->name.ptr, t->name.len);
        fh_buf_add(out, t->data, FH_MIN((size_t)t->bytes, (size_t)64));
    }
}

/* Where nothing can be written nothing is: the engine serves without, and info says why. */
static int open_spill(fh_engine *e, const fh_engine_options *o, const fh_load *l, fh_err **err)
{
    if (!o->page_cache) return 0;
    FH_AUTO(buf) fh_buf made_by = FH_BUF(64 << 20);
    tell_made_by(e, o, l, &made_by);
    int rc = fh_buf_check(&made_by, err, "the names of the tensors");
    fh_spill_options s = {.folder = o->page_cache,
                          .made_by = {fh_buf_cstr(&made_by), made_by.len},
                          .page_bytes = e->model.kv.page_bytes,
                          .most_waiting = e->model.kv.page_count / 4};
    if (rc) return rc;
    rc = fh_spill_open(&e->spill, &s, &e->spill_err);
    if (rc == FH_E_NOMEM) {
        fh_err_move(err, &e->spill_err);
        return rc;
    }
    if (rc) e->info.page_cache_failed = fh_err_message(e->spill_err);
    return 0;
}

static int make_rest(fh_engine *e, const fh_engine_options *o, const fh_load *l, fh_err **err)
{
    e->model.kv = engine_kv_shape(e);
    e->model.split_keys = !e->info.deterministic;
    e->whole = (fh_stage){0, e->model.shape.layers};
    e->model.stages = &e->whole;
    e->model.stage_count = 1;
    int rc = fh_kv_init(&e->model.kv, err);
    if (!rc) rc = open_spill(e, o, l, err);
    fh_step_sizes z = {
        .batch_tok = e->info.batch_tok, .seqs = e->info.parallel, .logit_rows = e->logit_rows, .workers = fh_pool_count(e->pool)};
    if (!rc) rc = e->model.family->does->prepare(&e->model, &z, err);
    return rc ? rc : make_buffers(e, err);
}

static void fill_info(fh_engine *e, const fh_load *l)
{
    size_t kv_bytes = 0;
    fh_kv_bytes(&e->model.kv, &kv_bytes);
    e->info.architecture = e->model.family->architecture;
    e->info.name = e->name;
    e->info.vocab_size = e->model.shape.vocab;
    e->info.layers = e->model.shape.layers;
    e->info.embd = e->model.shape.embd;
    e->info.threads = fh_pool_count(e->pool);
    e->info.file_bytes = fh_gguf_file_bytes(e->gguf);
    e->info.weight_bytes = fh_load_bytes(l);
    e->info.kv_bytes = kv_bytes;
    fh_token_cost cost = e->model.family->does->token_cost(&e->model);
    e->info.token_bytes = cost.bytes;
    e->info.token_ops = cost.ops;
    e->info.output_ops = cost.output_ops;
    e->stats.kv_total_tok = e->info.kv_tok;
}

static int load_weights(fh_engine *e, const fh_engine_options *o, fh_load *l, fh_err **err)
{
    int rc = engine_choose_sizes(e, o, l, err);
    if (!rc) rc = make_weights(e, o, l, err);
    return rc ? rc : make_rest(e, o, l, err);
}

static int load(fh_engine *e, const fh_engine_options *o, fh_load *l, fh_err **err)
{
    fh_isa isa = FH_ISA_REF;
    int rc = fh_isa_choose(&isa, err);
    if (rc) return rc;
    if (o->deterministic) isa = fh_isa_uniform(isa);
    e->has_wide = isa != fh_isa_uniform(isa);
    e->info.isa = fh_isa_name(isa);
    e->info.peak = fh_peak_name(fh_peak_of(isa));
    e->model.kernels = fh_kernels_get(isa);
    rc = fh_load_init(l, e->gguf, e->model.kernels, o->exact, err);
    if (!rc) rc = find_family(e, l, err);
    if (!rc) rc = e->model.family->does->plan(&e->model, l, err);
    if (!rc) rc = fh_load_refuse_rest(l, err);
    if (!rc) rc = engine_check_options(e, o, err);
    if (rc) return rc;
    vocab_maker vocab = {.engine = e};
    if (!o->no_vocab) rc = begin_vocab(&vocab, err);
    if (!rc) rc = load_weights(e, o, l, err);
    rc = end_vocab(&vocab, rc, err);
    return rc || !e->vocab ? rc : check_vocab(e, err);
}

static int make_lock(fh_engine *e, fh_err **err)
{
    if (pthread_mutex_init(&e->lock, NULL) != 0) return fh_err_nomem(err);
    if (pthread_cond_init(&e->wake, NULL) != 0) {
        pthread_mutex_destroy(&e->lock);
        return fh_err_nomem(err);
    }
    e->lock_made = true;
    return 0;
}

int fh_engine_open(fh_engine **ret, const fh_engine_options *o, fh_err **err)
{
    FH_AUTO(fh_engine) fh_engine *e = fh_calloc(1, sizeof *e);
    if (!e) return fh_err_nomem(err);
    fh_load l = {0};
    int rc = make_lock(e, err);
    if (!rc) rc = fh_gguf_open(&e->gguf, o->model_path, err);
    if (!rc) rc = fh_gguf_needed(load(e, o, &l, err), err);
    if (!rc) {
        read_name(e);
        fill_info(e, &l);
        fh_packed_keep(&e->packed);
    }
    fh_load_fini(&l);
    if (rc) return fh_err_about(err, o->model_path);
    *ret = fh_take(e);
    return 0;
}

static void end_waiting(fh_engine *e)
{
    while (e->waiting_first) {
        fh_gen *g = e->waiting_first;
        e->waiting_first = g->next;
        gen_end(g, FH_GEN_SHUTDOWN, NULL);
    }
    e->waiting_last = NULL;
}

static void free_slots(fh_engine *e)
{
    for (size_t i = 0; e->slots && i < e->info.parallel; i++) {
        if (e->slots[i].gen) gen_end(e->slots[i].gen, FH_GEN_SHUTDOWN, NULL);
        fh_kv_seq_fini(&e->slots[i].kv);
    }
    fh_free(e->slots);
}

void fh_engine_close(fh_engine *e)
{
    if (!e) return;
    end_waiting(e);
    free_slots(e);
    void *buffers[] = {e->ids,     e->pos,    e->seqs,   e->shares,     e->out,    e->logits,
                       e->sampled, e->groups, e->wishes, e->state_rows, e->states, e->hidden};
    for (size_t i = 0; i < FH_COUNT(buffers); i++) fh_free(buffers[i]);
    if (e->model.family) e->model.family->does->free(&e->model);
    fh_packed_close(&e->packed);
    fh_prefix_free(e->prefix);
    fh_spill_close(e->spill);
    fh_err_free(e->spill_err);
    fh_kv_fini(&e->model.kv);
    if (e->pool) fh_pool_free(e->pool);
    if (e->chat_template) fh_template_free(e->chat_template);
    fh_specials_free(e->specials);
    fh_toolfmt_free(e->toolfmt);
    fh_grammars_free(e->grammars);
    fh_free(e->shown);
    if (e->vocab) fh_vocab_free(e->vocab);
    if (e->gguf) fh_gguf_close(e->gguf);
    if (e->lock_made) {
        pthread_cond_destroy(&e->wake);
        pthread_mutex_destroy(&e->lock);
    }
    fh_free(e);
}

const fh_engine_info *fh_engine_info_get(const fh_engine *e)
{
    return &e->info;
}

const fh_vocab *fh_engine_vocab(const fh_engine *e)
{
    return e->vocab;
}

const fh_template *fh_engine_template(const fh_engine *e)
{
    return e->chat_template;
}

fh_grammars *fh_engine_grammars(const fh_engine *e)
{
    return e->grammars;
}

const fh_toolfmt *fh_engine_toolfmt(const fh_engine *e)
{
    return e->toolfmt;
}

const fh_specials *engine_specials(const fh_engine *e)
{
    return e->specials;
}
