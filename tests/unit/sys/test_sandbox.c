/* Both sandboxes, by a program that tries what it must not: this very program, started inside with the word "inside" and the name of an
 * attempt. Each attempt prints "denied", "allowed" or what went wrong. */
#include "cmocka_all.h"

#include "base/clock.h"
#include "base/fault.h"
#include "base/mem.h"
#include "base/str.h"
#include "sandbox_private.h"
#include "sys/file.h"
#include "sys/sandbox.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static char folder[64], self_path[512];
static fh_sandbox_kind kind;
static bool granted; /* processes and a loopback */

/* ---- inside ---- */

static int say(bool allowed)
{
    printf("%s\n", allowed ? "allowed" : "denied");
    fflush(stdout);
    return 0;
}

static bool can_open(const char *path, int flags)
{
    int fd = open(path, flags, 0600);
    if (fd >= 0) close(fd);
    return fd >= 0;
}

static int try_unix_socket(const char *path, bool client)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    if (client) return say(connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0 || errno != EPERM);
    return say(bind(fd, (struct sockaddr *)&a, sizeof(a)) == 0 && listen(fd, 1) == 0);
}

static void *nothing(void *arg)
{
    return arg;
}

static int try_memory(size_t mib)
{
    char *p = mmap(NULL, mib << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return say(p != MAP_FAILED);
}

static int try_map_file(const char *path)
{
    fh_mapping m;
    int rc = fh_file_map(path, &m, NULL);
    return say(rc == 0 && m.bytes > (256u << 20));
}

static int try_fork(void)
{
    pid_t p = fork();
    if (p == 0) _exit(0);
    return say(p > 0);
}

static int try_new_user(void)
{
    long p = syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0);
    if (p == 0) _exit(0);
    return say(p > 0);
}

static int try_connect(const char *port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port)), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    return say(connect(socket(AF_INET, SOCK_STREAM, 0), (struct sockaddr *)&a, sizeof(a)) == 0);
}

static int try_environment(void)
{
    const char *named = getenv("NAMED");
    return say(getenv("SECRET") || !named || strcmp(named, "yes") != 0);
}

static int try_capabilities(void)
{
    FH_AUTO(buf) fh_buf b = FH_BUF(65536);
    fh_file_read("/proc/self/status", 65536, &b, NULL);
    const char *text = fh_buf_cstr(&b);
    bool none = strstr(text, "CapEff:\t0000000000000000") && strstr(text, "CapPrm:\t0000000000000000") && strstr(text, "NoNewPrivs:\t1");
    return say(!none || (getuid() == 0 && !strstr(text, "CapBnd:\t0000000000000000"))); /* others never had a way to use the bounding set */
}

static _Noreturn void hang(bool deaf)
{
    signal(SIGTERM, deaf ? SIG_IGN : SIG_DFL);
    printf("up\n");
    fflush(stdout);
    for (;;) pause();
}

