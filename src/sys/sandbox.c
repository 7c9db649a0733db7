/* The one door to both sandboxes: which works here, and starting something in it. The probe starts a real program and reads what it says.
 */
#include "sandbox_private.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#define PROBE_NS    (10 * FH_NS_PER_S)
#define PROBE_BYTES 4096
#define PROBE_TEXT  "freehold-probe"

const char *const fh_sandbox_system_libraries[] = {"/lib",       "/lib32",     "/lib64",      "/libx32",        "/usr/lib",
                                                   "/usr/lib32", "/usr/lib64", "/usr/libx32", "/usr/local/lib", NULL};
/* The loader's cache; the layout of processors and memory for hwloc; the limits that the engine's own control group sets it. */
const char *const fh_sandbox_system_files[] = {"/etc/ld.so.cache", "/sys/devices/system/cpu", "/sys/devices/system/node", "/sys/fs/cgroup",
                                               NULL};

const char *fh_sandbox_name(fh_sandbox_kind k)
{
    return k == FH_SANDBOX_BUBBLEWRAP ? "bubblewrap" : "landlock";
}

int fh_sandbox_grants(fh_sandbox_kind kind, const fh_sandbox_spec *spec, fh_err **err)
{
    if (kind == FH_SANDBOX_BUBBLEWRAP || (!spec->may_fork && !spec->has_loopback && !spec->has_network)) return 0;
    int rc =
        fh_err_set(err, FH_E_UNAVAILABLE, "it needs processes and a loopback of its own, which %s cannot give it", fh_sandbox_name(kind));
    fh_err_hint(err, "install bubblewrap (apt-get install bubblewrap) and allow user namespaces");
    return rc;
}

int fh_sandbox_start(fh_sandbox_kind kind, const fh_sandbox_spec *spec, fh_process *ret, fh_err **err)
{
    fh_process p = {.sandbox = kind};
    int rc = fh_sandbox_grants(kind, spec, err);
    if (rc != 0) return rc;
    rc = kind == FH_SANDBOX_BUBBLEWRAP ? fh_sandbox_start_bubblewrap(spec, &p, err) : fh_sandbox_start_landlock(spec, &p, err);
    if (rc == 0) *ret = p;
    return rc;
}

/* What the program wrote, until it closed its end. */
static void read_reply(int fd, int64_t timeout_ns, fh_buf *out)
{
    int64_t deadline = fh_clock_mono_ns() + timeout_ns;
    for (;;) {
        struct pollfd p = {fd, POLLIN, 0};
        int64_t left = deadline - fh_clock_mono_ns();
        char piece[512];
        if (left <= 0 || poll(&p, 1, (int)(left / FH_NS_PER_MS) + 1) <= 0) return;
        ssize_t n = read(fd, piece, sizeof(piece));
        if (n <= 0 || !fh_buf_add(out, piece, (size_t)n)) return;
    }
}

int fh_sandbox_ask(fh_sandbox_kind kind, const fh_sandbox_spec *spec, int64_t timeout_ns, fh_buf *out, fh_err **err)
{
    int pipes[2];
    if (pipe2(pipes, O_CLOEXEC) != 0) return fh_err_set(err, FH_E_UNAVAILABLE, "cannot make a pipe");
    FH_AUTO(fd) int in = pipes[0];
    fh_sandbox_spec asking = *spec;
    fh_process p;
    asking.log_fd = pipes[1];
    int rc = fh_sandbox_start(kind, &asking, &p, err);
    close(pipes[1]);
    read_reply(in, timeout_ns, out);
    if (rc == 0) fh_process_signal(&p, SIGKILL); /* it has ended, or its time is over */
    return rc;
}

int fh_sandbox_probe_kind(fh_sandbox_kind kind, fh_err **err)
{
    const char *const argv[] = {"/usr/bin/printf", PROBE_TEXT, NULL};
    const char *const env[] = {"LC_ALL=C", NULL};
    const char *const read_only[] = {"/usr/bin/printf", NULL};
    const char *const none[] = {NULL};
    fh_sandbox_spec spec = {.argv = argv, .env = env, .read_only = read_only, .read_write = none, .memory_bytes = UINT64_C(1) << 30};
    FH_AUTO(buf) fh_buf reply = FH_BUF(PROBE_BYTES);
    int rc = fh_sandbox_ask(kind, &spec, PROBE_NS, &reply, err);
    fh_str said = fh_str_trim(fh_str_of(fh_buf_cstr(&reply)));
    if (rc == 0 && !fh_str_eqs(said, PROBE_TEXT)) rc = fh_err_set(err, FH_E_UNAVAILABLE, "a program started in it did not run");
    if (rc != 0 && said.len) fh_err_hint(err, "%.*s", (int)FH_MIN(said.len, 300), said.ptr);
    return rc;
}

int fh_sandbox_probe(fh_sandbox_kind *ret, fh_err **err)
{
    static const fh_sandbox_kind kinds[] = {FH_SANDBOX_BUBBLEWRAP, FH_SANDBOX_LANDLOCK};
    FH_AUTO(buf) fh_buf why = FH_BUF(PROBE_BYTES);
    for (size_t i = 0; i < FH_COUNT(kinds); i++) {
        fh_err *e = NULL;
        if (fh_sandbox_probe_kind(kinds[i], &e) == 0) {
            *ret = kinds[i];
            return 0;
        }
        const char *detail = fh_err_hint_get(e);
        fh_buf_addf(&why, "%s%s: %s%s%s", i ? "; " : "", fh_sandbox_name(kinds[i]), fh_err_message(e), detail ? ": " : "",
                    detail ? detail : "");
        fh_err_free(e);
    }
    int rc =
        fh_err_set(err, FH_E_UNAVAILABLE, "no sandbox works on this machine, and engines do not run without one: %s", fh_buf_cstr(&why));
    fh_err_hint(err,
                "install bubblewrap (apt-get install bubblewrap) and allow user namespaces, or use a kernel with Landlock (5.13 or newer)");
    return rc;
}
