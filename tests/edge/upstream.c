/* An engine that computes nothing: it answers at once with known text, so that what is measured or attacked in front of it is the gateway
 * alone. One thread, HTTP/1.1 over a unix socket or loopback, only as much of it as the gateway speaks.
 *
 *   upstream unix:PATH|PORT [RECORD]     RECORD gets a line "METHOD PATH BODY-BYTES" for each POST
 *
 * A chat request with "stream":true gets max_tokens events and [DONE]; with "user":"hold" one event and then nothing, until POST /release
 * lets all that are held have the rest, and GET /held says how many they are; with "user":"flood" events without end, as fast as they are
 * taken. Others get a whole answer. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { IN_BYTES = 1 << 16, OUT_BYTES = 1 << 16, EVENTS = 256 };

typedef struct conn {
    int fd;
    char *in;
    size_t in_len, in_cap;
    char out[OUT_BYTES];
    size_t out_len, out_sent;
    long left;                 /* events that are still to be written; -1: without end */
    bool ending;               /* the end of the stream is still to be written */
    bool last;                 /* the client wants the connection closed */
    long held;                 /* events behind the first one, until the release */
    struct conn *next, **from; /* of those that are held */
    bool writing;
} conn;

static int epoll_fd, record_fd = -1;
static conn *holding;

#define PLAIN                                                                                                                              \
    "{\"id\":\"chatcmpl-1\",\"object\":\"chat.completion\",\"created\":1,\"model\":\"synthetic\",\"choices\":[{\"index\":0,\"message\":"   \
    "{\"role\":\"assistant\",\"content\":\"The quick brown fox jumps over the lazy dog.\"},\"finish_reason\":\"stop\"}],\"usage\":"        \
    "{\"prompt_tokens\":10,\"completion_tokens\":10,\"total_tokens\":20}}"
#define EVENT                                                                                                                              \
    "data: {\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"synthetic\",\"choices\":[{\"index\":0,"   \
    "\"delta\":{\"content\":\" fox\"},\"finish_reason\":null}]}\n\n"
#define LAST                                                                                                                               \
    "data: {\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"synthetic\",\"choices\":[{\"index\":0,"   \
    "\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n"
#define USAGE                                                                                                                              \
    "data: {\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"synthetic\",\"choices\":[],\"usage\":"    \
    "{\"prompt_tokens\":10,\"completion_tokens\":10,\"total_tokens\":20}}\n\n"

static void watch(conn *c, bool writing)
{
    struct epoll_event e = {.events = EPOLLIN | (writing ? EPOLLOUT : 0u), .data.ptr = c};
    if (c->writing != writing) epoll_ctl(epoll_fd, EPOLL_CTL_MOD, c->fd, &e);
    c->writing = writing;
}

static void hold(conn *c, long rest)
{
    c->held = rest;
    c->next = holding;
    c->from = &holding;
    if (holding) holding->from = &c->next;
    holding = c;
}

static void let_go(conn *c)
{
    if (!c->from) return;
    *c->from = c->next;
    if (c->next) c->next->from = c->from;
    c->from = NULL;
}

static void end(conn *c)
{
    let_go(c);
    close(c->fd);
    free(c->in);
    free(c);
}

static void put(conn *c, const char *text, size_t bytes)
{
    memcpy(c->out + c->out_len, text, bytes);
    c->out_len += bytes;
}

static void put_chunk(conn *c, const char *text, size_t bytes)
{
    char size[16];
    put(c, size, (size_t)snprintf(size, sizeof size, "%zx\r\n", bytes));
    put(c, text, bytes);
    put(c, "\r\n", 2);
}

/* As many events as have room. */
static void fill(conn *c)
{
    if (c->out_sent == c->out_len) c->out_sent = c->out_len = 0;
    while (c->left != 0 && c->out_len + sizeof EVENT + 64 < OUT_BYTES / 2) {
        put_chunk(c, EVENT, sizeof EVENT - 1);
        if (c->left > 0) c->left--;
    }
    if (c->left != 0 || !c->ending || c->out_len + 2048 > OUT_BYTES) return;
    put_chunk(c, LAST, sizeof LAST - 1);
    put_chunk(c, USAGE, sizeof USAGE - 1);
    put_chunk(c, "data: [DONE]\n\n", 14);
    put(c, "0\r\n\r\n", 5);
    c->ending = false;
}

/* False when the connection has ended. */
static bool flush(conn *c)
{
    for (;;) {
        fill(c);
        if (c->out_sent == c->out_len) break;
        ssize_t n = send(c->fd, c->out + c->out_sent, c->out_len - c->out_sent, MSG_NOSIGNAL);
        if (n < 0 && errno == EAGAIN) {
            watch(c, true);
            return true;
        }
        if (n < 0) return false;
        c->out_sent += (size_t)n;
    }
    watch(c, false);
    return !c->last || c->ending;
}

static void record(const char *head, size_t body)
{
    char line[256];
    int n = snprintf(line, sizeof line, "%.*s %zu\n", (int)strcspn(head, "\r\n"), head, body);
    if (record_fd >= 0 && write(record_fd, line, (size_t)n) != n) perror("record");
}