static int inside(const char *what, const char *path, const char *number)
{
    uint8_t params[128] = {0};
    pthread_t t;
    if (!strcmp(what, "tcp")) return say(socket(AF_INET, SOCK_STREAM, 0) >= 0);
    if (!strcmp(what, "udp6")) return say(socket(AF_INET6, SOCK_DGRAM, 0) >= 0);
    if (!strcmp(what, "netlink")) return say(socket(AF_NETLINK, SOCK_RAW, 0) >= 0);
    if (!strcmp(what, "packet")) return say(socket(AF_PACKET, SOCK_RAW, 0) >= 0);
    if (!strcmp(what, "vsock")) return say(socket(AF_VSOCK, SOCK_STREAM, 0) >= 0);
    if (!strcmp(what, "netfilter")) return say(socket(AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER) >= 0);
    if (!strcmp(what, "new-user")) return try_new_user();
    if (!strcmp(what, "reach")) return try_connect(number);
    if (!strcmp(what, "io_uring")) return say(syscall(SYS_io_uring_setup, 4, params) >= 0 || errno != EPERM);
    if (!strcmp(what, "bpf")) return say(syscall(SYS_bpf, 0, params, 128) >= 0 || errno != EPERM);
    if (!strcmp(what, "userfaultfd")) return say(syscall(SYS_userfaultfd, 1) >= 0);
    if (!strcmp(what, "ptrace")) return say(ptrace(PTRACE_TRACEME, 0, 0, 0) == 0);
    if (!strcmp(what, "unshare")) return say(syscall(SYS_unshare, 0x10000000) == 0);
    if (!strcmp(what, "fork")) return try_fork();
    if (!strcmp(what, "thread")) return say(pthread_create(&t, NULL, nothing, NULL) == 0 && pthread_join(t, NULL) == 0);
    if (!strcmp(what, "read")) return say(can_open(path, O_RDONLY));
    if (!strcmp(what, "write")) return say(can_open(path, O_WRONLY));
    if (!strcmp(what, "create")) return say(can_open(path, O_WRONLY | O_CREAT));
    if (!strcmp(what, "unlink")) return say(unlink(path) == 0);
    if (!strcmp(what, "chmod")) return say(chmod(path, 0777) == 0);
    if (!strcmp(what, "truncate")) return say(truncate(path, 0) == 0);
    if (!strcmp(what, "exec")) return execl(path, path, NULL) == 0 ? 0 : say(false);
    if (!strcmp(what, "bind")) return try_unix_socket(path, false);
    if (!strcmp(what, "connect")) return try_unix_socket(path, true);
    if (!strcmp(what, "kill")) return say(kill(atoi(number), 0) == 0);
    if (!strcmp(what, "raise")) return say(raise(0) == 0);
    if (!strcmp(what, "memory")) return try_memory((size_t)atoi(number));
    if (!strcmp(what, "map")) return try_map_file(path);
    if (!strcmp(what, "environment")) return try_environment();
    if (!strcmp(what, "capabilities")) return try_capabilities();
    hang(!strcmp(what, "deaf"));
}

/* ---- outside ---- */

static const char *at(const char *name)
{
    static char path[4][256];
    static unsigned next;
    char *p = path[next++ % 4];
    snprintf(p, sizeof(path[0]), "%s/%s", folder, name);
    return p;
}

static int try_start(const char *what, const char *path, const char *number, fh_process *ret, int *ret_out, fh_err **err)
{
    const char *const argv[] = {self_path, "inside", what, path ? path : "", number ? number : "", NULL};
    const char *const env[] = {"NAMED=yes", "ASAN_OPTIONS=detect_leaks=0", "LSAN_OPTIONS=detect_leaks=0", NULL};
    static char ro[256], rw[256];
    snprintf(ro, sizeof(ro), "%s/ro", folder);
    snprintf(rw, sizeof(rw), "%s/rw", folder);
    const char *const read_only[] = {ro, NULL}, *const read_write[] = {rw, NULL};
    int pipes[2];
    if (pipe2(pipes, O_CLOEXEC) != 0) return fh_err_errno(err, FH_E_IO, errno, "no pipe");
    fh_sandbox_spec spec = {.argv = argv,
                            .env = env,
                            .read_only = read_only,
                            .read_write = read_write,
                            .memory_bytes = UINT64_C(256) << 20,
                            .processes = 16,
                            .may_fork = granted,
                            .has_loopback = granted,
                            .log_fd = pipes[1]};
    int rc = fh_sandbox_start(kind, &spec, ret, err);
    close(pipes[1]);
    *ret_out = pipes[0];
    return rc;
}

static void start(const char *what, const char *path, const char *number, fh_process *ret, int *ret_out)
{
    fh_err *err = NULL;
    if (try_start(what, path, number, ret, ret_out, &err)) fail_msg("%s: %s", fh_sandbox_name(kind), fh_err_message(err));
}

