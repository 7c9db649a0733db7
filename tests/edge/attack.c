/* Strangers who do harm, as one small program that costs the machine that they share with whoever is measured as little as it can: one
 * thread, that runs only where a processor is idle, wakes once a millisecond, and whose system calls are short.
 *
 *   attack PORT KEY-FILE KIND CONNECTIONS SECONDS [FROM...]
 *
 * headers, bodies   begin a request on each connection and never end it: TRICKLE_PER_S pieces a second go round
 * large             a body of 2 GiB with the right key, announced on every other connection, chunked on the rest; each goes on until it is
 * reset unkeyed           the same with a guessed key, and of those that are announced half are as long as a body may be fields 100,000
 * header lines on each connection keys[:MOST]       a guessed key on each connection, another one as soon as there is a reply; ends when
 * there are so many replies BODY-FILE,...     these bodies, a file a connection, with the right key, again as soon as there is a reply
 *
 * A connection that ends is replaced by a new one. FROM: addresses of this machine that they come from, in turn. Ends with one line of
 * JSON: what it would have sent, what was taken from it, and the replies by their status. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    TRICKLE_PER_S = 10000,
    FLOOD_BYTES_PER_S = 640 << 20,
    OPENS_PER_S = 10000,
    PIECE_BYTES = 16 << 10, /* as a network card hands them on: longer ones keep a processor for as long as the kernel copies */
    EVENTS = 256,
    HEAD_BYTES = 8192,
    STATUSES = 600,
    HEADS = 4,
};
#define NS_PER_S 1000000000LL

/* What a connection sends: its head, then the pattern again and again, a piece at a time, until the limit. */
typedef struct script {
    char head[HEADS][HEAD_BYTES]; /* of the connections in turn */
    size_t head_len[HEADS];
    char *pattern;
    size_t pattern_len, piece, limit;
} script;

typedef struct conn {
    int fd; /* -1: none */
    size_t number, sent;
    bool ended; /* the server has shut its side */
} conn;

static script what;
static conn *conns;
static size_t count;
static struct sockaddr_in server;
static struct in_addr from[64];
static size_t from_count;
static char key[256], *bodies[16];
static size_t body_count;
static int epoll_fd;
static bool guesses, asks, floods;
static uint64_t opened, pieces, sent_bytes, offered_bytes, replies[STATUSES], answered, most_answers = UINT64_MAX, guessed, last_open;

static int64_t now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * NS_PER_S + t.tv_nsec;
}

static void fail(const char *why)
{
    perror(why);
    exit(1);
}

/* ---- what is sent ---- */

static size_t make_head(char *out, const char *bearer, const char *more)
{
    return (size_t)snprintf(
        out, HEAD_BYTES,
        "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\n%s", bearer,
        more);
}

static void begin_with(const char *bearer, const char *const more[HEADS])
{
    for (int i = 0; i < HEADS; i++) what.head_len[i] = make_head(what.head[i], bearer, more[i]);
}

static void repeat(const char *text, size_t times, size_t piece, size_t limit)
{
    size_t len = strlen(text);
    what.pattern = malloc(len * times);
    what.pattern_len = len * times;
    for (size_t i = 0; i < times; i++) memcpy(what.pattern + i * len, text, len);
    what.piece = piece;
    what.limit = limit;
}

static void chunks(void)
{
    enum { LINE = 8, CHUNK = 1 << 20 };
    what.pattern = malloc(LINE + CHUNK + 2);
    memcpy(what.pattern, "100000\r\n", LINE);
    memset(what.pattern + LINE, 'a', CHUNK);
    memcpy(what.pattern + LINE + CHUNK, "\r\n", 2);
    what.pattern_len = LINE + CHUNK + 2;
    what.piece = PIECE_BYTES;
    what.limit = SIZE_MAX;
}

static char *read_file(const char *name)
{
    enum { MOST = 1 << 16 };
    FILE *f = fopen(name, "r");
    if (!f) fail(name);
    char *text = calloc(1, MOST);
    if (fread(text, 1, MOST - 1, f) == 0) fail(name);
    fclose(f);
    return text;
}

static void read_bodies(char *names)
{
    for (char *rest = names, *name; (name = strtok_r(rest, ",", &rest)) && body_count < 16;) bodies[body_count++] = read_file(name);
    asks = true;
}

