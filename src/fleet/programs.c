/* What an engine's installation consists of (see programs.h). A program of its own: its folder, and the folder "lib" beside it. A script of
 * Python's: the environment that its first line names, and the Python that this was made from. Folders of the system are there anyhow, and
 * are not opened whole. More than that its owner names. */
#include "programs.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "sys/file.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ASK_NS       (20 * FH_NS_PER_S)
#define ANSWER_BYTES 65536
#define LINKS_MAX    8
#define ASK_MEMORY   (UINT64_C(4) << 30)

/* What lies in a folder that is there already is there too. */
static bool holds(const char *part, const char *path)
{
    size_t n = strlen(part);
    return strncmp(part, path, n) == 0 && (path[n] == 0 || path[n] == '/');
}

static int add_part(fh_program *p, const char *path, fh_err **err)
{
    for (size_t i = 0; i < p->count; i++)
        if (holds(p->parts[i], path)) return 0;
    if (p->count == FH_PROGRAM_PARTS || strlen(path) >= FH_PROGRAM_PATH)
        return fh_err_set(err, FH_E_INVALID, "the installation of %s has too many parts", p->path);
    snprintf(p->parts[p->count], FH_PROGRAM_PATH, "%s", path);
    p->runs[p->count] = p->parts[p->count];
    p->runs[++p->count] = NULL;
    return 0;
}

/* Cuts the last component off: "/a/b" becomes "/a", "/a" becomes "". */
static void go_up(char *path)
{
    char *slash = strrchr(path, '/');
    if (slash) *slash = 0;
}

/* Folders that hold what is not the engine's: the system's own, and a person's home. */
static bool is_shared(const char *folder)
{
    static const char *const shared[] = {"",           "/bin",           "/sbin", "/usr",  "/usr/bin", "/usr/sbin",
                                         "/usr/local", "/usr/local/bin", "/opt",  "/root", "/home",    "/tmp"};
    const char *home = getenv("HOME");
    for (size_t i = 0; i < FH_COUNT(shared); i++)
        if (strcmp(folder, shared[i]) == 0) return true;
    return home && strcmp(folder, home) == 0;
}

static int add_folder(fh_program *p, const char *folder, const char *sub, fh_err **err)
{
    char path[FH_PROGRAM_PATH];
    int n = snprintf(path, sizeof path, "%s%s%s", folder, *sub ? "/" : "", sub);
    bool fits = n > 0 && (size_t)n < sizeof path;
    return fits && !is_shared(path) && fh_file_exists(path) ? add_part(p, path, err) : 0;
}

/* ---- scripts ---- */

/* The interpreter of a script's first line; false for what is none. */
static bool read_interpreter(const char *path, char *out, size_t out_size)
{
    char line[FH_PROGRAM_PATH];
    FH_AUTO(fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, line, sizeof line - 1) : -1;
    if (n < 3 || line[0] != '#' || line[1] != '!') return false;
    line[n] = 0;
    const char *begin = line + 2 + strspn(line + 2, " \t");
    size_t len = strcspn(begin, " \t\r\n");
    if (*begin != '/' || len >= out_size) return false;
    snprintf(out, out_size, "%.*s", (int)len, begin);
    return true;
}

/* Each name that leads to the interpreter, and at last the file. */
static int add_links(fh_program *p, const char *from, char last[FH_PROGRAM_PATH], fh_err **err)
{
    int rc = 0;
    snprintf(last, FH_PROGRAM_PATH, "%s", from);
    for (int i = 0; rc == 0 && i < LINKS_MAX; i++) {
        char target[FH_PROGRAM_PATH], next[2 * FH_PROGRAM_PATH];
        rc = add_part(p, last, err);
        ssize_t n = readlink(last, target, sizeof target - 1);
        if (rc != 0 || n <= 0) return rc;
        target[n] = 0;
        char folder[FH_PROGRAM_PATH];
        snprintf(folder, sizeof folder, "%s", last);
        go_up(folder);
        int len = target[0] == '/' ? snprintf(next, sizeof next, "%s", target) : snprintf(next, sizeof next, "%s/%s", folder, target);
        if (len < 0 || len >= FH_PROGRAM_PATH) return fh_err_set(err, FH_E_INVALID, "the path of %s is too long", from);
        memcpy(last, next, (size_t)len + 1);
    }
    return rc;
}