static void read_word(int fd, char *out, size_t size)
{
    size_t len = 0;
    struct pollfd p = {fd, POLLIN, 0};
    while (len + 1 < size && !memchr(out, '\n', len) && poll(&p, 1, 20000) > 0) {
        ssize_t n = read(fd, out + len, size - 1 - len);
        if (n <= 0) break;
        len += (size_t)n;
    }
    out[len] = 0;
    out[strcspn(out, "\n")] = 0;
}

static void expect(const char *outcome, const char *what, const char *path, const char *number)
{
    fh_process p;
    int fd;
    char word[4096] = "";
    start(what, path, number, &p, &fd);
    read_word(fd, word, sizeof(word));
    close(fd);
    if (strcmp(word, outcome) != 0)
        fail_msg("%s: %s %s: wanted \"%s\", got \"%s\"", fh_sandbox_name(kind), what, path ? path : "", outcome, word);
}

static void the_probe_runs_something_real(void **state)
{
    (void)state;
    fh_err *err = NULL;
    if (fh_sandbox_probe_kind(kind, &err) != 0) fail_msg("%s: %s (%s)", fh_sandbox_name(kind), fh_err_message(err), fh_err_hint_get(err));
    fh_sandbox_kind best;
    assert_int_equal(fh_sandbox_probe(&best, &err), 0);
}

static bool write_text(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY);
    bool good = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
    if (fd >= 0) close(fd);
    return good;
}

/* As on machines that do not let users make namespaces. */
static int probe_without_namespaces(void)
{
    char map[64];
    fh_sandbox_kind found;
    fh_err *err = NULL;
    snprintf(map, sizeof(map), "0 %d 1", (int)getuid());
    if (unshare(CLONE_NEWUSER) != 0 || !write_text("/proc/self/setgroups", "deny") || !write_text("/proc/self/uid_map", map)) return 2;
    if (!write_text("/proc/sys/user/max_user_namespaces", "0")) return 2;
    if (fh_sandbox_probe_kind(FH_SANDBOX_BUBBLEWRAP, &err) == 0) return 3;
    fh_err_free(err);
    return fh_sandbox_probe(&found, NULL) == 0 && found == FH_SANDBOX_LANDLOCK ? 0 : 4;
}

static void where_namespaces_are_not_to_be_had_landlock_holds(void **state)
{
    (void)state;
    int status;
    pid_t child = fork();
    if (child == 0) _exit(probe_without_namespaces());
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 2) {
        print_message("# no namespace to try it in: this user may make none, or a sanitizer has a thread of its own\n");
        skip();
    }
    assert_int_equal(status, 0);
}

static void there_is_no_network(void **state)
{
    (void)state;
    expect("denied", "tcp", NULL, NULL);
    expect("denied", "udp6", NULL, NULL);
    expect("denied", "netlink", NULL, NULL);
    expect("denied", "connect", at("rw/any"), NULL);
}

static void dangerous_system_calls_are_refused(void **state)
{
    (void)state;
    static const char *const calls[] = {"io_uring", "bpf", "userfaultfd", "ptrace", "unshare", "fork", "capabilities", "environment"};
    for (size_t i = 0; i < FH_COUNT(calls); i++) expect("denied", calls[i], NULL, NULL);
    expect("allowed", "thread", NULL, NULL);
    expect("allowed", "raise", NULL, NULL);
}

/* Ports that listen outside are not those of its own loopback. */
static void what_is_granted_opens_no_way_out(void **state)
{
    (void)state;
    static const char *const calls[] = {"io_uring", "bpf",    "userfaultfd", "ptrace",    "unshare",
                                        "new-user", "packet", "vsock",       "netfilter", "capabilities"};
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(a);
    char port[16];
    FH_AUTO(fd) int listener = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(bind(listener, (struct sockaddr *)&a, len) == 0 && listen(listener, 1) == 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&a, &len), 0);
    snprintf(port, sizeof(port), "%u", ntohs(a.sin_port));
    granted = true;
    expect("allowed", "fork", NULL, NULL);
    expect("allowed", "tcp", NULL, NULL);
    expect("allowed", "netlink", NULL, NULL);
    expect("denied", "reach", NULL, port);
    for (size_t i = 0; i < FH_COUNT(calls); i++) expect("denied", calls[i], NULL, NULL);
    granted = false;
}

