/* A command's life: descriptors for its streams, a process, watches on what it prints and on its end, a timer for its deadline. What it
 * left running when it ended is not waited for. */
#include "supply/command.h"

#include "base/buf.h"
#include "base/clock.h"
#include "ssh.h"
#include "sys/sandbox.h"
#include "words.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum { SSH_FAILED = 255 }; /* its own status, when it is not the command's */

typedef struct running running;
typedef struct stream {
    running *of;
    int fd;
    fh_watch *watch;
    fh_buf text;
} stream;

struct running {
    supply_host *host;
    running *next;
    pid_t pid;
    int pidfd;
    fh_watch *ended;
    fh_timer *deadline;
    stream out, err;
    int64_t timeout_ms;
    bool late;
    char name[32];
    supply_done_fn *done;
    void *arg;
};

struct supply_host {
    fh_loop *loop;
    supply_ssh *ssh; /* NULL: this machine */
    running *first;
    unsigned count;
};

/* ---- streams ---- */

static void stream_close(stream *s)
{
    fh_watch_free(s->watch);
    s->watch = NULL;
    if (s->fd >= 0) close(s->fd);
    s->fd = -1;
}

/* Of standard error the last is kept, of the output all. */
static bool stream_keep(stream *s, const char *piece, size_t n)
{
    bool errors = s == &s->of->err;
    if (errors && s->text.len + n > s->text.max) fh_buf_consume(&s->text, FH_MIN(s->text.len, s->text.len + n - s->text.max));
    return fh_buf_add(&s->text, piece, n);
}

static void stream_read(stream *s)
{
    char piece[4096];
    while (s->fd >= 0) {
        ssize_t n = read(s->fd, piece, sizeof piece);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && errno == EAGAIN) return;
        if (n <= 0 || !stream_keep(s, piece, (size_t)n)) stream_close(s);
    }
    if (!fh_buf_ok(&s->text)) kill(-s->of->pid, SIGKILL);
}

static void on_readable(void *arg)
{
    stream_read(arg);
}

static int stream_open(running *r, stream *s, size_t max, int *ret_write, fh_err **err)
{
    int fds[2];
    *s = (stream){.of = r, .fd = -1, .text = FH_BUF(max)};
    if (pipe2(fds, O_CLOEXEC) != 0) return fh_err_errno(err, FH_E_IO, errno, "no pipe can be made");
    s->fd = fds[0];
    *ret_write = fds[1];
    if (fcntl(fds[0], F_SETFL, O_NONBLOCK) != 0) return fh_err_errno(err, FH_E_IO, errno, "no pipe can be made");
    return fh_watch_new(&s->watch, r->host->loop, s->fd, on_readable, s, err);
}

/* A file without a name: nobody else opens it, and nothing has to be written while the command reads. */
static int input_of_text(fh_str text, int *ret, fh_err **err)
{
    FH_AUTO(fd) int fd = memfd_create("input", MFD_CLOEXEC);
    for (size_t done = 0; fd >= 0 && done < text.len;) {
        ssize_t n = write(fd, text.ptr + done, text.len - done);
        if (n < 0 && errno != EINTR) return fh_err_errno(err, FH_E_IO, errno, "a command's input cannot be kept");
        if (n > 0) done += (size_t)n;
    }
    if (fd < 0 || lseek(fd, 0, SEEK_SET) != 0) return fh_err_errno(err, FH_E_IO, errno, "a command's input cannot be kept");
    *ret = fh_take_fd(&fd);
    return 0;
}

