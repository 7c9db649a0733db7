/* An upgrade without a refused request: SIGUSR2 makes the running server start the program anew and hand over to it.
 *
 *   old: starts the new one, gives it the listening sockets      new: reads its flags, takes the sockets, says READY
 *   old: lets go of fleet and data folder, says GO               new: takes both, adopts the engines, serves, says SERVING
 *   old: stops accepting; what runs goes on until it has ended
 *
 * Both accept from the same sockets in between, so that no connection waits or is refused. When anything goes wrong before SERVING, the old
 * one takes the data folder back and goes on as if nothing had been. The two speak over a socket pair, a byte a step; its descriptor is in
 * FREEHOLD_HANDOVER. Threads: the main one, which waits; streams and new requests run on the edges meanwhile. */
#include "base/clock.h"
#include "base/limits.h"
#include "net/listen.h"
#include "server_private.h"
#include "sys/file.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define VARIABLE "FREEHOLD_HANDOVER"
enum { CHILD_FD = 3, COMMAND_BYTES = 65536, WORDS_MAX = 256 };
enum { READY = 'r', GO = 'g', SERVING = 's' };

/* Bytes of the conversation. */

static int say(int fd, char what, fh_err **err)
{
    if (send(fd, &what, 1, MSG_NOSIGNAL) == 1) return 0;
    return fh_err_errno(err, FH_E_UNAVAILABLE, errno, "the other server has gone");
}

static int hear(int fd, char wanted, fh_err **err)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    char got = 0;
    int n = poll(&p, 1, FH_LIMIT_HANDOVER_MS);
    if (n == 0) return fh_err_set(err, FH_E_TIMEOUT, "the other server said nothing for %d s", FH_LIMIT_HANDOVER_MS / 1000);
    if (n < 0 || recv(fd, &got, 1, 0) != 1) return fh_err_set(err, FH_E_UNAVAILABLE, "the other server ended");
    return got == wanted ? 0 : fh_err_set(err, FH_E_INTERNAL, "the other server said what it should not");
}

typedef union fd_room {
    struct cmsghdr head;
    char bytes[CMSG_SPACE(sizeof(int) * FH_LIMIT_LISTEN_SOCKETS)];
} fd_room;

static int send_sockets(int fd, const int *sockets, size_t count, fh_err **err)
{
    char byte = 0;
    fd_room room = {0};
    struct iovec io = {&byte, 1};
    struct msghdr m = {.msg_iov = &io, .msg_iovlen = 1, .msg_control = room.bytes, .msg_controllen = CMSG_SPACE(sizeof(int) * count)};
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(int) * count);
    memcpy(CMSG_DATA(c), sockets, sizeof(int) * count);
    if (sendmsg(fd, &m, MSG_NOSIGNAL) == 1) return 0;
    return fh_err_errno(err, FH_E_UNAVAILABLE, errno, "the listening sockets cannot be handed over");
}

static int receive_sockets(int fd, int *sockets, size_t *ret_count, fh_err **err)
{
    char byte;
    fd_room room = {0};
    struct iovec io = {&byte, 1};
    struct msghdr m = {.msg_iov = &io, .msg_iovlen = 1, .msg_control = room.bytes, .msg_controllen = sizeof room.bytes};
    ssize_t n = recvmsg(fd, &m, MSG_CMSG_CLOEXEC);
    const struct cmsghdr *c = n == 1 ? CMSG_FIRSTHDR(&m) : NULL;
    if (!c || c->cmsg_type != SCM_RIGHTS || c->cmsg_len <= CMSG_LEN(0))
        return fh_err_set(err, FH_E_UNAVAILABLE, "the server before handed no sockets over");
    *ret_count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    memcpy(sockets, CMSG_DATA(c), sizeof(int) * *ret_count);
    return 0;
}

/* The new server. */