static void choose(char *kind)
{
    static const char *const unended[HEADS] = {"", "", "", ""};
    static const char *const slow[HEADS] = {"Content-Length: 100000\r\n\r\n", "Content-Length: 100000\r\n\r\n",
                                            "Content-Length: 100000\r\n\r\n", "Content-Length: 100000\r\n\r\n"};
    static const char *const large[HEADS] = {"Content-Length: 2147483648\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n",
                                             "Content-Length: 2147483648\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n"};
    static const char *const unkeyed[HEADS] = {"Content-Length: 2147483648\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n",
                                               "Content-Length: 33554432\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n"};
    what.limit = 0;
    if (strcmp(kind, "headers") == 0) {
        begin_with(key, unended);
        repeat("X-A: b\r\n", 1, 8, SIZE_MAX);
    } else if (strcmp(kind, "bodies") == 0) {
        begin_with(key, slow);
        repeat(" ", 1, 1, SIZE_MAX);
    } else if (strcmp(kind, "large") == 0) {
        begin_with(key, large);
        chunks();
        floods = true;
    } else if (strcmp(kind, "unkeyed") == 0) {
        begin_with("fh_guessed0_0000000000000000000000000000000000000000000", unkeyed);
        chunks();
        floods = true;
    } else if (strcmp(kind, "fields") == 0) {
        begin_with(key, unended);
        repeat("X-A: b\r\n", PIECE_BYTES / 8, PIECE_BYTES, 800000);
        floods = true;
    } else if (strcmp(kind, "keys") == 0) {
        guesses = true;
    } else if (strncmp(kind, "keys:", 5) == 0) {
        guesses = true;
        most_answers = strtoull(kind + 5, NULL, 10);
    } else {
        read_bodies(kind);
    }
}

/* ---- connections ---- */

static void open_conn(conn *c)
{
    int on = 1;
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (c->fd < 0) fail("socket");
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (from_count) {
        struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = from[opened % from_count]};
        setsockopt(c->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
        if (bind(c->fd, (struct sockaddr *)&at, sizeof at) != 0) fail("bind");
    }
    if (connect(c->fd, (struct sockaddr *)&server, sizeof server) != 0 && errno != EINPROGRESS) fail("connect");
    struct epoll_event e = {.events = EPOLLIN | EPOLLRDHUP | EPOLLET, .data.ptr = c};
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, c->fd, &e);
    c->number = (size_t)opened++;
    c->sent = 0;
    c->ended = false;
}

static void close_conn(conn *c)
{
    close(c->fd);
    c->fd = -1;
}

static bool send_bytes(conn *c, const char *data, size_t len)
{
    ssize_t n = send(c->fd, data, len, MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN) close_conn(c);
    if (n <= 0) return false;
    c->sent += (size_t)n;
    sent_bytes += (uint64_t)n;
    pieces++;
    return true;
}

/* The next piece of its script; false when it takes none now. */
static bool push(conn *c)
{
    if (c->fd < 0 || c->sent >= what.limit) return false;
    size_t head = what.head_len[c->number % HEADS];
    if (c->sent < head) return send_bytes(c, what.head[c->number % HEADS] + c->sent, head - c->sent);
    size_t at = (c->sent - head) % what.pattern_len, len = what.pattern_len - at;
    return send_bytes(c, what.pattern + at, len < what.piece ? len : what.piece);
}

/* A whole request. */
static void ask(conn *c)
{
    char more[128], wrong[64];
    const char *body = asks ? bodies[c->number % body_count] : "{}";
    size_t len = strlen(body);
    static char text[HEAD_BYTES + (1 << 16)];
    snprintf(wrong, sizeof wrong, "fh_%08llu_%043llu", (unsigned long long)guessed % 100000000, (unsigned long long)guessed);
    guessed++;
    snprintf(more, sizeof more, "Content-Length: %zu\r\n\r\n", len);
    size_t head = make_head(text, guesses ? wrong : key, more);
    memcpy(text + head, body, len);
    send_bytes(c, text, head + len);
}