/* ENVIRONMENT/bin/python leads to PREFIX/bin/python3.N. */
static int add_python(fh_program *p, fh_err **err)
{
    char environment[FH_PROGRAM_PATH], mark[FH_PROGRAM_PATH + 16], prefix[FH_PROGRAM_PATH];
    snprintf(environment, sizeof environment, "%s", p->interpreter);
    go_up(environment);
    go_up(environment);
    snprintf(mark, sizeof mark, "%s/pyvenv.cfg", environment);
    int rc = fh_file_exists(mark) ? add_folder(p, environment, "", err) : 0;
    if (rc == 0) rc = add_links(p, p->interpreter, prefix, err);
    go_up(prefix);
    go_up(prefix);
    if (rc == 0 && !is_shared(prefix)) rc = add_folder(p, prefix, "bin", err);
    return rc != 0 || is_shared(prefix) ? rc : add_folder(p, prefix, "lib", err);
}

static int add_tools(const fh_catalog_engine *e, fh_program *p, fh_err **err)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && e->tools[i]; i++)
        if (access(e->tools[i], X_OK) == 0) rc = add_part(p, e->tools[i], err);
    return rc;
}

static int add_parts(const fh_catalog_engine *e, fh_program *p, fh_err **err)
{
    char folder[FH_PROGRAM_PATH];
    snprintf(folder, sizeof folder, "%s", p->path);
    go_up(folder);
    bool script = read_interpreter(p->path, p->interpreter, sizeof p->interpreter);
    int rc = add_tools(e, p, err);
    if (e->ask == FH_ENGINE_ASK_PYTHON) return rc == 0 && script ? add_python(p, err) : rc;
    if (rc == 0) rc = script ? add_links(p, p->interpreter, (char[FH_PROGRAM_PATH]){0}, err) : 0;
    if (rc == 0) rc = add_folder(p, folder, "", err);
    go_up(folder);
    return rc != 0 || is_shared(folder) ? rc : add_folder(p, folder, "lib", err);
}

/* ---- finding ---- */

/* What its owner said of it, behind the "="; NULL: nothing. */
static const char *told_of(const char *const *told, const char *id)
{
    size_t n = strlen(id);
    for (; told && *told; told++)
        if (strncmp(*told, id, n) == 0 && (*told)[n] == '=') return *told + n + 1;
    return NULL;
}

int fh_programs_check(const char *const *told, fh_err **err)
{
    for (; told && *told; told++) {
        size_t n = strcspn(*told, "=");
        const fh_catalog_engine *e = fh_catalog_engine_find((fh_str){*told, n});
        if (e && !fh_catalog_engine_is_own(e) && (*told)[n] == '=' && (*told)[n + 1] == '/') continue;
        int rc = fh_err_set(err, FH_E_USAGE, "\"%.128s\" does not say where an engine is", *told);
        fh_err_hint(err,
                    "say ENGINE=PROGRAM with a path that begins with /, as llama-server=/opt/llama/bin/llama-server; more folders that "
                    "it reads follow behind colons");
        return rc;
    }
    return 0;
}

static int use_path(const char *path, fh_program *p, fh_err **err)
{
    FH_AUTO(ptr) char *real = NULL;
    int rc = fh_path_real(path, &real, err);
    if (rc == 0 && (access(real, X_OK) != 0 || strlen(real) >= sizeof p->path))
        rc = fh_err_set(err, FH_E_NOT_FOUND, "%s is no program that can be run", path);
    if (rc == 0) snprintf(p->path, sizeof p->path, "%s", real);
    return rc;
}

static int look_in_path(const fh_catalog_engine *e, fh_program *p)
{
    const char *path = getenv("PATH");
    for (size_t len; path && *path; path += len + (path[len] == ':')) {
        char file[FH_PROGRAM_PATH];
        len = strcspn(path, ":");
        int n = snprintf(file, sizeof file, "%.*s/%s", (int)len, path, e->program);
        if (*path == '/' && n > 0 && (size_t)n < sizeof file && access(file, X_OK) == 0 && use_path(file, p, NULL) == 0) return 0;
    }
    return FH_E_NOT_FOUND;
}

