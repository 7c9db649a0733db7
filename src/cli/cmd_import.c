/* freehold import and verify: weights that come in, and whether they still are what they were.
 *
 * Through a server a file must lie in one of its import folders. One that lies elsewhere on the same machine is put into such a folder
 * first (a hard link where that works, else a copy), and taken out again afterwards, also when a signal stops us. */
#include "base/clock.h"
#include "client.h"
#include "server/imports.h"
#include "server/models.h"
#include "sys/file.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define POLL_NS (100 * FH_NS_PER_MS)
#define STOP_NS (10 * FH_NS_PER_S) /* for the server to take away what it has copied */

static int stopped(fh_err **err)
{
    return fh_err_set(err, FH_E_CANCELLED, "the import was stopped");
}

/* A line that is written over, on a terminal only. */
static bool show_progress(void *arg, uint64_t done, uint64_t total)
{
    char a[24], b[24];
    (void)arg;
    if (fh_cli_caught()) return false;
    if (!isatty(STDERR_FILENO)) return true;
    fh_cli_bytes(done, a, sizeof a);
    fh_cli_bytes(total, b, sizeof b);
    fprintf(stderr, "\r\033[K%s of %s", a, b);
    if (total && done >= total) fprintf(stderr, "\r\033[K");
    fflush(stderr);
    return true;
}

static int import_local(fh_weights *w, const char *path, const char *id, fh_json **ret, fh_err **err)
{
    fh_weights_item item;
    FH_AUTO(fh_weights_source) fh_weights_source *source = NULL;
    int rc = fh_weights_source_open(&source, NULL, path, err);
    if (!rc) rc = fh_weights_import(w, source, id, show_progress, NULL, &item, err);
    if (rc) return rc;
    *ret = fh_weights_view_json(w, &item);
    return *ret ? 0 : fh_err_nomem(err);
}

static int job_failed(const fh_json *job, fh_err **err)
{
    fh_err_set(err, FH_E_INVALID, "%s", fh_cli_str_of(job, "error"));
    if (fh_cli_str_of(job, "hint")[0]) fh_err_hint(err, "%s", fh_cli_str_of(job, "hint"));
    return FH_E_INVALID;
}

static bool show_job(const fh_json *job)
{
    return show_progress(NULL, (uint64_t)fh_json_int(fh_json_get(job, "done_bytes"), 0),
                         (uint64_t)fh_json_int(fh_json_get(job, "total_bytes"), 0));
}

/* Until the server is done with it; takes job. A signal stops it there too, and what it has copied is gone when we are. */
static int wait_import(const fh_cli_client *s, fh_json *job, fh_json **ret, fh_err **err)
{
    char path[256];
    int64_t until = 0;
    FH_AUTO(json) fh_json *now = job;
    fh_client_path(path, sizeof path, "/api/v1/weights/imports/", fh_cli_str_of(job, "id"), "");
    while (strcmp(fh_cli_str_of(now, "state"), "running") == 0 && (!until || fh_clock_mono_ns() < until)) {
        if (!show_job(now) && !until) {
            until = fh_clock_mono_ns() + STOP_NS;
            fh_client_call(s, "DELETE", path, NULL, NULL, NULL); /* refused: it has ended by itself */
        }
        fh_sleep_ns(POLL_NS);
        fh_json *next = NULL;
        int rc = fh_client_call(s, "GET", path, NULL, &next, err);
        if (rc) return rc;
        fh_json_unref(now);
        now = next;
    }
    if (strcmp(fh_cli_str_of(now, "state"), "done") != 0) return until ? stopped(err) : job_failed(now, err);
    *ret = fh_json_ref((fh_json *)(uintptr_t)fh_json_get(now, "weights"));
    return 0;
}

static int post_import(const fh_cli_client *s, const char *path, const char *id, fh_json **ret, fh_err **err)
{
    FH_AUTO(json) fh_json *body = fh_json_new_object();
    fh_json *job = NULL;
    fh_json_set(body, "path", fh_json_new_cstr(path));
    if (id) fh_json_set(body, "id", fh_json_new_cstr(id));
    int rc = fh_client_call(s, "POST", "/api/v1/weights", body, &job, err);
    return rc ? rc : wait_import(s, job, ret, err);
}

static int stop_copy(void *arg, const void *data, size_t bytes, uint64_t done, uint64_t total, fh_err **err)
{
    (void)arg;
    (void)data;
    (void)bytes;
    (void)done;
    (void)total;
    return fh_cli_caught() ? stopped(err) : 0;
}

/* The server's own user must be able to read it; nobody else gets into the import folder. */
static int put_staged(const char *path, const char *to, fh_err **err)
{
    if (link(path, to) == 0) return 0;
    int rc = fh_file_copy_durable(path, to, stop_copy, NULL, err);
    return rc || chmod(to, 0644) == 0 ? rc : fh_err_errno(err, FH_E_IO, errno, "cannot make %s readable", to);
}

