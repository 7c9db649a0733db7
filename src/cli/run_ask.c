/* Asking a deployment and printing what it says as it comes; and the conversation on a terminal. */
#include "run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ANSWER_BYTES_MAX = 64 << 20, ANSWER_TOK = 1024 };

/* Cooler than the API's default of 1, at which small models babble. --help of run names both numbers. */
static const double temperature_default = 0.3;

void fh_run_answer_fini(fh_run_answer *a)
{
    fh_buf_fini(&a->text);
    fh_json_unref(a->usage);
    a->usage = NULL;
}

bool fh_run_is_hosted(const char *model)
{
    return fh_str_starts(fh_str_of(model), FH_STR("provider/"));
}

fh_json *fh_run_message(const char *role, fh_str text)
{
    fh_json *m = fh_json_new_object();
    fh_json_set(m, "role", fh_json_new_cstr(role));
    fh_json_set(m, "content", fh_json_new_str(text));
    return m;
}

typedef struct asking {
    fh_run_answer *answer;
    bool print, done;
    fh_err **err;
    int rc;
} asking;

static void take_usage(asking *a, const fh_json *chunk)
{
    const fh_json *usage = fh_json_get(chunk, "usage");
    if (!fh_json_count(usage)) return;
    fh_json_unref(a->answer->usage);
    a->answer->usage = fh_json_ref((fh_json *)(uintptr_t)usage);
}

static bool take_chunk(asking *a, const fh_json *chunk)
{
    const fh_json *error = fh_json_get(chunk, "error");
    if (error) {
        fh_str said = fh_json_str(fh_json_get(error, "message"));
        a->rc = fh_err_set(a->err, FH_E_UPSTREAM, "%.*s", (int)said.len, said.ptr ? said.ptr : "");
        return false;
    }
    fh_str piece = fh_json_str(fh_json_get(fh_json_get(fh_json_at(fh_json_get(chunk, "choices"), 0), "delta"), "content"));
    take_usage(a, chunk);
    if (!piece.len) return true;
    fh_buf_add(&a->answer->text, piece.ptr, piece.len);
    if (!a->print) return true;
    return fh_cli_write(stdout, piece);
}

static bool on_event(void *arg, fh_str event, fh_str data)
{
    asking *a = arg;
    FH_AUTO(json) fh_json *chunk = NULL;
    (void)event;
    a->answer->stopped = fh_cli_caught();
    if (fh_str_eqs(data, "[DONE]")) a->done = true;
    if (a->done || a->answer->stopped) return false;
    a->rc = fh_json_parse(&chunk, data, ANSWER_BYTES_MAX, a->err);
    return !a->rc && take_chunk(a, chunk);
}

static fh_json *request_of(const fh_cli *c, const char *deployment, const fh_json *messages)
{
    FH_AUTO(ptr) char *model = fh_asprintf("%s%s", fh_run_is_hosted(deployment) ? "" : "deployment/", deployment);
    fh_json *body = fh_json_new_object(), *options = fh_json_new_object();
    fh_json_set(body, "model", fh_json_new_cstr(model));
    fh_json_set(body, "messages", fh_json_ref((fh_json *)(uintptr_t)messages));
    fh_json_set(body, "stream", fh_json_new_bool(true));
    fh_json_set(options, "include_usage", fh_json_new_bool(true));
    fh_json_set(body, "stream_options", options);
    fh_json_set(body, "max_completion_tokens", fh_json_new_int(fh_cli_int(c, "max-tokens", ANSWER_TOK)));
    fh_json_set(body, "temperature", fh_json_new_real(fh_cli_real(c, "temperature", temperature_default)));
    if (fh_cli_has(c, "seed")) fh_json_set(body, "seed", fh_json_new_int(fh_cli_int(c, "seed", 0)));
    return body;
}

int fh_run_ask(const fh_cli *c, const fh_cli_client *s, const char *deployment, const fh_json *messages, bool print, fh_run_answer *ret,
               fh_err **err)
{
    *ret = (fh_run_answer){.text = FH_BUF(ANSWER_BYTES_MAX)};
    asking a = {.answer = ret, .print = print, .err = err};
    FH_AUTO(json) fh_json *body = request_of(c, deployment, messages);
    fh_cli_catch_begin(FH_CLI_CATCH_INTERRUPT);
    int rc = fh_client_stream(s, "POST", "/v1/chat/completions", body, on_event, &a, err);
    fh_cli_catch_end(FH_CLI_CATCH_INTERRUPT);
    if (a.rc) return a.rc;
    if (rc) return rc;
    if (!a.done && !ret->stopped) return fh_err_set(err, FH_E_UPSTREAM, "the answer ended too early");
    return fh_buf_check(&ret->text, err, "the answer");
}

/* Reads a line without its end; false at the end of input. */
static bool read_line(char **line, size_t *size)
{
    fputs(">>> ", stdout);
    fflush(stdout);
    ssize_t n = getline(line, size, stdin);
    if (n < 0) return false;
    while (n > 0 && ((*line)[n - 1] == '\n' || (*line)[n - 1] == '\r')) (*line)[--n] = '\0';
    return true;
}

static int turn(const fh_cli *c, const fh_cli_client *s, const char *deployment, fh_json *messages, const char *line, fh_err **err)
{
    fh_run_answer answer;
    fh_json_append(messages, fh_run_message("user", fh_str_of(line)));
    int rc = fh_run_ask(c, s, deployment, messages, true, &answer, err);
    puts(answer.stopped ? " [stopped]\n" : "\n");
    if (!rc) fh_json_append(messages, fh_run_message("assistant", (fh_str){fh_buf_cstr(&answer.text), answer.text.len}));
    fh_run_answer_fini(&answer);
    return rc;
}

/* The conversation without its last messages; takes messages. */
static fh_json *first_of(fh_json *messages, size_t count)
{
    fh_json *kept = fh_json_new_array();
    for (size_t i = 0; i < count; i++) fh_json_append(kept, fh_json_ref((fh_json *)(uintptr_t)fh_json_at(messages, i)));
    fh_json_unref(messages);
    return kept;
}

/* One line and its answer. A turn that fails says so and leaves the conversation as it was before it. */
static fh_json *try_turn(const fh_cli *c, const fh_cli_client *s, const char *deployment, fh_json *messages, const char *line)
{
    fh_err *failed = NULL;
    size_t before = fh_json_count(messages);
    if (turn(c, s, deployment, messages, line, &failed)) {
        fh_cli_report(c->verb->name, failed);
        messages = first_of(messages, before);
    }
    fh_err_free(failed);
    return messages;
}

void fh_run_chat(const fh_cli *c, const fh_cli_client *s, const char *deployment)
{
    char *line = NULL; /* getline's own memory */
    size_t size = 0;
    FH_AUTO(json) fh_json *messages = fh_json_new_array();
    printf("Talking to %s. /clear forgets, Ctrl-C stops an answer, Ctrl-D or /bye ends.\n", deployment);
    while (read_line(&line, &size)) {
        if (strcmp(line, "/bye") == 0) break;
        if (strcmp(line, "/clear") == 0) {
            fh_json_unref(messages);
            messages = fh_json_new_array();
        } else if (line[0]) {
            messages = try_turn(c, s, deployment, messages, line);
        }
    }
    free(line);
}
