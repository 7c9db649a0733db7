/* freehold run: deploy a model if it does not run yet, then answer one prompt or talk. */
#include "base/limits.h"
#include "run.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { PROMPT_BYTES_MAX = 16 << 20 };

static int read_stdin(fh_buf *out, fh_err **err)
{
    char block[65536];
    for (size_t n; (n = fread(block, 1, sizeof block, stdin)) > 0;)
        if (!fh_buf_add(out, block, n)) return fh_buf_check(out, err, "the prompt on standard input");
    return ferror(stdin) ? fh_err_errno(err, FH_E_IO, errno, "cannot read the prompt from standard input") : 0;
}

static int print_ready(const fh_cli *c, const char *name, fh_err **err)
{
    FH_AUTO(buf) fh_buf out = FH_BUF(4096);
    if (c->json) {
        FH_AUTO(json) fh_json *o = fh_json_new_object();
        fh_json_set(o, "deployment", fh_json_new_cstr(name));
        fh_json_set(o, "state", fh_json_new_cstr("ready"));
        return fh_cli_print_json(o, err);
    }
    fh_buf_addf(&out, "%s is ready\n", name);
    return fh_cli_print(&out, err);
}

static int print_answer_json(const char *name, const fh_run_answer *a, fh_err **err)
{
    FH_AUTO(json) fh_json *o = fh_json_new_object();
    fh_json_set(o, "deployment", fh_json_new_cstr(name));
    fh_json_set(o, "text", fh_json_new_str((fh_str){fh_buf_cstr(&a->text), a->text.len}));
    fh_json_set(o, "usage", a->usage ? fh_json_ref(a->usage) : fh_json_new_null());
    return fh_cli_print_json(o, err);
}

static int answer_once(const fh_cli *c, const fh_cli_client *s, const char *name, fh_str prompt, fh_err **err)
{
    fh_run_answer a;
    FH_AUTO(json) fh_json *messages = fh_json_new_array();
    fh_json_append(messages, fh_run_message("user", prompt));
    int rc = fh_run_ask(c, s, name, messages, !c->json, &a, err);
    if (!c->json && (a.text.len || !rc)) putchar('\n');
    if (!rc && c->json) rc = print_answer_json(name, &a, err);
    if (!rc && a.stopped) rc = fh_err_set(err, FH_E_CANCELLED, "the answer was stopped");
    fh_run_answer_fini(&a);
    return rc;
}

static int check_place(const fh_cli *c, fh_err **err)
{
    static const char *const words[] = {"", "here", "pool", "slurm", "ssh", "runpod", "vast", "lambda", "skypilot"};
    fh_str place = fh_str_of(fh_cli_text(c, "on", ""));
    for (size_t i = 0; i < FH_COUNT(words); i++)
        if (fh_str_eqs(place, words[i])) return 0;
    if (fh_str_starts(place, FH_STR("node/")) || fh_str_starts(place, FH_STR("provider/"))) return 0;
    fh_err_set(err, FH_E_USAGE, "there is no place '%.64s'", place.ptr);
    fh_err_hint(err,
                "places are here, pool, node/NAME for each machine that `freehold node list` shows, and provider/NAME, or its kind, for "
                "each that `freehold provider list` shows; left out, the cheapest of here and the pool is taken");
    return FH_E_USAGE;
}

/* Nothing is started of what answers already: what would say how is a misunderstanding. */
static int check_hosted(const fh_cli *c, fh_err **err)
{
    static const char *const starting[] = {"on",   "engine", "name",  "context",  "streams", "replicas", "kv-type",
                                           "idle", "trust",  "offer", "max-hour", "hours",   "max-cost"};
    for (size_t i = 0; i < FH_COUNT(starting); i++) {
        if (!fh_cli_has(c, starting[i])) continue;
        fh_err_set(err, FH_E_USAGE, "--%s says how a model is started, and %s answers already", starting[i], fh_cli_operand(c, 0));
        fh_err_hint(err, "leave it out; `freehold provider list` shows what endpoints serve");
        return FH_E_USAGE;
    }
    return 0;
}