static int put_member(void *arg, const char *name, fh_err **err)
{
    const char *const *folders = arg; /* from, to */
    char from[PATH_MAX + NAME_MAX + 2], to[PATH_MAX + NAME_MAX + 2];
    struct stat st;
    snprintf(from, sizeof from, "%s/%s", folders[0], name);
    snprintf(to, sizeof to, "%s/%s", folders[1], name);
    return stat(from, &st) == 0 && S_ISREG(st.st_mode) ? put_staged(from, to, err) : 0;
}

/* A file, or the files of a folder. */
static int put_all(const char *path, const char *to, fh_err **err)
{
    struct stat st;
    const char *folders[] = {path, to};
    if (stat(path, &st) != 0 || !S_ISDIR(st.st_mode)) return put_staged(path, to, err);
    if (mkdir(to, 0755) != 0 || chmod(to, 0755) != 0) return fh_err_errno(err, FH_E_IO, errno, "cannot make %s", to);
    return fh_dir_each(path, put_member, folders, err);
}

/* Puts the file into a folder of its own in the server's import folder: by that name the server's next start sweeps it, should we not get
 * so far. FH_E_FORBIDDEN when that is not ours to write. */
static int stage(const fh_cli_client *s, const char *path, char folder[PATH_MAX], char *file, size_t file_size, fh_err **err)
{
    FH_AUTO(json) fh_json *machine = NULL;
    int rc = fh_client_call(s, "GET", "/api/v1/machine", NULL, &machine, err);
    if (rc) return rc;
    fh_str import = fh_json_str(fh_json_at(fh_json_get(machine, "import_dirs"), 0));
    if (!import.len || access(import.ptr, W_OK) != 0)
        return fh_err_set(err, FH_E_FORBIDDEN, "the server's import folder is not ours to write");
    snprintf(folder, PATH_MAX, "%s/" FH_IMPORT_STAGED "%d", import.ptr, (int)getpid());
    int n = snprintf(file, file_size, "%s%s", folder, strrchr(path, '/'));
    if (n < 0 || (size_t)n >= file_size) return fh_err_set(err, FH_E_INVALID, "path too long: %.200s", path);
    if (mkdir(folder, 0755) != 0 || chmod(folder, 0755) != 0) return fh_err_errno(err, FH_E_IO, errno, "cannot make %s", folder);
    rc = put_all(path, file, err);
    if (rc) fh_dir_remove(folder, NULL);
    return rc;
}

static int import_staged(const fh_cli_client *s, const char *path, const char *id, fh_json **ret, fh_err **err)
{
    char folder[PATH_MAX], file[PATH_MAX + NAME_MAX];
    int rc = stage(s, path, folder, file, sizeof file, err);
    if (rc) return rc;
    rc = post_import(s, file, id, ret, err);
    fh_dir_remove(folder, NULL);
    if (rc) fh_err_replace(err, file, path); /* the person gave another name */
    return rc;
}

static int import_remote(const fh_cli_client *s, const char *path, const char *id, fh_json **ret, fh_err **err)
{
    fh_err *refused = NULL, *unstaged = NULL;
    int rc = post_import(s, path, id, ret, &refused);
    bool outside = rc == FH_E_FORBIDDEN && !strstr(path, "-of-");
    int staged = outside ? import_staged(s, path, id, ret, &unstaged) : FH_E_FORBIDDEN;
    if (staged != FH_E_FORBIDDEN) { /* what the server said of the staged file says more than that it lay elsewhere */
        rc = staged;
        fh_err_move(&refused, &unstaged);
    }
    if (rc) fh_err_move(err, &refused);
    fh_err_free(refused);
    fh_err_free(unstaged);
    return rc;
}

static int print_import(const fh_cli *c, const fh_json *w, fh_err **err)
{
    char bytes[24];
    FH_AUTO(buf) fh_buf out = FH_BUF(4096);
    if (c->json) return fh_cli_print_json_line(w, err);
    fh_cli_bytes((uint64_t)fh_json_int(fh_json_get(w, "bytes"), 0), bytes, sizeof bytes);
    fh_buf_addf(&out, "Imported %s, %s. `freehold run %s` runs it.\n", fh_cli_str_of(w, "id"), bytes, fh_cli_str_of(w, "id"));
    return fh_cli_print(&out, err);
}

/* Said before anything is linked, copied or sent, under the name that was given. */
static int check_magic(const char *path, const char *given, fh_err **err)
{
    char magic[4] = "";
    struct stat st;
    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode)) return 0; /* of safetensors: looked at where it is copied */
    FILE *file = fopen(path, "rbe");
    if (!file) return fh_err_errno(err, FH_E_IO, errno, "cannot read %s", given);
    size_t n = fread(magic, 1, sizeof magic, file);
    fclose(file);
    if (n == sizeof magic && memcmp(magic, "GGUF", sizeof magic) == 0) return 0;
    fh_err_set(err, FH_E_INVALID, "%s is no GGUF file: it does not begin with the letters GGUF", given);
    fh_err_hint(err, "freehold takes a GGUF file, or a folder of safetensors with its config.json; a download that was cut or saved as a "
                     "web page looks like this too");
    return FH_E_INVALID;
}