int fh_handover_join(int *ret_fd, int *sockets, size_t *ret_count, fh_err **err)
{
    uint64_t fd = 0;
    const char *text = getenv(VARIABLE);
    bool given = text && fh_str_u64(fh_str_of(text), INT32_MAX, &fd);
    unsetenv(VARIABLE);
    if (!given) return 0;
    *ret_fd = (int)fd;
    fcntl(*ret_fd, F_SETFD, FD_CLOEXEC);
    return receive_sockets(*ret_fd, sockets, ret_count, err);
}

int fh_handover_await_turn(int fd, fh_err **err)
{
    if (fd < 0) return 0;
    int rc = say(fd, READY, err);
    return rc ? rc : hear(fd, GO, err);
}

int fh_handover_serving(int fd, fh_err **err)
{
    return fd < 0 ? 0 : say(fd, SERVING, err);
}

/* The old server. */

/* Our own command line, as it was given. */
static int read_command(char *text, char *words[WORDS_MAX + 1], fh_err **err)
{
    FH_AUTO(buf) fh_buf line = FH_BUF(COMMAND_BYTES);
    int rc = fh_file_read("/proc/self/cmdline", COMMAND_BYTES, &line, err);
    if (rc) return rc;
    memcpy(text, line.data, line.len);
    text[line.len] = '\0';
    size_t n = 0;
    for (size_t at = 0; at < line.len && n < WORDS_MAX; at += strlen(text + at) + 1) words[n++] = text + at;
    words[n] = NULL;
    return 0;
}

static size_t count_environment(void)
{
    size_t n = 0;
    while (environ[n]) n++;
    return n;
}

/* fd is the child's end; it is known there as CHILD_FD. */
static int spawn_program(const char *program, char *const *words, int fd, pid_t *ret, fh_err **err)
{
    static char variable[] = VARIABLE "=3";
    size_t n = count_environment();
    FH_AUTO(ptr) char **list = fh_calloc(n + 2, sizeof *list);
    if (!list) return fh_err_nomem(err);
    memcpy(list, environ, n * sizeof *list);
    list[n] = variable;
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, fd, CHILD_FD);
    int failed = posix_spawn(ret, program, &actions, NULL, words, list);
    posix_spawn_file_actions_destroy(&actions);
    return failed ? fh_err_errno(err, FH_E_UNAVAILABLE, failed, "cannot start %s", program) : 0;
}

static int start_program(const char *program, int fd, pid_t *ret, fh_err **err)
{
    char *words[WORDS_MAX + 1];
    FH_AUTO(ptr) char *text = fh_alloc(COMMAND_BYTES + 1);
    if (!text) return fh_err_nomem(err);
    int rc = read_command(text, words, err);
    return rc ? rc : spawn_program(program, words, fd, ret, err);
}

void fh_handover_end(fh_handover *h)
{
    if (h->fd >= 0) close(h->fd);
    if (h->pid > 0) {
        kill(h->pid, SIGKILL);
        waitpid(h->pid, NULL, 0);
    }
    *h = (fh_handover){.fd = -1};
}

int fh_handover_begin(fh_handover *ret, const char *program, const int *sockets, size_t count, fh_err **err)
{
    int pair[2];
    *ret = (fh_handover){.fd = -1};
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
        return fh_err_errno(err, FH_E_IO, errno, "cannot make a socket pair");
    ret->fd = pair[0];
    int rc = start_program(program, pair[1], &ret->pid, err);
    close(pair[1]);
    if (!rc) rc = send_sockets(ret->fd, sockets, count, err);
    if (!rc) rc = hear(ret->fd, READY, err);
    if (rc) fh_handover_end(ret);
    return rc;
}

int fh_handover_go(fh_handover *h, fh_err **err)
{
    int rc = say(h->fd, GO, err);
    if (!rc) rc = hear(h->fd, SERVING, err);
    if (!rc) h->pid = 0; /* lives on its own from here */
    fh_handover_end(h);
    return rc;
}
