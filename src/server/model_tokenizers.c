/* Tokenizer files of hosted endpoints' models (see model_tokenizers.h). */
#include "model_tokenizers.h"

#include "server_private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

void fh_model_tokenizers_fini(fh_model_tokenizers *t)
{
    for (size_t i = 0; i < t->count; i++)
        if (t->list[i].id) fh_tokenizers_leave(t->from, t->list[i].id);
    fh_free(t->list);
    *t = (fh_model_tokenizers){.count = 0};
}

static int make_room(fh_model_tokenizers *t, size_t count, fh_err **err)
{
    t->list = fh_calloc(count + 1, sizeof *t->list);
    return t->list ? 0 : fh_err_nomem(err);
}

int fh_model_tokenizers_dup(const fh_model_tokenizers *t, fh_model_tokenizers *ret, fh_err **err)
{
    fh_model_tokenizers made = {.count = t->count, .from = t->from};
    int rc = make_room(&made, t->count, err);
    if (rc) return rc;
    for (size_t i = 0; i < t->count; i++) {
        made.list[i] = t->list[i];
        if (t->list[i].id) fh_tokenizers_join(t->from, t->list[i].id);
    }
    *ret = made;
    return 0;
}

void fh_model_tokenizers_take(fh_model_tokenizers *t, fh_model_tokenizers *from)
{
    if (from->from) t->from = from->from;
    for (size_t i = 0; i < t->count; i++)
        for (size_t k = 0; k < from->count; k++) {
            fh_model_tokenizer *to = &t->list[i], *f = &from->list[k];
            if (to->id || strcmp(to->file, f->file) != 0 || strcmp(to->model, f->model) != 0) continue;
            to->id = f->id;
            f->id = 0;
        }
}

/* ---- JSON ---- */

static int bad(fh_err **err, size_t i, const char *member, const char *message)
{
    fh_err_set(err, FH_E_INVALID, "%s", message);
    fh_err_param(err, "tokenizers[%zu]%s%s", i, member[0] ? "." : "", member);
    fh_err_hint(err, "each is {\"file\": a path in an import folder, \"model\": one of the endpoint's models; without: all of them}");
    return FH_E_INVALID;
}

static bool take(char *out, size_t size, fh_str text)
{
    if (text.len >= size || memchr(text.ptr ? text.ptr : "", '\0', text.len)) return false;
    snprintf(out, size, "%.*s", (int)text.len, text.ptr ? text.ptr : "");
    return true;
}

static int read_one(const fh_json *o, size_t i, fh_model_tokenizer *ret, fh_err **err)
{
    const fh_json *model = fh_json_get(o, "model"), *file = fh_json_get(o, "file");
    void *it = NULL;
    fh_str name;
    const fh_json *value;
    bool no_model = fh_json_kind_of(model) == FH_JSON_NULL;
    if (fh_json_kind_of(o) != FH_JSON_OBJECT) return bad(err, i, "", "a tokenizer is an object");
    while (fh_json_next(o, &it, &name, &value))
        if (!fh_str_eqs(name, "model") && !fh_str_eqs(name, "file")) return bad(err, i, "", "a tokenizer has the members file and model");
    if (!fh_json_str(file).len || !take(ret->file, sizeof ret->file, fh_json_str(file)))
        return bad(err, i, "file", "'file' must be the path of a GGUF, a tokenizer.json or a tiktoken file");
    if (!no_model && (!fh_json_str(model).len || !take(ret->model, sizeof ret->model, fh_json_str(model))))
        return bad(err, i, "model", "'model' must be the name of a model");
    return 0;
}

int fh_model_tokenizers_read(const fh_json *list, fh_model_tokenizers *ret, fh_err **err)
{
    size_t count = fh_json_count(list);
    fh_model_tokenizers t = {.count = 0};
    if (fh_json_kind_of(list) == FH_JSON_NULL) return 0;
    if (fh_json_kind_of(list) != FH_JSON_ARRAY || count > FH_LIMIT_PROVIDER_TOKENIZERS) {
        fh_err_set(err, FH_E_INVALID, "'tokenizers' must be a list of at most %d files", FH_LIMIT_PROVIDER_TOKENIZERS);
        fh_err_param(err, "tokenizers");
        return FH_E_INVALID;
    }
    int rc = make_room(&t, count, err);
    for (; rc == 0 && t.count < count; t.count++) rc = read_one(fh_json_at(list, t.count), t.count, &t.list[t.count], err);
    if (rc)
        fh_model_tokenizers_fini(&t);
    else
        *ret = t;
    return rc;
}