static int import_one(const fh_cli *c, fh_cli_folder *folder, const fh_cli_client *s, const char *file, fh_err **err)
{
    char path[PATH_MAX];
    FH_AUTO(json) fh_json *w = NULL;
    const char *id = fh_cli_text(c, "id", NULL);
    if (!realpath(file, path)) {
        fh_err_set(err, FH_E_NOT_FOUND, "there is no file %s", file);
        fh_err_hint(err,
                    "give the path of a GGUF file, of a split model the first, ...-00001-of-000NN.gguf; or of a folder of safetensors");
        return FH_E_NOT_FOUND;
    }
    int rc = check_magic(path, file, err);
    if (!rc) rc = folder->weights ? import_local(folder->weights, path, id, &w, err) : import_remote(s, path, id, &w, err);
    return rc ? rc : print_import(c, w, err);
}

static int run_import(fh_cli *c, fh_err **err)
{
    bool wants_folder = false;
    fh_cli_folder folder = {.lock_fd = -1};
    fh_cli_client s;
    int rc = fh_cli_wants_folder(c, &wants_folder, err);
    if (!rc && fh_cli_has(c, "id") && c->operand_count > 1)
        rc = fh_err_set(err, FH_E_USAGE, "--id names one file, not %zu", c->operand_count);
    if (!rc) rc = wants_folder ? fh_cli_folder_open(c, &folder, err) : fh_client_open(c, &s, err);
    fh_cli_catch_begin(FH_CLI_CATCH_END);
    for (size_t i = 0; !rc && i < c->operand_count; i++) rc = import_one(c, &folder, &s, c->operands[i], err);
    fh_cli_catch_end(FH_CLI_CATCH_END);
    fh_cli_folder_close(&folder);
    return rc;
}

static int verify_one(const fh_cli *c, fh_weights *w, const fh_weights_item *item, fh_err **err)
{
    FH_AUTO(buf) fh_buf out = FH_BUF(4096);
    int rc = fh_weights_verify(w, item->digest, show_progress, NULL, err);
    if (rc) return fh_err_add(err, "%s", item->id);
    if (c->json) {
        FH_AUTO(json) fh_json *o = fh_json_new_object();
        fh_json_set(o, "id", fh_json_new_cstr(item->id));
        fh_json_set(o, "digest", fh_json_new_cstr(item->digest));
        fh_json_set(o, "good", fh_json_new_bool(true));
        return fh_cli_print_json_line(o, err);
    }
    fh_buf_addf(&out, "%s is good: every byte is as it came (SHA-256 %.12s...)\n", item->id, item->digest);
    return fh_cli_print(&out, err);
}

/* Reads only, and what is in the store never changes: it works beside a server, too. */
static int run_verify(fh_cli *c, fh_err **err)
{
    char data[1024];
    FH_AUTO(fh_weights) fh_weights *w = NULL;
    FH_AUTO(ptr) fh_weights_item *list = NULL;
    fh_weights_item one;
    size_t count = 1;
    const char *name = fh_cli_operand(c, 0);
    int rc = fh_cli_data_dir(c, data, sizeof data, err);
    if (!rc) rc = fh_weights_open(&w, data, false, err);
    if (!rc) rc = name ? fh_weights_find(w, name, &one, err) : fh_weights_list(w, &list, &count, NULL, err);
    for (size_t i = 0; !rc && i < count; i++) rc = verify_one(c, w, name ? &one : &list[i], err);
    return rc;
}

static const fh_cli_flag import_flags[] = {
    {"id", 0, FH_CLI_TEXT, "NAME", "a name of your own for a file that the catalogue does not know", 0, 0},
    {"data", 0, FH_CLI_TEXT, "DIR", "work on this data folder, without a server (which must not run on it)", 0, 0},
    {NULL, 0, FH_CLI_BOOL, NULL, NULL, 0, 0},
};
static const fh_cli_flag verify_flags[] = {
    {"data", 0, FH_CLI_TEXT, "DIR", "the data folder (or FREEHOLD_DATA; default $XDG_DATA_HOME/freehold)", 0, 0},
    {NULL, 0, FH_CLI_BOOL, NULL, NULL, 0, 0},
};
static const char *const import_examples[] = {"freehold import SmolLM2-135M-Instruct.Q4_1.gguf",
                                              "freehold import --id my-model ./my-model-00001-of-00003.gguf", "freehold import ./Qwen3-8B",
                                              NULL};

const fh_cli_verb fh_verb_import = {
    .name = "import",
    .group = "Models and weights",
    .summary = "take GGUF files, or folders of safetensors, into your weights",
    .operands = "FILE...",
    .min_operands = 1,
    .max_operands = 1000,
    .about = "The file is copied and checked. What the catalogue knows by its SHA-256 gets its name from there.\n\nOf a folder the files "
             "that an "
             "engine needs are taken: config.json, safetensors, tokenizer, templates. Programs are not.",
    .examples = import_examples,
    .flags = import_flags,
    .run = run_import,
};
const fh_cli_verb fh_verb_verify = {
    .name = "verify",
    .group = "Models and weights",
    .summary = "read weights again and compare every byte",
    .operands = "[MODEL]",
    .max_operands = 1,
    .flags = verify_flags,
    .run = run_verify,
};
