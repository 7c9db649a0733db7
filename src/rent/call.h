/* One question to a provider over HTTP, and what its answer comes to. */
#ifndef FH_RENT_CALL_H
#define FH_RENT_CALL_H

#include "base/limits.h"
#include "json/json.h"
#include "rent/adapters.h"

#define MICRO 1000000

typedef struct rent_call rent_call;
typedef struct rent_account {
    const fh_rent_profile *profile;
    fh_http_client *client;
    char url[256], ssh_key[64];
    char *key_file; /* owned */
    rent_call *open;
} rent_account;

typedef union rent_done {
    fh_rent_offers_fn *offers;
    fh_rent_list_fn *list;
    fh_rent_rented_fn *rented;
    fh_rent_ended_fn *ended;
    fh_rent_billed_fn *billed;
} rent_done;

/* What came: status 0 when no complete reply did. doc NULL when there is none, or it is no JSON. why: what is wrong with it; NULL when the
 * status is 2xx and there is a doc, or none was sent. */
typedef struct rent_answer {
    rent_account *account;
    int status;
    const fh_json *doc;
    const fh_err *why;
    rent_done done;
    void *arg;
} rent_answer;

typedef struct rent_question {
    const char *method, *path;
    fh_json *body; /* taken; NULL: none */
    void (*answered)(const rent_answer *a);
    rent_done done;
    void *arg;
    bool frees; /* arg is the question's: freed when the port is closed before the answer, else by answered */
} rent_question;

int fh_rent_ask(rent_account *a, const rent_question *q, fh_err **err);
int fh_rent_key_read(const char *file, char out[256], fh_err **err);

/* What was done, by the status of the answer to a rent or an end. */
fh_rent_reply fh_rent_reply_of(int status);
void fh_rent_tell_ended(const rent_answer *a); /* an answered of every end that HTTP's status tells */

/* A list being read: rows are added, and told at the end. */
typedef struct rent_offers {
    fh_rent_offer *rows; /* owned */
    size_t count, room;
} rent_offers;
fh_rent_offer *fh_rent_offers_add(rent_offers *l); /* zeroed, in dollars; NULL: full */

/* What makes an adapter: its questions, and how the answers to them are read. */
typedef struct rent_adapter {
    const char *kind;
    int (*read_offers)(const fh_json *doc, rent_offers *out, fh_err **err);
    const char *machines; /* the member of an answer that lists them */
    void (*read_machine)(const fh_json *v, fh_rent_machine *out);
    int (*read_charged)(const fh_json *doc, const char *machine, int64_t *ret_micro, fh_err **err); /* NULL: it does not say */
    void (*fill)(fh_rental *ret);
} rent_adapter;
extern const rent_adapter fh_rent_runpod, fh_rent_vast, fh_rent_lambda, fh_rent_skypilot;
int fh_rent_skypilot_open(fh_rental *ret, const fh_rent_profile *p, const fh_rent_account *account, fh_err **err);

/* Whoever asked for offers or a list is told what its adapter reads. */
void fh_rent_tell_offers(const rent_answer *a);
void fh_rent_tell_list(const rent_answer *a);
/* Asks what was charged for a machine, by an answer that the adapter's read_charged reads. */
int fh_rent_ask_charged(rent_account *a, const char *path, const char *machine, fh_rent_billed_fn *done, void *arg, fh_err **err);

/* ---- reading what they say (read.c) ---- */

void fh_rent_text(char *out, size_t out_size, const fh_json *v); /* a string or an integer; "" for anything else */
int64_t fh_rent_micro(const fh_json *dollars);                   /* 0: none */
uint64_t fh_rent_gb(const fh_json *v, uint64_t unit_bytes);
int64_t fh_rent_utc(const fh_json *v); /* of "2026-11-24T00:31:07Z" or seconds; 0: none */
/* The catalogue's name for a GPU; "" when it is not known there. memory_bytes 0: not said. */
void fh_rent_device_of(const char *gpu, uint64_t memory_bytes, char out[32]);
uint64_t fh_rent_device_bytes(const char *device); /* its memory, of whoever does not say it; 0: not known */

#endif
