/* The tokenizer files that a hosted endpoint's models are counted by: one for all of its models, or for some of them their own. Files lie
 * in an import folder and stay there; they are loaded when they are named, and at each start. On the server's loop. */
#ifndef FH_SERVER_MODEL_TOKENIZERS_H
#define FH_SERVER_MODEL_TOKENIZERS_H

#include "base/err.h"
#include "base/mem.h"
#include "gateway/tokenizers.h"
#include "json/json.h"
#include <stdint.h>

typedef struct fh_server fh_server;
typedef struct fh_model_tokenizer {
    char model[128]; /* "": of all that have none of their own */
    char file[1024];
    uint64_t id; /* of gateway/tokenizers.h; 0: it is not loaded, and the endpoint's own figures are taken */
} fh_model_tokenizer;

typedef struct fh_model_tokenizers {
    fh_model_tokenizer *list; /* owned; each id is one use of its tokenizer */
    size_t count;
    fh_tokenizers *from; /* borrowed: outlives it; NULL: none was loaded */
} fh_model_tokenizers;
void fh_model_tokenizers_fini(fh_model_tokenizers *t);
int fh_model_tokenizers_dup(const fh_model_tokenizers *t, fh_model_tokenizers *ret, fh_err **err);

/* [{"model":"...","file":"..."}]; an error names the member as part of `tokenizers`. list NULL: none. */
int fh_model_tokenizers_read(const fh_json *list, fh_model_tokenizers *ret, fh_err **err);
fh_json *fh_model_tokenizers_json(const fh_model_tokenizers *t, bool with_loaded); /* loaded: as the API shows them */
uint64_t fh_model_tokenizer_of(const fh_model_tokenizers *t, const char *model);

/* The tokenizers of `from` that t names too become t's. */
void fh_model_tokenizers_take(fh_model_tokenizers *t, fh_model_tokenizers *from);
/* done takes err, of the first that could not be loaded; the others are. t is the caller's until then, and does not move. */
void fh_model_tokenizers_load(fh_server *s, fh_model_tokenizers *t, void (*done)(void *arg, fh_err *err), void *arg);

#endif