static void landlock_grants_nothing_that_it_cannot_hold(void **state)
{
    (void)state;
    FH_AUTO(fh_err) fh_err *err = NULL;
    fh_sandbox_spec fork_too = {.may_fork = true}, loopback = {.has_loopback = true}, network = {.has_network = true},
                    neither = {.tmp_bytes = 1};
    assert_int_equal(fh_sandbox_grants(FH_SANDBOX_LANDLOCK, &fork_too, &err), FH_E_UNAVAILABLE);
    assert_non_null(strstr(fh_err_hint_get(err), "bubblewrap"));
    assert_int_equal(fh_sandbox_grants(FH_SANDBOX_LANDLOCK, &loopback, NULL), FH_E_UNAVAILABLE);
    assert_int_equal(fh_sandbox_grants(FH_SANDBOX_LANDLOCK, &network, NULL), FH_E_UNAVAILABLE);
    assert_int_equal(fh_sandbox_grants(FH_SANDBOX_LANDLOCK, &neither, NULL), 0);
    assert_int_equal(fh_sandbox_grants(FH_SANDBOX_BUBBLEWRAP, &fork_too, NULL), 0);
}

static void a_program_is_asked_until_it_has_ended_or_its_time_is_over(void **state)
{
    (void)state;
    const char *const says[] = {self_path, "inside", "raise", "", "", NULL}, *const hangs[] = {self_path, "inside", "hang", "", "", NULL};
    const char *const env[] = {"ASAN_OPTIONS=detect_leaks=0", NULL}, *const none[] = {NULL};
    FH_AUTO(buf) fh_buf said = FH_BUF(4096);
    fh_sandbox_spec spec = {.argv = says, .env = env, .read_only = none, .read_write = none};
    assert_int_equal(fh_sandbox_ask(kind, &spec, 20 * FH_NS_PER_S, &said, NULL), 0);
    assert_non_null(strstr(fh_buf_cstr(&said), "allowed"));
    spec.argv = hangs;
    int64_t begun = fh_clock_mono_ns();
    assert_int_equal(fh_sandbox_ask(kind, &spec, 300 * FH_NS_PER_MS, &said, NULL), 0);
    assert_true(fh_clock_mono_ns() - begun < 20 * FH_NS_PER_S);
}

static void files_that_were_not_given_cannot_be_read(void **state)
{
    (void)state;
    static const char *const secrets[] = {"/etc/shadow", "/etc/passwd", "/root/.profile", "/usr/bin/env", "/dev/mem"};
    for (size_t i = 0; i < FH_COUNT(secrets); i++) expect("denied", "read", secrets[i], NULL);
    expect("denied", "read", at("secret"), NULL);
    expect("denied", "exec", "/bin/sh", NULL);
    if (kind == FH_SANDBOX_LANDLOCK)
        expect("denied", "read", "/proc/1/environ", NULL); /* under bubblewrap process 1 is the sandbox's own */
}

static void weights_can_be_read_but_not_changed(void **state)
{
    (void)state;
    expect("allowed", "read", at("ro/weights"), NULL);
    expect("denied", "write", at("ro/weights"), NULL);
    expect("denied", "truncate", at("ro/weights"), NULL);
    expect("denied", "unlink", at("ro/weights"), NULL);
    expect("denied", "chmod", at("ro/weights"), NULL);
    expect("denied", "create", at("ro/new"), NULL);
    expect("denied", "write", self_path, NULL);
}

static void its_own_folder_takes_a_socket(void **state)
{
    (void)state;
    expect("allowed", "bind", at("rw/socket"), NULL);
    struct stat st;
    assert_int_equal(stat(at("rw/socket"), &st), 0);
    assert_true(S_ISSOCK(st.st_mode));
    assert_int_equal(unlink(at("rw/socket")), 0);
    if (kind == FH_SANDBOX_LANDLOCK)
        expect("denied", "bind", at("elsewhere"), NULL);
    else
        expect("allowed", "bind", at("elsewhere"), NULL); /* in a /tmp of its own, that nobody else sees */
    assert_false(fh_file_exists(at("elsewhere")));
}

