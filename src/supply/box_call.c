/* One step on the box: box.sh goes in front of the step's data on ssh's standard input, so that neither is among the arguments, and a shell
 * of any kind starts it. */
#include "box_private.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

enum { WORDS = 16, TOKEN_ROOM = 1024 };

typedef struct call {
    const char *argv[WORDS];
    size_t count;
    char reads[80], order[24], number[24], url[300], packages[256];
} call;

static void add(call *c, const char *word)
{
    if (c->count + 1 < WORDS) c->argv[c->count++] = word;
    c->argv[c->count] = NULL;
}

/* Exactly the script is read before it runs: what follows is the step's. */
static void begin(call *c, const box *b, box_step step, int64_t order)
{
    *c = (call){.count = 0};
    snprintf(c->reads, sizeof c->reads, "eval \"$(dd bs=1 count=%zu 2>/dev/null)\"", strlen(fh_box_script));
    snprintf(c->order, sizeof c->order, "%" PRId64, order);
    const char *const words[] = {"sh", "-c", c->reads, "freehold-box", fh_box_step_name(step), b->folder, c->order};
    for (size_t i = 0; i < FH_COUNT(words); i++) add(c, words[i]);
}

bool fh_box_tunnels(const box *b)
{
    fh_str url = fh_str_of(b->door_url);
    bool inside = fh_str_starts(url, FH_STR("https://127.")) || fh_str_starts(url, FH_STR("https://localhost:")) ||
                  fh_str_starts(url, FH_STR("https://[::1]"));
    return b->tunnel == BOX_TUNNEL_YES || (b->tunnel == BOX_TUNNEL_WHERE_NEEDED && inside);
}

/* ---- what steps take along ---- */

static void add_piece(const box *b, fh_buf *input, call *c)
{
    uint64_t from = FH_MIN(b->facts.part_bytes, b->program_bytes);
    snprintf(c->number, sizeof c->number, "%" PRIu64, b->facts.part_bytes);
    add(c, c->number);
    fh_buf_add(input, b->program.data + from, (size_t)FH_MIN(b->program_bytes - from, (uint64_t)FH_LIMIT_SSH_PIECE_BYTES));
}