static void heard(conn *c, uint32_t events)
{
    char in[4096];
    int status = 0;
    ssize_t n;
    while (c->fd >= 0 && (n = recv(c->fd, in, sizeof in - 1, 0)) > 0) {
        in[n] = '\0';
        if (sscanf(in, "HTTP/1.1 %d", &status) == 1 && status > 0 && status < STATUSES) {
            replies[status]++;
            answered++;
        }
        if (n < (ssize_t)sizeof in - 1 && !(events & EPOLLRDHUP)) break;
    }
    if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) c->ended = true;
    if (c->ended && !floods)
        close_conn(c);
    else if (status && (guesses || asks))
        ask(c);
}

/* ---- in time ---- */

/* How many of so many a second are due. */
static uint64_t due(int64_t elapsed_ns, uint64_t rate, uint64_t done)
{
    uint64_t want = (uint64_t)elapsed_ns * (rate / 1000) / (NS_PER_S / 1000);
    return want > done ? want - done : 0;
}

static void open_some(int64_t elapsed)
{
    static size_t at;
    uint64_t may = due(elapsed, OPENS_PER_S, last_open);
    last_open += may; /* what is not made use of is not saved up */
    for (size_t i = 0; i < count && may; i++, at = (at + 1) % count) {
        if (conns[at].fd >= 0) continue;
        open_conn(&conns[at]);
        if (guesses || asks)
            ask(&conns[at]);
        else
            push(&conns[at]);
        may--;
    }
}

static void trickle(int64_t elapsed)
{
    static uint64_t done;
    static size_t at;
    uint64_t n = due(elapsed, TRICKLE_PER_S, done);
    done += n;
    for (; n; n--, at = (at + 1) % count) push(&conns[at]);
}

static void flood(int64_t elapsed)
{
    static uint64_t done;
    uint64_t most = due(elapsed, FLOOD_BYTES_PER_S, done), before = sent_bytes;
    done += most;
    offered_bytes += most;
    for (size_t i = 0; i < count; i++) {
        conn *c = &conns[i];
        while (sent_bytes - before < most && push(c)) {
        }
        if (c->fd >= 0 && c->sent >= what.limit && c->ended) close_conn(c);
    }
}

static void run(int64_t began, int64_t ends)
{
    struct epoll_event list[EVENTS];
    for (int64_t t; (t = now()) < ends && answered < most_answers;) {
        open_some(t - began);
        if (floods)
            flood(t - began);
        else if (what.pattern)
            trickle(t - began);
        int n = epoll_wait(epoll_fd, list, EVENTS, guesses || asks ? 1 : 0);
        for (int i = 0; i < n; i++) heard(list[i].data.ptr, list[i].events);
        if (!guesses && !asks) nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
}

static void say(double seconds)
{
    printf("{\"seconds\":%.3f,\"connections\":%llu,\"pieces\":%llu,\"offered\":%llu,\"bytes\":%llu,\"replies\":{", seconds,
           (unsigned long long)opened, (unsigned long long)pieces, (unsigned long long)(floods ? offered_bytes : sent_bytes),
           (unsigned long long)sent_bytes);
    const char *comma = "";
    for (int i = 0; i < STATUSES; i++) {
        if (!replies[i]) continue;
        printf("%s\"%d\":%llu", comma, i, (unsigned long long)replies[i]);
        comma = ",";
    }
    struct rusage use;
    getrusage(RUSAGE_SELF, &use);
    printf("},\"processor_s\":%.3f}\n",
           (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) + (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec) / 1e6);
}

static void prepare(char **argv, int argc)
{
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    sched_setscheduler(0, SCHED_IDLE, &(struct sched_param){0});
    server =
        (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(argv[1])), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    char *text = read_file(argv[2]);
    snprintf(key, sizeof key, "%.*s", (int)strcspn(text, "\r\n"), text);
    free(text);
    for (int i = 6; i < argc && from_count < 64; i++) inet_pton(AF_INET, argv[i], &from[from_count++]);
    count = strtoul(argv[4], NULL, 10);
    conns = calloc(count, sizeof *conns);
    for (size_t i = 0; i < count; i++) conns[i].fd = -1;
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
}

int main(int argc, char **argv)
{
    if (argc < 6) return 2;
    prepare(argv, argc);
    choose(argv[3]);
    int64_t began = now();
    run(began, began + (int64_t)(atof(argv[5]) * 1e9));
    double seconds = (double)(now() - began) / 1e9;
    for (size_t i = 0; i < count; i++)
        if (conns[i].fd >= 0) close_conn(&conns[i]);
    say(seconds);
    return 0;
}