static void it_cannot_signal_others(void **state)
{
    (void)state;
    char pid[32];
    snprintf(pid, sizeof(pid), "%d", getpid());
    expect("denied", "kill", NULL, pid);
}

static void memory_is_limited_but_large_weights_can_be_mapped(void **state)
{
    (void)state;
    if (!FH_SANDBOX_MEMORY_LIMIT) {
        print_message("# a sanitizer's own memory would not fit under the limit, so there is none\n");
        skip();
    }
    expect("denied", "memory", NULL, "300");
    expect("allowed", "memory", NULL, "100");
    expect("allowed", "map", at("ro/weights"), NULL);
}

static void wait_gone(const fh_process *p)
{
    for (int i = 0; i < 500 && fh_process_alive(p); i++) fh_sleep_ns(10 * FH_NS_PER_MS);
    assert_false(fh_process_alive(p));
}

static bool nothing_left(void)
{
    char marker[300];
    snprintf(marker, sizeof(marker), "%s/rw/left", folder);
    for (int i = 0; i < 300; i++) {
        if (fh_process_sweep(marker, NULL, NULL, 0) == 0) return true;
        fh_sleep_ns(10 * FH_NS_PER_MS);
    }
    return false;
}

/* Every process that has our mark on its command line: under bubblewrap the outer one, process 1 inside, and the program. */
static size_t marked(fh_process *ret, size_t max)
{
    size_t n = 0;
    for (pid_t pid = 2; pid < 4194304 && n < max; pid++) {
        char path[64], line[8192];
        snprintf(path, sizeof(path), "/proc/%d/cmdline", pid);
        int fd = open(path, O_RDONLY);
        if (fd < 0) {
            if (pid > getpid() + 20000) break;
            continue;
        }
        ssize_t len = read(fd, line, sizeof(line));
        close(fd);
        if (len > 0 && memmem(line, (size_t)len, "rw/left", 7) && fh_process_find(pid, &ret[n], NULL) == 0) n++;
    }
    return n;
}

static void killing_any_of_its_processes_leaves_none(void **state)
{
    (void)state;
    size_t count = kind == FH_SANDBOX_BUBBLEWRAP ? 3 : 1;
    for (unsigned mask = 1; mask < 1u << count; mask++) {
        fh_process p, all[8];
        int fd;
        char word[64] = "";
        start("deaf", at("rw/left"), NULL, &p, &fd);
        read_word(fd, word, sizeof(word));
        assert_string_equal(word, "up");
        assert_int_equal(marked(all, 8), count);
        for (size_t i = 0; i < count; i++) {
            if (mask >> i & 1) kill(all[i].pid, SIGKILL);
        }
        wait_gone(&p);
        assert_true(nothing_left());
        close(fd);
    }
}

static void its_end_is_seen_at_once(void **state)
{
    (void)state;
    fh_process p;
    int fd, pidfd;
    char word[64] = "";
    start("hang", at("rw/left"), NULL, &p, &fd);
    read_word(fd, word, sizeof(word));
    assert_int_equal(fh_process_open(&p, &pidfd, NULL), 0);
    fh_process_use use = {.cpu_ns = -1};
    assert_int_equal(fh_process_usage(&p, &use), 0);
    assert_true(use.rss_bytes > 100000 && use.cpu_ns >= 0);
    assert_true(use.own_bytes > 0 && use.own_bytes < use.rss_bytes);
    int64_t before = fh_clock_mono_ns();
    fh_process_signal(&p, SIGTERM);
    struct pollfd w = {pidfd, POLLIN, 0};
    assert_int_equal(poll(&w, 1, 5000), 1);
    assert_true(fh_clock_mono_ns() - before < FH_NS_PER_S);
    wait_gone(&p);
    assert_int_equal(fh_process_open(&p, &pidfd, NULL), FH_E_NOT_FOUND);
    close(fd);
    close(w.fd);
}