static void add_packages(const box *b, call *c)
{
    fh_box_packages(b->facts.libraries, c->packages, sizeof c->packages);
    for (char *rest = NULL, *word = strtok_r(c->packages, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) add(c, word);
}

static int add_start(const box *b, const box_order *o, fh_buf *input, call *c, fh_err **err)
{
    char token[TOKEN_ROOM] = "";
    int rc = b->facts.token ? 0 : b->door.token(b->door.arg, token, sizeof token, err);
    fh_buf_adds(input, token);
    explicit_bzero(token, sizeof token);
    if (fh_box_tunnels(b))
        snprintf(c->url, sizeof c->url, "https://127.0.0.1:%d", b->facts.port);
    else
        snprintf(c->url, sizeof c->url, "%s", b->door_url);
    add(c, o->node);
    add(c, c->url);
    return rc;
}

static int add_words(const box *b, box_step step, const box_order *o, fh_buf *input, call *c, fh_err **err)
{
    int rc = step == BOX_START ? add_start(b, o, input, c, err) : 0;
    if (step == BOX_COPY) add_piece(b, input, c);
    if (step == BOX_KEEP) add(c, b->program_sha);
    if (step == BOX_INSTALL) add_packages(b, c);
    if (step == BOX_END || step == BOX_END_OTHER) add(c, b->keep ? "yes" : "no");
    return rc;
}

int fh_box_call(box *b, box_step step, supply_done_fn *done, fh_err **err)
{
    call c;
    const box_order *o = fh_box_now(b);
    FH_AUTO(buf) fh_buf input = FH_BUF(FH_LIMIT_SSH_PIECE_BYTES + 65536);
    begin(&c, b, step, step == BOX_END_OTHER ? b->facts.held : o ? o->id : 0);
    fh_buf_adds(&input, fh_box_script);
    int rc = add_words(b, step, o, &input, &c, err);
    if (!rc) rc = fh_buf_check(&input, err, "what goes to the box");
    supply_command command = {.argv = c.argv,
                              .input = {fh_buf_cstr(&input), input.len},
                              .timeout_ms = step == BOX_INSTALL ? FH_LIMIT_SSH_INSTALL_MS : FH_LIMIT_SSH_STEP_MS,
                              .done = done,
                              .arg = b};
    if (!rc) rc = fh_supply_run(b->host, &command, err);
    if (input.data) explicit_bzero(input.data, input.len);
    return rc;
}

/* ---- the tunnel ---- */

static void on_hold_end(void *arg, const supply_result *r)
{
    box *b = arg;
    if (b->tunnel_fd >= 0) close(b->tunnel_fd);
    b->tunnel_fd = -1;
    b->facts.port = 0; /* what is left of it there has to be ended before the next */
    FH_AUTO(fh_err) fh_err *why = NULL;
    if (r->code) (void)fh_box_why(b, r, &why);
    snprintf(b->tunnel_words, sizeof b->tunnel_words, "%.190s", why ? fh_err_message(why) : "the tunnel's connection ended");
}

/* host:port of the door, as ssh takes it. */
static int write_forward(const box *b, char *out, size_t out_size, fh_err **err)
{
    fh_str url = fh_str_of(b->door_url), scheme = FH_STR("https://");
    if (fh_str_starts(url, scheme)) url = (fh_str){url.ptr + scheme.len, url.len - scheme.len};
    if (fh_str_ends(url, FH_STR("/"))) url.len--;
    int n = snprintf(out, out_size, "127.0.0.1:%d:%.*s", b->facts.port, (int)url.len, url.ptr);
    return n > 0 && (size_t)n < out_size ? 0 : fh_err_set(err, FH_E_INVALID, "the address of the pool is too long for a tunnel");
}

/* The script, and then nothing until this process lets go of the other end, or ends: then the command there does too. */
static int open_lifeline(int *ret_read, int *ret_write, fh_err **err)
{
    int fds[2];
    size_t bytes = strlen(fh_box_script);
    if (pipe2(fds, O_CLOEXEC) != 0) return fh_err_errno(err, FH_E_IO, errno, "no pipe can be made");
    *ret_read = fds[0];
    *ret_write = fds[1];
    return write(fds[1], fh_box_script, bytes) == (ssize_t)bytes ? 0 : fh_err_errno(err, FH_E_IO, errno, "no pipe can be written");
}

int fh_box_hold(box *b, fh_err **err)
{
    call c;
    const box_order *o = fh_box_now(b);
    char forward[300];
    FH_AUTO(fd) int in = -1, lifeline = -1;
    begin(&c, b, BOX_HOLD, o ? o->id : 0);
    int rc = write_forward(b, forward, sizeof forward, err);
    if (!rc) rc = open_lifeline(&in, &lifeline, err);
    char input[40];
    snprintf(input, sizeof input, "/proc/self/fd/%d", in);
    supply_command command = {.argv = c.argv, .input_file = input, .forward = forward, .done = on_hold_end, .arg = b};
    if (!rc) rc = fh_supply_run(b->host, &command, err);
    if (!rc) b->tunnel_fd = fh_take_fd(&lifeline);
    return rc;
}

void fh_box_let_go(box *b)
{
    if (b->tunnel_fd >= 0) close(b->tunnel_fd);
    b->tunnel_fd = -1;
}

int fh_box_drop(box *b, fh_err **err)
{
    supply_host *fresh = NULL;
    supply_host_config c = {.url = b->url, .key_file = b->key_file, .folder = b->keep_dir};
    int rc = fh_supply_host_open(&fresh, b->loop, &c, err);
    if (rc) return rc;
    fh_box_let_go(b);
    fh_supply_host_close(b->host);
    b->host = fresh;
    b->busy = false;
    return 0;
}

/* ---- what went wrong ---- */

static bool holds(const char *words, const char *part)
{
    return words && strstr(words, part);
}

int fh_box_why(const box *b, const supply_result *r, fh_err **err)
{
    const char *host = fh_supply_host_name(b->host);
    if (holds(r->words, "Host key verification failed") || holds(r->words, "HOST IDENTIFICATION HAS CHANGED")) {
        fh_err_set(err, FH_E_FORBIDDEN, "%s shows another host key than it did: it was set up anew, or somebody stands between", host);
        fh_err_hint(err, "if it was set up anew: remove %s/known_hosts, and try again", b->keep_dir);
        return FH_E_FORBIDDEN;
    }
    if (holds(r->words, "Permission denied")) {
        fh_err_set(err, FH_E_FORBIDDEN, "%s does not let in who has the key %s", host, b->key_file);
        fh_err_hint(err, "it needs the key's public part in ~/.ssh/authorized_keys there, and a key without a passphrase here");
        return FH_E_FORBIDDEN;
    }
    if (holds(r->words, "remote port forwarding failed")) {
        fh_err_set(err, FH_E_UNAVAILABLE, "%s does not carry a tunnel", host);
        fh_err_hint(err, "its sshd has to allow one: AllowTcpForwarding yes");
        return FH_E_UNAVAILABLE;
    }
    fh_err_set(err, r->code, "%s", r->why ? fh_err_message(r->why) : "it failed");
    return r->code;
}
