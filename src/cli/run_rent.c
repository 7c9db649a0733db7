/* Before something is rented: what it would cost stands on one line, and somebody says yes to it. */
#include "run.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static bool may_rent(const char *place)
{
    static const char *const kinds[] = {"runpod", "vast", "lambda", "skypilot"};
    for (size_t i = 0; i < FH_COUNT(kinds); i++)
        if (strcmp(place, kinds[i]) == 0) return true;
    return strncmp(place, "provider/", 9) == 0;
}

static bool is_live(const fh_json *d)
{
    const char *state = fh_cli_str_of(d, "state");
    return strcmp(state, "stopped") != 0 && strcmp(state, "failed") != 0 && strcmp(state, "draining") != 0;
}

/* One that runs there is used again: nothing new is rented. */
static int runs_there(const fh_cli_client *s, const fh_json *quote, bool *ret, fh_err **err)
{
    FH_AUTO(json) fh_json *reply = NULL;
    char place[80];
    int rc = fh_client_call(s, "GET", "/api/v1/deployments", NULL, &reply, err);
    const fh_json *items = fh_json_get(reply, "items");
    snprintf(place, sizeof place, "provider/%s", fh_cli_str_of(quote, "provider"));
    *ret = false;
    for (size_t i = 0; i < fh_json_count(items); i++) {
        const fh_json *d = fh_json_at(items, i);
        bool same = strcmp(fh_cli_str_of(d, "model"), fh_cli_str_of(quote, "model")) == 0;
        *ret |= same && is_live(d) && strcmp(fh_cli_str_of(fh_json_get(d, "machine"), "provider"), place) == 0;
    }
    return rc;
}

static int ask(const fh_cli *c, const fh_json *quote, fh_err **err)
{
    char line[64] = "";
    fprintf(stderr, "%s\n", fh_cli_str_of(quote, "text"));
    if (fh_cli_has(c, "yes")) return 0;
    if (isatty(STDIN_FILENO) && !c->json) {
        fprintf(stderr, "Rent it? [y/N] ");
        if (fgets(line, sizeof line, stdin) && (line[0] == 'y' || line[0] == 'Y')) return 0;
    }
    fh_err_set(err, FH_E_FORBIDDEN, "nothing is rented, since nobody said yes to what it costs");
    fh_err_hint(err, "--yes goes on without being asked; --max-hour, --hours and --max-cost set its limits");
    return FH_E_FORBIDDEN;
}

int fh_run_rent(const fh_cli *c, const fh_cli_client *s, fh_json *body, fh_err **err)
{
    FH_AUTO(json) fh_json *quote = NULL, *question = fh_json_new_object();
    FH_AUTO(fh_err) fh_err *why = NULL;
    static const char *const members[] = {"model", "place", "engine", "context_tok", "streams", "kv_type", "limit", "offer"};
    bool running = false;
    if (!may_rent(fh_json_str(fh_json_get(body, "place")).ptr)) return 0;
    for (size_t i = 0; i < FH_COUNT(members); i++) {
        const fh_json *v = fh_json_get(body, members[i]);
        if (v) fh_json_set(question, members[i], fh_json_ref((fh_json *)(uintptr_t)v));
    }
    int rc = fh_client_call(s, "POST", "/api/v1/rentals/quote", question, &quote, &why);
    if (rc == FH_E_NOT_FOUND && strncmp(fh_err_message(why), "nothing is rented at", 20) == 0) return 0; /* a cluster, a box */
    if (rc) {
        fh_err_move(err, &why);
        return rc;
    }
    rc = runs_there(s, quote, &running, err);
    if (!rc && !running) rc = ask(c, quote, err);
    if (rc || running) return rc;
    return fh_json_set(body, "limit", fh_json_ref((fh_json *)(uintptr_t)fh_json_get(quote, "limit"))) ? 0 : fh_err_nomem(err);
}