static bool spare_all(void *arg, const char *argument)
{
    (void)arg;
    return strstr(argument, "/rw/left") != NULL;
}

static void a_deaf_one_is_killed_by_the_sweep(void **state)
{
    (void)state;
    fh_process p;
    int fd;
    char word[64] = "";
    start("deaf", at("rw/left"), NULL, &p, &fd);
    read_word(fd, word, sizeof(word));
    fh_process_signal(&p, SIGTERM);
    fh_sleep_ns(50 * FH_NS_PER_MS);
    assert_true(fh_process_alive(&p));
    char marker[300];
    snprintf(marker, sizeof(marker), "%s/rw/", folder);
    assert_int_equal(fh_process_sweep(marker, spare_all, NULL, SIGKILL), 0);
    assert_true(fh_process_alive(&p));
    assert_true(fh_process_sweep(marker, NULL, NULL, SIGKILL) >= 1);
    wait_gone(&p);
    assert_true(nothing_left());
    close(fd);
}

static void it_outlives_the_one_that_started_it(void **state)
{
    (void)state;
    int pipes[2];
    assert_int_equal(pipe(pipes), 0);
    pid_t server = fork();
    if (server == 0) {
        fh_process p;
        int fd;
        char word[64] = "";
        start("hang", at("rw/left"), NULL, &p, &fd);
        read_word(fd, word, sizeof(word));
        (void)!write(pipes[1], &p, sizeof(p));
        pause();
    }
    fh_process p;
    assert_int_equal(read(pipes[0], &p, sizeof(p)), sizeof(p));
    kill(server, SIGKILL);
    waitpid(server, NULL, 0);
    fh_sleep_ns(200 * FH_NS_PER_MS);
    assert_true(fh_process_alive(&p));
    fh_process_signal(&p, SIGKILL);
    wait_gone(&p);
    assert_true(nothing_left());
    close(pipes[0]);
    close(pipes[1]);
}

static void a_command_is_run_to_its_end_or_its_deadline(void **state)
{
    (void)state;
    const char *const good[] = {"/bin/true", NULL}, *const bad[] = {"/bin/false", NULL}, *const slow[] = {"/bin/sleep", "20", NULL},
                      *const none[] = {"/nonexistent", NULL};
    const char *const env[] = {NULL};
    fh_err *err = NULL;
    assert_int_equal(fh_command_run(good, env, 5 * FH_NS_PER_S, NULL), 0);
    assert_int_equal(fh_command_run(bad, env, 5 * FH_NS_PER_S, &err), FH_E_UNAVAILABLE);
    assert_int_equal(fh_command_run(none, env, 5 * FH_NS_PER_S, &err), FH_E_UNAVAILABLE);
    int64_t before = fh_clock_mono_ns();
    assert_int_equal(fh_command_run(slow, env, 50 * FH_NS_PER_MS, &err), FH_E_TIMEOUT);
    assert_true(fh_clock_mono_ns() - before < 5 * FH_NS_PER_S);
    fh_err_free(err);
}

static void a_start_whose_starter_is_killed_leaves_none(void **state)
{
    (void)state;
    for (int64_t us = 0; us < 30000; us += 1000) {
        pid_t server = fork();
        if (server == 0) {
            for (;;) {
                fh_process p;
                int fd = -1;
                try_start("tcp", at("rw/left"), NULL, &p, &fd, NULL); /* ends by itself, perhaps before it was looked at */
                close(fd);
            }
        }
        fh_sleep_ns(us * 1000);
        kill(server, SIGKILL);
        waitpid(server, NULL, 0);
    }
    assert_true(nothing_left());
}