fh_json *fh_model_tokenizers_json(const fh_model_tokenizers *t, bool with_loaded)
{
    fh_json *list = fh_json_new_array();
    for (size_t i = 0; i < t->count; i++) {
        const fh_model_tokenizer *m = &t->list[i];
        fh_json *o = fh_json_new_object();
        fh_json_set(o, "model", m->model[0] ? fh_json_new_cstr(m->model) : fh_json_new_null());
        fh_json_set(o, "file", fh_json_new_cstr(m->file));
        if (with_loaded) fh_json_set(o, "loaded", fh_json_new_bool(m->id != 0));
        fh_json_append(list, o);
    }
    return list;
}

uint64_t fh_model_tokenizer_of(const fh_model_tokenizers *t, const char *model)
{
    uint64_t any = 0;
    for (size_t i = 0; i < t->count; i++) {
        if (strcmp(t->list[i].model, model) == 0) return t->list[i].id;
        if (!t->list[i].model[0]) any = t->list[i].id;
    }
    return any;
}

/* ---- loading ---- */

typedef struct loading loading;
typedef struct one {
    loading *all;
    size_t index;
} one;
struct loading {
    fh_model_tokenizers *t;
    size_t left;
    fh_err *err; /* of the first that failed; owned */
    void (*done)(void *arg, fh_err *err);
    void *arg;
    one ones[];
};

static void end_one(loading *l)
{
    if (--l->left) return;
    l->done(l->arg, fh_take(l->err));
    fh_free(l);
}

static void note_error(loading *l, size_t i, const fh_err *why)
{
    if (l->err) return;
    fh_err_set(&l->err, fh_err_code(why), "%s", fh_err_message(why));
    if (fh_err_hint_get(why)) fh_err_hint(&l->err, "%s", fh_err_hint_get(why));
    fh_err_param(&l->err, "tokenizers[%zu].file", i);
}

static void loaded(void *arg, uint64_t id, const fh_err *why)
{
    one *o = arg;
    if (why)
        note_error(o->all, o->index, why);
    else
        o->all->t->list[o->index].id = id;
    end_one(o->all);
}

static int start_one(fh_server *s, one *o, fh_err **err)
{
    FH_AUTO(fh_weights_source) fh_weights_source *source = NULL;
    const char *file = o->all->t->list[o->index].file, *slash = strrchr(file, '/');
    int rc = fh_import_open(s, fh_str_of(file), &source, err);
    if (!rc && fh_weights_source_is_folder(source)) rc = fh_err_set(err, FH_E_INVALID, "%s is a folder, not a tokenizer's file", file);
    if (rc) return rc;
    int fd = fcntl(fh_weights_source_fd(source), F_DUPFD_CLOEXEC, 0);
    if (fd < 0) return fh_err_errno(err, FH_E_IO, errno, "cannot read %s", file);
    return fh_tokenizers_load(s->tokenizers, fd, slash ? slash + 1 : file, s->loop, loaded, o, err);
}

void fh_model_tokenizers_load(fh_server *s, fh_model_tokenizers *t, void (*done)(void *arg, fh_err *err), void *arg)
{
    fh_err *err = NULL;
    loading *l = fh_calloc(1, sizeof *l + t->count * sizeof *l->ones);
    if (!l) {
        fh_err_nomem(&err);
        done(arg, err);
        return;
    }
    t->from = s->tokenizers;
    *l = (loading){.t = t, .left = t->count + 1, .done = done, .arg = arg};
    for (size_t i = 0; i < t->count; i++) {
        l->ones[i] = (one){l, i};
        if (start_one(s, &l->ones[i], &err) == 0) continue;
        note_error(l, i, err);
        fh_err_free(err);
        err = NULL;
        l->left--;
    }
    end_one(l);
}
