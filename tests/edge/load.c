/* Clients that ask again as soon as they are answered, over kept connections, and what they saw: one line of JSON.
 *
 *   load TARGET KEY-FILE CONNECTIONS SECONDS plain|same|stream|hold [EVENTS]
 *
 * TARGET is unix:PATH, a PORT of this machine, or FROM@PORT: from another of its addresses. same asks what has one answer (temperature 0).
 * stream counts events and takes the time to the first. hold opens streams that stay silent, says "holding N" once each has begun, and ends
 * with its input. SIGTERM ends it early, and it says what it saw until then. Times are of the clients' thread: it sleeps only when nothing
 * has come. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { IN_BYTES = 1 << 16, EVENTS = 256, TIMES_MAX = 20000000 };

typedef struct client {
    int fd;
    char *in;
    size_t len;
    int64_t sent_ns;
    bool begun; /* a first event has come */
} client;

static client *clients; /* they live as long as the program */

typedef struct times {
    uint32_t *list; /* in 100 ns */
    size_t count;
} times;

static int epoll_fd;
static char request[4096];
static size_t request_bytes;
static bool streams, holds, same;
static times whole, first;
static uint64_t errors, events, begun, unanswered;
static bool stopping; /* what is answered is not followed by another */
static volatile sig_atomic_t ended;

static void end(int signo)
{
    (void)signo;
    ended = 1;
}

static int64_t now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void note(times *t, int64_t since)
{
    if (t->count < TIMES_MAX) t->list[t->count++] = (uint32_t)((now() - since) / 100);
}