static int open_input(const supply_command *c, int *ret, fh_err **err)
{
    if (!c->input_file) return c->input.len ? input_of_text(c->input, ret, err) : 0;
    int fd = open(c->input_file, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return fh_err_errno(err, FH_E_IO, errno, "cannot open %s", c->input_file);
    *ret = fd;
    return 0;
}

/* ---- the end ---- */

static void running_free(running *r)
{
    if (r->pid > 0) fh_command_end(r->pid);
    fh_watch_free(r->ended);
    fh_timer_free(r->deadline);
    stream_close(&r->out);
    stream_close(&r->err);
    if (r->pidfd >= 0) close(r->pidfd);
    if (r->out.text.data) explicit_bzero(r->out.text.data, r->out.text.len);
    fh_buf_fini(&r->out.text);
    fh_buf_fini(&r->err.text);
    fh_free(r);
}

static void unlink_running(running *r)
{
    running **at = &r->host->first;
    while (*at != r) at = &(*at)->next;
    *at = r->next;
    r->host->count--;
}

static int judge(const running *r, supply_result *ret, fh_err **err)
{
    const char *where = fh_supply_host_name(r->host);
    ret->status = -1;
    ret->unsure = true;
    if (!fh_buf_ok(&r->out.text)) return fh_buf_check(&r->out.text, err, r->name);
    if (r->late)
        return fh_err_set(err, FH_E_TIMEOUT, "%s on %s did not end within %lld s", r->name, where, (long long)(r->timeout_ms / 1000));
    return 0;
}

static int judge_status(const running *r, int status, supply_result *ret, fh_err **err)
{
    const char *where = fh_supply_host_name(r->host), *said = ret->words[0] ? ": " : "";
    if (r->host->ssh && status == SSH_FAILED) return fh_err_set(err, FH_E_UNAVAILABLE, "%s is not reached%s%s", where, said, ret->words);
    if (status > 128) return fh_err_set(err, FH_E_UNAVAILABLE, "%s on %s was ended by signal %d", r->name, where, status - 128);
    ret->status = status;
    ret->unsure = false;
    return status ? fh_err_set(err, FH_E_UNAVAILABLE, "%s on %s failed with status %d%s%s", r->name, where, status, said, ret->words) : 0;
}

static void on_ended(void *arg)
{
    running *r = arg;
    FH_AUTO(fh_err) fh_err *err = NULL;
    char words[512];
    supply_result result = {.words = words};
    stream_read(&r->out);
    stream_read(&r->err);
    int status = fh_command_end(r->pid);
    r->pid = 0;
    unlink_running(r);
    fh_supply_words((fh_str){fh_buf_cstr(&r->err.text), r->err.text.len}, words, sizeof words);
    result.code = judge(r, &result, &err);
    if (!result.code) result.code = judge_status(r, status, &result, &err);
    result.out = (fh_str){fh_buf_cstr(&r->out.text), r->out.text.len};
    result.why = err;
    r->done(r->arg, &result);
    running_free(r);
}

static void on_deadline(void *arg)
{
    running *r = arg;
    r->late = true;
    kill(-r->pid, SIGKILL); /* its end is heard as any */
}

/* ---- the beginning ---- */

/* What programs need to find their way, and nothing else of ours. */
static const char *const passed_on[] = {"PATH", "HOME", "USER", "LOGNAME", "TMPDIR", "SLURM_CONF", "SSH_AUTH_SOCK"};

static bool make_env(fh_buf *text, const char *env[FH_COUNT(passed_on) + 2])
{
    size_t at[FH_COUNT(passed_on)], n = 0;
    for (size_t i = 0; i < FH_COUNT(passed_on); i++) {
        const char *value = getenv(passed_on[i]);
        if (!value) continue;
        at[n++] = text->len;
        fh_buf_addf(text, "%s=%s%c", passed_on[i], value, '\0');
    }
    for (size_t i = 0; i < n && fh_buf_ok(text); i++) env[i] = text->data + at[i];
    env[n] = "LC_ALL=C";
    env[n + 1] = NULL;
    return fh_buf_ok(text);
}

static int start(running *r, const supply_command *c, const int streams[3], fh_err **err)
{
    FH_AUTO(buf) fh_buf text = FH_BUF(FH_LIMIT_SUPPLY_COMMAND_BYTES);
    FH_AUTO(buf) fh_buf line = FH_BUF(FH_LIMIT_SUPPLY_COMMAND_BYTES);
    const char *env[FH_COUNT(passed_on) + 2], *ssh[SUPPLY_SSH_WORDS];
    const char *const *argv = c->argv;
    if (!make_env(&text, env)) return fh_buf_check(&text, err, "the environment");
    if (r->host->ssh) {
        int rc = fh_supply_ssh_words(r->host->ssh, c->argv, c->forward, &line, ssh, err);
        if (rc) return rc;
        argv = ssh;
    }
    return fh_command_start(argv, env, streams, &r->pid, &r->pidfd, err);
}

static int begin(running *r, const supply_command *c, fh_err **err)
{
    FH_AUTO(fd) int in = -1, out = -1, errors = -1;
    int rc = open_input(c, &in, err);
    if (!rc) rc = stream_open(r, &r->out, FH_LIMIT_SUPPLY_OUTPUT_BYTES, &out, err);
    if (!rc) rc = stream_open(r, &r->err, FH_LIMIT_SUPPLY_WORDS_BYTES, &errors, err);
    if (!rc) rc = fh_timer_new(&r->deadline, r->host->loop, on_deadline, r, err);
    if (!rc) rc = start(r, c, (const int[3]){in, out, errors}, err);
    if (!rc) rc = fh_watch_new(&r->ended, r->host->loop, r->pidfd, on_ended, r, err);
    if (!rc && c->timeout_ms) fh_timer_start(r->deadline, c->timeout_ms * FH_NS_PER_MS);
    return rc;
}

int fh_supply_run(supply_host *h, const supply_command *c, fh_err **err)
{
    if (h->count >= FH_LIMIT_SUPPLY_COMMANDS)
        return fh_err_set(err, FH_E_BUSY, "%d commands run on %s already", FH_LIMIT_SUPPLY_COMMANDS, fh_supply_host_name(h));
    running *r = fh_calloc(1, sizeof *r);
    if (!r) return fh_err_nomem(err);
    *r = (running){.host = h, .pidfd = -1, .out.fd = -1, .err.fd = -1, .timeout_ms = c->timeout_ms, .done = c->done, .arg = c->arg};
    snprintf(r->name, sizeof r->name, "%s", c->argv[0]);
    int rc = begin(r, c, err);
    if (rc) {
        running_free(r);
        return rc;
    }
    r->next = h->first;
    h->first = r;
    h->count++;
    return 0;
}

/* ---- the host ---- */

int fh_supply_host_open(supply_host **ret, fh_loop *loop, const supply_host_config *c, fh_err **err)
{
    supply_host *h = fh_calloc(1, sizeof *h);
    if (!h) return fh_err_nomem(err);
    h->loop = loop;
    int rc = c->url[0] ? fh_supply_ssh_new(&h->ssh, c, err) : 0;
    if (rc)
        fh_supply_host_close(h);
    else
        *ret = h;
    return rc;
}

void fh_supply_host_close(supply_host *h)
{
    if (!h) return;
    while (h->first) {
        running *r = h->first;
        unlink_running(r);
        running_free(r);
    }
    fh_supply_ssh_free(h->ssh);
    fh_free(h);
}

bool fh_supply_host_is_remote(const supply_host *h)
{
    return h->ssh != NULL;
}

const char *fh_supply_host_name(const supply_host *h)
{
    return h->ssh ? fh_supply_ssh_name(h->ssh) : "this machine";
}