static int not_installed(const fh_catalog_engine *e, const char *where, fh_err **err)
{
    int rc = fh_err_set(err, FH_E_UNSUPPORTED, "%s is not installed here: there is no %s%s", e->name, where ? where : e->program,
                        where ? "" : " in the server's PATH");
    fh_err_hint(err, "install it (from %s to below %s), and say where: freehold serve --engine %s=/PATH/%s", e->version_least,
                e->version_below, e->id, e->program);
    return rc;
}

/* "PROGRAM[:PART...]" */
static int take_told(const fh_catalog_engine *e, const char *said, fh_program *p, fh_err **err)
{
    char path[FH_PROGRAM_PATH];
    size_t len = strcspn(said, ":");
    snprintf(path, sizeof path, "%.*s", (int)len, said);
    if (use_path(path, p, NULL) != 0) return not_installed(e, path, err);
    int rc = add_parts(e, p, err);
    for (said += len; rc == 0 && *said == ':'; said += len) {
        len = strcspn(++said, ":");
        snprintf(path, sizeof path, "%.*s", (int)len, said);
        if (path[0] != '/' || !fh_file_exists(path))
            return fh_err_set(err, FH_E_UNSUPPORTED, "there is no %s, which %s is to read", path, e->name);
        rc = add_part(p, path, err);
    }
    return rc;
}

static int no_network(const fh_catalog_engine *e, fh_err **err)
{
    int rc = fh_err_set(err, FH_E_UNSUPPORTED, "%s listens on TCP alone, and its sandbox has no network", e->name);
    fh_err_hint(err, "run it yourself, and add it as an endpoint: freehold provider add NAME --url http://127.0.0.1:PORT");
    return rc;
}

int fh_program_find(const char *const *told, const char *own, const fh_catalog_engine *e, fh_program *ret, fh_err **err)
{
    memset(ret, 0, sizeof *ret);
    const char *said = told_of(told, e->id);
    if (e->listens != FH_ENGINE_LISTENS_UNIX) return no_network(e, err);
    if (fh_catalog_engine_is_own(e)) return use_path(own, ret, err);
    if (said) return take_told(e, said, ret, err);
    return look_in_path(e, ret) != 0 ? not_installed(e, NULL, err) : add_parts(e, ret, err);
}

int fh_fleet_engine_here(const fh_fleet_config *c, const fh_catalog_engine *e, fh_err **err)
{
    fh_program p;
    return fh_program_find(c->engines, c->program, e, &p, err);
}

/* ---- asking ---- */

int fh_program_ask(const fh_catalog_engine *e, const char *least, fh_program *p, fh_sandbox_kind kind, fh_err **err)
{
    static const char *const env[] = {"LC_ALL=C.UTF-8", "PATH=/nonexistent", "HOME=/tmp", FH_PROGRAM_SANITIZER_ENV, NULL}, *const none[] = {
                                                                                                                               NULL};
    const char *argv[FH_ENGINE_WORDS + 1] = {e->ask == FH_ENGINE_ASK_PYTHON && *p->interpreter ? p->interpreter : p->path};
    FH_AUTO(buf) fh_buf said = FH_BUF(ANSWER_BYTES);
    for (size_t i = 0; e->version_arguments[i] && i + 1 < FH_ENGINE_WORDS; i++) argv[i + 1] = e->version_arguments[i];
    fh_sandbox_spec spec = {.argv = argv, .env = env, .read_only = none, .read_write = none, .runs = p->runs, .memory_bytes = ASK_MEMORY};
    int rc = fh_sandbox_ask(kind, &spec, ASK_NS, &said, err);
    if (rc == 0) rc = fh_engine_version_check(e, least, (fh_str){fh_buf_cstr(&said), said.len}, p->version, err);
    if (rc == 0) return 0;
    fh_log(FH_LOG_WARN, "fleet", "engine=%s asked for its version it said: %.*s", e->id, (int)FH_MIN(said.len, (size_t)400),
           fh_buf_cstr(&said));
    return fh_err_add(err, "%s", p->path);
}