static void another_process_of_the_same_number_is_not_it(void **state)
{
    (void)state;
    fh_process p = {.pid = getpid(), .start_ticks = 1};
    int fd;
    assert_false(fh_process_alive(&p));
    assert_int_equal(fh_process_open(&p, &fd, NULL), FH_E_NOT_FOUND);
    fh_process_signal(&p, SIGKILL); /* and we are still here */
    assert_int_equal(fh_process_find(getpid(), &p, NULL), 0);
    assert_true(fh_process_alive(&p));
}

static void a_failing_start_is_an_error_that_says_why(void **state)
{
    (void)state;
    const char *const argv[] = {"/nonexistent/program", NULL}, *const none[] = {NULL};
    fh_sandbox_spec spec = {.argv = argv, .env = none, .read_only = none, .read_write = none, .log_fd = 2};
    fh_process p;
    fh_err *err = NULL;
    fh_fault_arm(FH_FAULT_SPAWN, 1, false);
    assert_int_equal(fh_sandbox_start(kind, &spec, &p, &err), FH_E_UNAVAILABLE);
    fh_fault_disarm();
    if (kind == FH_SANDBOX_LANDLOCK) assert_int_not_equal(fh_sandbox_start(kind, &spec, &p, &err), 0);
    assert_non_null(strstr(fh_err_message(err), "cannot start"));
    fh_err_free(err);
}

static int setup(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/fh-sandbox-XXXXXX");
    if (!mkdtemp(folder) || fh_dir_make(at("ro"), 0700, NULL) != 0 || fh_dir_make(at("rw"), 0700, NULL) != 0) return -1;
    if (fh_file_write_atomic(at("secret"), "s", 1, 0600, NULL) != 0 || fh_file_write_atomic(at("ro/weights"), "w", 1, 0600, NULL) != 0)
        return -1;
    setenv("SECRET", "must not be seen", 1);
    return truncate(at("ro/weights"), 512 << 20); /* sparse: larger than the memory limit */
}

static int teardown(void **state)
{
    (void)state;
    return fh_dir_remove(folder, NULL);
}

static int use_bubblewrap(void **state)
{
    (void)state;
    kind = FH_SANDBOX_BUBBLEWRAP;
    return 0;
}

static int use_landlock(void **state)
{
    (void)state;
    kind = FH_SANDBOX_LANDLOCK;
    return 0;
}

#define BOTH(test) cmocka_unit_test_setup(test, use_bubblewrap), cmocka_unit_test_setup(test, use_landlock)

int main(int argc, char **argv)
{
    if (argc == 5 && strcmp(argv[1], "inside") == 0) return inside(argv[2], argv[3], argv[4]);
    ssize_t n = readlink("/proc/self/exe", self_path, sizeof(self_path) - 1);
    if (n <= 0) return 1;
    const struct CMUnitTest tests[] = {
        BOTH(the_probe_runs_something_real),
        BOTH(there_is_no_network),
        BOTH(dangerous_system_calls_are_refused),
        cmocka_unit_test_setup(what_is_granted_opens_no_way_out, use_bubblewrap),
        cmocka_unit_test(landlock_grants_nothing_that_it_cannot_hold),
        BOTH(a_program_is_asked_until_it_has_ended_or_its_time_is_over),
        BOTH(files_that_were_not_given_cannot_be_read),
        BOTH(weights_can_be_read_but_not_changed),
        BOTH(its_own_folder_takes_a_socket),
        BOTH(it_cannot_signal_others),
        BOTH(memory_is_limited_but_large_weights_can_be_mapped),
        BOTH(killing_any_of_its_processes_leaves_none),
        BOTH(its_end_is_seen_at_once),
        BOTH(a_deaf_one_is_killed_by_the_sweep),
        BOTH(it_outlives_the_one_that_started_it),
        BOTH(a_start_whose_starter_is_killed_leaves_none),
        BOTH(a_failing_start_is_an_error_that_says_why),
        cmocka_unit_test(where_namespaces_are_not_to_be_had_landlock_holds),
        cmocka_unit_test(a_command_is_run_to_its_end_or_its_deadline),
        cmocka_unit_test(another_process_of_the_same_number_is_not_it),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