static int run_run(fh_cli *c, fh_err **err)
{
    fh_cli_client s;
    char name[128];
    const char *asked = fh_cli_operand(c, 0), *prompt = fh_cli_operand(c, 1);
    bool hosted = fh_run_is_hosted(asked);
    bool talk = !prompt && isatty(STDIN_FILENO) && !c->json;
    FH_AUTO(buf) fh_buf input = FH_BUF(PROMPT_BYTES_MAX);
    int64_t least, most;
    int rc = hosted ? check_hosted(c, err) : check_place(c, err);
    if (!rc && fh_cli_has(c, "offer") && !fh_cli_has(c, "on"))
        rc = fh_err_set(err, FH_E_USAGE, "--offer wants --on provider/NAME: the account that it is an offer of");
    if (!rc) rc = fh_run_read_replicas(c, &least, &most, err);
    if (!rc && !prompt && !isatty(STDIN_FILENO)) rc = read_stdin(&input, err);
    if (!rc) rc = fh_client_open(c, &s, err);
    if (!rc && !hosted) rc = fh_run_deploy(c, &s, asked, name, sizeof name, err);
    if (rc) return rc;
    if (!hosted) asked = name;
    if (talk) {
        fh_run_chat(c, &s, asked);
        return 0;
    }
    fh_str text = prompt ? fh_str_of(prompt) : fh_str_trim((fh_str){fh_buf_cstr(&input), input.len});
    return text.len ? answer_once(c, &s, asked, text, err) : print_ready(c, asked, err);
}

static const fh_cli_flag flags[] = {
    {"on", 0, FH_CLI_TEXT, "PLACE",
     "where: here, pool, node/NAME, or provider/NAME to get a machine there (default: the cheapest of here and the pool)", 0, 0},
    {"engine", 0, FH_CLI_TEXT, "NAME", "what runs it: freehold (default), llama-server or vllm, if it is installed", 0, 0},
    {"name", 0, FH_CLI_TEXT, "NAME", "a name of your own: starts another deployment unless that one runs", 0, 0},
    {"context", 0, FH_CLI_INT, "N", "tokens of context for each stream of a new deployment", 1, FH_LIMIT_CONTEXT_TOK},
    {"streams", 0, FH_CLI_INT, "N", "requests at once of a new deployment", 1, FH_LIMIT_STREAMS},
    {"kv-type", 0, FH_CLI_TEXT, "TYPE",
     "what the cache of a new deployment is kept as: f16, or with less memory q8_0 or q4_0 (default: as its engine does, freehold as f16)",
     0, 0},
    {"replicas", 0, FH_CLI_TEXT, "N[..M]", "so many replicas; with M between N and M, as there is work; N may be 0: it may sleep", 0, 0},
    {"idle", 0, FH_CLI_INT, "SECONDS", "without a request until it sleeps, until the next request (default 1800; replicas 0..N)", 1,
     FH_LIMIT_SCALE_IDLE_MOST_S},
    {"trust", 0, FH_CLI_TEXT, "LIST",
     "who may read what it is asked: it runs nowhere else. own, rented, or names besides, with commas: node/NAME, provider/NAME, "
     "owner/NAME",
     0, 0},
    {"offer", 0, FH_CLI_TEXT, "NAME",
     "with --on provider/NAME: the offer that is rented before others, as `freehold plan` calls it; when it is gone one of its kind, then "
     "the "
     "cheapest that fits the limits",
     0, 0},
    {"max-hour", 0, FH_CLI_TEXT, "AMOUNT[CUR]", "most that an hour of a machine of a provider or of the pool may cost, as 2.50EUR", 0, 0},
    {"hours", 0, FH_CLI_INT, "N", "hours that machines of a provider may be had for, all together", 1, FH_LIMIT_DEPLOY_HOURS},
    {"max-cost", 0, FH_CLI_TEXT, "AMOUNT[CUR]", "most that machines of a provider may cost, all together", 0, 0},
    {"max-tokens", 0, FH_CLI_INT, "N", "longest answer, in tokens (default 1024)", 1, 1 << 30},
    {"temperature", 0, FH_CLI_REAL, "X", "0 always takes the likeliest word, 2 is the wildest (default 0.3)", 0, 2},
    {"seed", 0, FH_CLI_INT, "N", "the same seed gives the same answer", 0, INT64_MAX},
    {"yes", 'y', FH_CLI_BOOL, NULL, "do not ask before a machine is rented; other places cost nothing here", 0, 0},
    {NULL, 0, FH_CLI_BOOL, NULL, NULL, 0, 0},
};

static const char *const examples[] = {"freehold run smollm2 \"Say in one sentence what a lighthouse is for.\"", "freehold run smollm2",
                                       "cat letter.txt | freehold run smollm2", NULL};

const fh_cli_verb fh_verb_run = {
    .name = "run",
    .group = "Run models",
    .summary = "start a model if it does not run, then answer or talk",
    .operands = "MODEL [PROMPT]",
    .min_operands = 1,
    .max_operands = 2,
    .about = "MODEL is an id or alias of `freehold models`, the name of a deployment, or the path of a GGUF file in an import folder of "
             "the server. provider/NAME/MODEL asks a hosted endpoint (`freehold provider list`), where nothing is started. The prompt may "
             "come on standard "
             "input. Without a prompt, on a terminal, it is a conversation.\n\nThe model goes on running; `freehold stop NAME` stops it.",
    .examples = examples,
    .flags = flags,
    .run = run_run,
};