static void reply_whole(conn *c, const char *text, size_t bytes)
{
    char head[160];
    put(c, head,
        (size_t)snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n", bytes));
    put(c, text, bytes);
}

static bool flush(conn *c);

static void release(void)
{
    while (holding) {
        conn *c = holding;
        let_go(c);
        c->left = c->held;
        c->ending = true;
        flush(c); /* one that broke meanwhile is seen by serve() */
    }
}

static void reply_stream(conn *c, const char *body)
{
    static const char head[] = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
    const char *most = strstr(body, "\"max_tokens\":");
    bool held = strstr(body, "\"user\":\"hold\""), flood = strstr(body, "\"user\":\"flood\"");
    long events = most ? atol(most + strlen("\"max_tokens\":")) : 10;
    put(c, head, sizeof head - 1);
    c->left = flood ? -1 : held ? 1 : events;
    c->ending = !held;
    if (held) hold(c, events > 1 ? events - 1 : 0);
}

static void reply_held(conn *c)
{
    char text[32];
    int count = 0;
    for (const conn *h = holding; h; h = h->next) count++;
    reply_whole(c, text, (size_t)snprintf(text, sizeof text, "{\"held\":%d}", count));
}

static void reply(conn *c, const char *head, const char *body, size_t body_bytes)
{
    static const char ready[] = "{\"status\":\"ready\"}";
    if (strncmp(head, "GET /held ", 10) == 0) {
        reply_held(c);
        return;
    }
    if (strncmp(head, "POST", 4) != 0) {
        reply_whole(c, ready, sizeof ready - 1);
        return;
    }
    if (strncmp(head, "POST /release ", 14) == 0) {
        release();
        reply_whole(c, ready, sizeof ready - 1);
        return;
    }
    record(head, body_bytes);
    if (strstr(body, "\"stream\":true") || strstr(body, "\"stream\": true"))
        reply_stream(c, body);
    else
        reply_whole(c, PLAIN, sizeof PLAIN - 1);
}

/* One request, when it is whole and the one before has been answered. */
static bool step(conn *c)
{
    char *head_end = c->in_len ? strstr(c->in, "\r\n\r\n") : NULL;
    if (!head_end || c->left != 0 || c->ending || c->out_len != c->out_sent) return false;
    const char *length = strcasestr(c->in, "\r\nContent-Length:");
    size_t head = (size_t)(head_end + 4 - c->in), body = length && length < head_end ? strtoul(length + 17, NULL, 10) : 0;
    if (c->in_len < head + body) return false;
    *head_end = '\0';
    char kept = c->in[head + body];
    c->in[head + body] = '\0';
    c->last = strcasestr(c->in, "connection: close") != NULL;
    reply(c, c->in, c->in + head, body);
    c->in[head + body] = kept;
    c->in_len -= head + body;
    memmove(c->in, c->in + head + body, c->in_len + 1);
    return true;
}

static bool receive(conn *c)
{
    for (;;) {
        if (c->in_cap - c->in_len < IN_BYTES / 4) {
            c->in_cap = c->in_cap ? 2 * c->in_cap : 8192;
            c->in = realloc(c->in, c->in_cap + 1);
            if (!c->in) abort();
            continue;
        }
        ssize_t n = recv(c->fd, c->in + c->in_len, c->in_cap - c->in_len, 0);
        if (n < 0 && errno == EAGAIN) return true;
        if (n <= 0) return false;
        c->in_len += (size_t)n;
        c->in[c->in_len] = '\0';
        if (c->in_len < c->in_cap) return true;
    }
}

static void serve(conn *c, uint32_t what)
{
    bool open = true;
    if (what & (EPOLLIN | EPOLLHUP | EPOLLERR)) open = receive(c);
    do open = open && flush(c);
    while (open && step(c));
    if (!open) end(c);
}

static void take(int listener)
{
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC), on = 1;
    conn *c = fd < 0 ? NULL : calloc(1, sizeof *c);
    if (!c) return;
    c->fd = fd;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &e);
}

static int listen_at(const char *where)
{
    bool local = strncmp(where, "unix:", 5) == 0;
    struct sockaddr_un path = {.sun_family = AF_UNIX};
    struct sockaddr_in port = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(where)), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int on = 1, fd = socket(local ? AF_UNIX : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (local) {
        snprintf(path.sun_path, sizeof path.sun_path, "%s", where + 5);
        unlink(path.sun_path);
    }
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    int rc = local ? bind(fd, (struct sockaddr *)&path, sizeof path) : bind(fd, (struct sockaddr *)&port, sizeof port);
    if (rc == 0 && listen(fd, 4096) == 0) return fd;
    perror(where);
    exit(1);
}

int main(int argc, char **argv)
{
    struct epoll_event events[EVENTS], first = {.events = EPOLLIN, .data.ptr = NULL};
    struct rlimit files;
    if (argc < 2) return 2;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    if (argc > 2) record_fd = open(argv[2], O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    int listener = listen_at(argv[1]);
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listener, &first);
    for (;;) {
        int n = epoll_wait(epoll_fd, events, EVENTS, -1);
        for (int i = 0; i < n; i++) {
            if (events[i].data.ptr)
                serve(events[i].data.ptr, events[i].events);
            else
                take(listener);
        }
    }
}