static int by_size(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static double at(const times *t, double share)
{
    return t->count ? (double)t->list[(size_t)(share * (double)(t->count - 1))] / 10 : 0;
}

/* FROM@PORT. */
static void come_from(int fd, struct sockaddr_in *to, const char *target)
{
    const char *at = strchr(target, '@');
    char host[INET_ADDRSTRLEN] = "";
    if (!at) return;
    struct sockaddr_in from = {.sin_family = AF_INET};
    snprintf(host, sizeof host, "%.*s", (int)(at - target), target);
    inet_pton(AF_INET, host, &from.sin_addr);
    to->sin_port = htons((uint16_t)atoi(at + 1));
    if (bind(fd, (struct sockaddr *)&from, sizeof from) != 0) perror(target);
}

static int connect_to(const char *target)
{
    bool local = strncmp(target, "unix:", 5) == 0;
    struct sockaddr_un path = {.sun_family = AF_UNIX};
    struct sockaddr_in port = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(target)), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int on = 1, fd = socket(local ? AF_UNIX : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (!local) come_from(fd, &port, target);
    snprintf(path.sun_path, sizeof path.sun_path, "%s", local ? target + 5 : "");
    int rc = local ? connect(fd, (struct sockaddr *)&path, sizeof path) : connect(fd, (struct sockaddr *)&port, sizeof port);
    if (rc != 0) {
        perror(target);
        exit(1);
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return fd;
}

static void ask(client *c)
{
    c->len = 0;
    c->begun = false;
    c->sent_ns = now();
    unanswered++;
    if (send(c->fd, request, request_bytes, MSG_NOSIGNAL) != (ssize_t)request_bytes) errors++;
}

static void open_client(client *c, const char *target)
{
    c->fd = connect_to(target);
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, c->fd, &e);
    ask(c);
}

/* The whole reply to a plain request has come. */
static bool is_whole(const client *c)
{
    const char *head = strstr(c->in, "\r\n\r\n"), *length = strcasestr(c->in, "\r\nContent-Length:");
    return head && length && length < head && c->len >= (size_t)(head + 4 - c->in) + strtoul(length + 17, NULL, 10);
}

static void count_events(client *c, const char *from)
{
    for (const char *p = from; (p = strstr(p, "data: ")); p += 6) events++;
    if (c->begun || !strstr(c->in, "data: ")) return;
    c->begun = true;
    begun++;
    note(&first, c->sent_ns);
}

/* Keeps only the tail of a stream: an event's beginning that is not whole, and what its end is known by. */
static bool stream_ended(client *c, size_t before)
{
    static const char last[] = "\r\n0\r\n\r\n";
    count_events(c, c->in + (before > 5 ? before - 5 : 0));
    bool over = c->len >= 7 && memcmp(c->in + c->len - 7, last, 7) == 0;
    if (!over && c->len > IN_BYTES / 2) {
        memmove(c->in, c->in + c->len - 16, 17);
        c->len = 16;
    }
    return over;
}

static void heard(client *c)
{
    size_t before = c->len;
    ssize_t n = recv(c->fd, c->in + c->len, IN_BYTES - c->len, 0);
    if (n <= 0) {
        errors++;
        unanswered--;
        epoll_ctl(epoll_fd, EPOLL_CTL_DEL, c->fd, NULL);
        return;
    }
    c->len += (size_t)n;
    c->in[c->len] = '\0';
    if (before == 0 && strncmp(c->in, "HTTP/1.1 200", 12) != 0 && errors++ == 0) fprintf(stderr, "%.*s\n", 600, c->in);
    if (!(streams ? stream_ended(c, before) : is_whole(c))) return;
    note(&whole, c->sent_ns);
    unanswered--;
    if (!stopping) ask(c);
}

static void make_request(const char *key, long count)
{
    char body[512];
    int n = snprintf(
        body, sizeof body,
        "{\"model\":\"smollm2\",\"messages\":[{\"role\":\"user\",\"content\":\"Say something about foxes.\"}],\"max_tokens\":%ld%s%s%s}",
        count, streams ? ",\"stream\":true" : "", holds ? ",\"user\":\"hold\"" : "", same ? ",\"temperature\":0" : "");
    request_bytes = (size_t)snprintf(request, sizeof request,
                                     "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\nContent-Type: "
                                     "application/json\r\nContent-Length: "
                                     "%d\r\n\r\n%s",
                                     key, n, body);
}

static void run(int64_t until)
{
    struct epoll_event list[EVENTS];
    while (now() < until && !ended) {
        int n = epoll_wait(epoll_fd, list, EVENTS, 10);
        for (int i = 0; i < n; i++) heard(list[i].data.ptr);
    }
}

/* The last answers: so many were asked as are counted. */
static void drain(void)
{
    int64_t most = now() + 5000000000LL;
    ended = 0;
    stopping = true;
    while (unanswered && now() < most) run(now() + 1000000);
}

static void hold(uint64_t count)
{
    char byte;
    int64_t until = now() + 60000000000LL;
    while (begun < count && now() < until) run(now() + 10000000);
    printf("holding %llu\n", (unsigned long long)begun);
    fflush(stdout);
    while (read(STDIN_FILENO, &byte, 1) > 0) {
    }
}

static void read_key(const char *file, char *out, size_t size)
{
    FILE *f = fopen(file, "r");
    if (!f || !fgets(out, (int)size, f)) out[0] = '\0';
    if (f) fclose(f);
    out[strcspn(out, "\r\n")] = '\0';
}

static void raise_files(void)
{
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
}

int main(int argc, char **argv)
{
    char key[256];
    if (argc < 6) return 2;
    size_t count = strtoul(argv[3], NULL, 10);
    raise_files();
    read_key(argv[2], key, sizeof key);
    same = strcmp(argv[5], "same") == 0;
    streams = !same && strcmp(argv[5], "plain") != 0;
    holds = strcmp(argv[5], "hold") == 0;
    make_request(key, argc > 6 ? atol(argv[6]) : 10);
    whole.list = malloc(TIMES_MAX * sizeof(uint32_t));
    first.list = malloc(TIMES_MAX * sizeof(uint32_t));
    clients = calloc(count, sizeof *clients);
    epoll_fd = epoll_create1(0);
    for (size_t i = 0; i < count; i++) {
        clients[i].in = malloc(IN_BYTES + 1);
        open_client(&clients[i], argv[1]);
    }
    if (holds) {
        hold(count);
        return 0;
    }
    signal(SIGTERM, end);
    int64_t began = now();
    run(began + (int64_t)(atof(argv[4]) * 1e9));
    double seconds = (double)(now() - began) / 1e9;
    drain();
    qsort(whole.list, whole.count, sizeof *whole.list, by_size);
    qsort(first.list, first.count, sizeof *first.list, by_size);
    printf("{\"requests\":%zu,\"errors\":%llu,\"seconds\":%.3f,\"p50_us\":%.1f,\"p99_us\":%.1f,\"events\":%llu,\"first_p50_us\":%.1f,"
           "\"first_p99_us\":%.1f}\n",
           whole.count, (unsigned long long)errors, seconds, at(&whole, 0.5), at(&whole, 0.99), (unsigned long long)events, at(&first, 0.5),
           at(&first, 0.99));
    return errors ? 1 : 0;
}
