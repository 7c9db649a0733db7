/* The store of weights: what is in it is whole, whatever fails and whenever we are killed. */
#include "cmocka_all.h"
#include "torture.h"

#include "base/clock.h"
#include "base/limits.h"
#include "base/str.h"
#include "sys/file.h"
#include "tiny_gguf.c"
#include "weights/weights.h"
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static char data[64];
static fh_weights *store;

static const char *at(const char *name)
{
    static char path[4][256];
    static unsigned next;
    char *p = path[next++ % 4];
    snprintf(p, sizeof(path[0]), "%s/%s", data, name);
    return p;
}

static int setup(void **state)
{
    (void)state;
    strcpy(data, "/tmp/fh-weights-XXXXXX");
    return mkdtemp(data) && fh_weights_open(&store, data, true, NULL) == 0 ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    fh_weights_close(store);
    return fh_dir_remove(data, NULL);
}

static const char *make_model(const char *name, uint32_t seed, unsigned files)
{
    tiny_gguf t;
    tiny_gguf_default(&t);
    t.seed = seed;
    t.files = files;
    const char *path = at(name);
    assert_true(tiny_gguf_write(&t, path));
    return path;
}

static int import_path(const char *path, const char *id, fh_weights_progress *progress, fh_weights_item *ret, fh_err **err)
{
    FH_AUTO(fh_weights_source) fh_weights_source *source = NULL;
    int rc = fh_weights_source_open(&source, NULL, path, err);
    return rc != 0 ? rc : fh_weights_import(store, source, id, progress, NULL, ret, err);
}

static fh_weights_item imported(const char *path, const char *id)
{
    fh_weights_item item = {0};
    fh_err *err = NULL;
    if (import_path(path, id, NULL, &item, &err) != 0) fail_msg("%s", fh_err_message(err));
    return item;
}

static int count_name(void *arg, const char *name, fh_err **err)
{
    (void)err;
    unsigned *counts = arg; /* whole ones, temporary ones */
    counts[fh_str_starts(fh_str_of(name), FH_STR(".tmp-"))]++;
    return 0;
}

static void count_folders(unsigned counts[2])
{
    counts[0] = counts[1] = 0;
    assert_int_equal(fh_dir_each(at("weights"), count_name, counts, NULL), 0);
}

static void a_model_is_imported_listed_found_verified_and_removed(void **state)
{
    (void)state;
    fh_weights_item item = imported(make_model("My Model.Q8.gguf", 1, 1), NULL), found;
    assert_string_equal(item.id, "my-model.q8");
    assert_int_equal(strlen(item.digest), 64);
    assert_false(item.in_catalog);
    assert_string_equal(item.architecture, "llama");
    assert_int_equal(item.context_tok, 256);
    assert_true(item.memory_bytes > 0 && item.memory_bytes <= item.bytes + item.bytes / 10); /* of types that stay as they are */
    assert_int_equal(item.kv_bytes_per_tok, 2 * 2 * 2 * 16 * 2); /* both of 2 layers, 2 KV heads of 16, 16 bits */
    struct stat st;
    assert_int_equal(stat(item.path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0400);
    assert_int_equal((uint64_t)st.st_size, item.bytes);
    FH_AUTO(ptr) fh_weights_item *list = NULL;
    size_t count, broken;
    assert_int_equal(fh_weights_list(store, &list, &count, &broken, NULL), 0);
    assert_int_equal(count, 1);
    assert_int_equal(broken, 0);
    assert_int_equal(fh_weights_find(store, "MY-model.q8", &found, NULL), 0);
    char part[9] = "";
    memcpy(part, item.digest, 8);
    assert_int_equal(fh_weights_find(store, part, &found, NULL), 0);
    assert_string_equal(found.digest, item.digest);
    part[7] = 0;
    fh_err *err = NULL;
    assert_int_equal(fh_weights_find(store, part, &found, &err), FH_E_NOT_FOUND);
    assert_non_null(strstr(fh_err_hint_get(err), "import"));
    fh_err_free(err);
    assert_int_equal(fh_weights_verify(store, item.digest, NULL, NULL, NULL), 0);
    assert_int_equal(fh_weights_remove(store, item.digest, NULL), 0);
    unsigned counts[2];
    count_folders(counts);
    assert_int_equal(counts[0] + counts[1], 0);
}

static void keep(fh_weights_kept what, const char *digest, const char *name, size_t bytes, int64_t age_s)
{
    char folder[1200], path[1300];
    assert_int_equal(fh_weights_kept_folder(data, what, digest, folder, sizeof(folder), NULL), 0);
    assert_int_equal(fh_dir_make(folder, 0700, NULL), 0);
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    assert_int_equal(fh_file_write_atomic(path, "kept", bytes, 0600, NULL), 0);
    const struct timespec then[2] = {{.tv_sec = time(NULL) - age_s}, {.tv_sec = time(NULL) - age_s}};
    assert_int_equal(utimensat(AT_FDCWD, path, then, 0), 0);
}

static bool is_kept(fh_weights_kept what, const char *digest)
{
    char path[1300];
    assert_int_equal(fh_weights_kept_folder(data, what, digest, path, sizeof(path), NULL), 0);
    return fh_file_exists(path);
}

static void what_engines_keep_of_weights_is_counted_and_goes_with_them(void **state)
{
    (void)state;
    static const char gone[] = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
    fh_weights_item item = imported(make_model("m.gguf", 1, 1), "m"), found;
    assert_int_equal(
        fh_weights_kept_bytes(store, FH_WEIGHTS_PACKED, item.digest) + fh_weights_kept_bytes(store, FH_WEIGHTS_PAGES, item.digest), 0);
    const int64_t old_s = FH_LIMIT_PAGE_CACHE_MS / 1000 + 10;
    keep(FH_WEIGHTS_PACKED, item.digest, "weights.packed", 4, old_s);
    keep(FH_WEIGHTS_PAGES, item.digest, "old.page", 1, old_s);
    keep(FH_WEIGHTS_PAGES, item.digest, "young.page", 2, old_s - 60);
    keep(FH_WEIGHTS_PACKED, gone, "weights.packed", 4, 0); /* of weights that are no longer here */
    keep(FH_WEIGHTS_PAGES, gone, "young.page", 2, 0);
    assert_int_equal(fh_weights_find(store, item.digest, &found, NULL), 0);
    assert_int_equal(fh_weights_kept_bytes(store, FH_WEIGHTS_PACKED, found.digest), 4);
    assert_int_equal(fh_weights_kept_bytes(store, FH_WEIGHTS_PAGES, found.digest), 3);
    FH_AUTO(fh_weights) fh_weights *next = NULL;
    assert_int_equal(fh_weights_open(&next, data, true, NULL), 0);
    assert_true(is_kept(FH_WEIGHTS_PACKED, item.digest) && is_kept(FH_WEIGHTS_PAGES, item.digest));
    assert_int_equal(fh_weights_find(store, item.digest, &found, NULL), 0);
    assert_int_equal(fh_weights_kept_bytes(store, FH_WEIGHTS_PACKED, found.digest), 4);
    assert_int_equal(fh_weights_kept_bytes(store, FH_WEIGHTS_PAGES, found.digest), 2); /* the old one is gone */
    assert_false(is_kept(FH_WEIGHTS_PACKED, gone) || is_kept(FH_WEIGHTS_PAGES, gone));
    assert_int_equal(fh_weights_remove(store, item.digest, NULL), 0);
    assert_false(is_kept(FH_WEIGHTS_PACKED, item.digest) || is_kept(FH_WEIGHTS_PAGES, item.digest));
}

static void paths_are_absolute_wherever_we_stand(void **state)
{
    (void)state;
    char before[512];
    imported(make_model("m.gguf", 1, 1), "m");
    assert_non_null(getcwd(before, sizeof(before)));
    assert_int_equal(chdir(data), 0);
    FH_AUTO(fh_weights) fh_weights *w = NULL;
    fh_weights_item item;
    assert_int_equal(fh_weights_open(&w, ".", false, NULL), 0);
    assert_int_equal(chdir(before), 0);
    assert_int_equal(fh_weights_find(w, "m", &item, NULL), 0);
    assert_true(item.path[0] == '/' && fh_file_exists(item.path));
}

static void the_same_file_twice_is_kept_once(void **state)
{
    (void)state;
    fh_weights_item a = imported(make_model("a.gguf", 1, 1), NULL), b = imported(make_model("b.gguf", 1, 1), NULL);
    assert_string_equal(a.digest, b.digest);
    assert_string_equal(b.id, "a");
    fh_weights_item c = imported(make_model("sub-a.gguf", 2, 1), "a"); /* other weights of the same name */
    assert_string_not_equal(c.id, "a");
    assert_true(fh_str_starts(fh_str_of(c.id), FH_STR("a-")));
    unsigned counts[2];
    count_folders(counts);
    assert_int_equal(counts[0], 2);
    assert_int_equal(counts[1], 0);
}

static void an_unknown_file_does_not_take_a_name_of_the_catalogue(void **state)
{
    (void)state;
    fh_weights_item item = imported(make_model("smollm2-135m.gguf", 1, 1), NULL), found;
    assert_string_not_equal(item.id, "smollm2-135m");
    assert_int_equal(fh_weights_find(store, "smollm2", &found, NULL), FH_E_NOT_FOUND);
}

static void the_starter_is_recognised_by_its_digest(void **state)
{
    (void)state;
    char path[512];
    const char *named = getenv("FREEHOLD_STARTER_GGUF"), *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    if (named)
        snprintf(path, sizeof(path), "%s", named);
    else if (cache)
        snprintf(path, sizeof(path), "%s/freehold/starter/SmolLM2-135M-Instruct.Q4_1.gguf", cache);
    else
        snprintf(path, sizeof(path), "%s/.cache/freehold/starter/SmolLM2-135M-Instruct.Q4_1.gguf", home ? home : "");
    if (!fh_file_exists(path)) {
        print_message("# the starter model is not here; tools/fetch-starter brings it\n");
        skip();
    }
    fh_weights_item item = imported(path, NULL), found;
    assert_string_equal(item.id, "smollm2-135m");
    assert_string_equal(item.variant, "q4_1");
    assert_true(item.in_catalog);
    assert_int_equal(item.kv_bytes_per_tok, 23040);
    assert_int_equal(fh_weights_find(store, "smollm2", &found, NULL), 0);
    assert_int_equal(fh_weights_find(store, "smollm2:q4_1", &found, NULL), 0);
    assert_int_equal(fh_weights_find(store, "smollm2:q8_0", &found, NULL), FH_E_NOT_FOUND);
}

static void a_split_model_is_one_entry(void **state)
{
    (void)state;
    tiny_gguf t;
    char first[256];
    tiny_gguf_default(&t);
    t.files = 3;
    tiny_gguf_path(&t, make_model("split.gguf", 5, 3), 0, first, sizeof(first));
    fh_weights_item item = imported(first, NULL);
    assert_string_equal(item.id, "split");
    assert_int_equal(item.files, 3);
    assert_int_equal(fh_weights_verify(store, item.digest, NULL, NULL, NULL), 0);
    char second[256];
    tiny_gguf_path(&t, at("split.gguf"), 1, second, sizeof(second));
    assert_int_equal(unlink(second), 0);
    fh_err *err = NULL;
    assert_int_not_equal(import_path(first, NULL, NULL, &item, &err), 0);
    fh_err_free(err);
    unsigned counts[2];
    count_folders(counts);
    assert_int_equal(counts[0], 1);
    assert_int_equal(counts[1], 0);
}

static void what_is_no_model_is_refused_and_leaves_nothing(void **state)
{
    (void)state;
    fh_weights_item item;
    fh_err *err = NULL;
    const char *path = at("text.gguf");
    assert_int_equal(fh_file_write_atomic(path, "this is no model, and never was one", 35, 0600, NULL), 0);
    assert_int_equal(import_path(path, NULL, NULL, &item, &err), FH_E_CORRUPT);
    assert_int_equal(import_path(at("absent.gguf"), NULL, NULL, &item, &err), FH_E_NOT_FOUND);
    assert_int_not_equal(import_path("/dev/zero", NULL, NULL, &item, &err), 0);
    fh_err_free(err);
    unsigned counts[2];
    count_folders(counts);
    assert_int_equal(counts[0] + counts[1], 0);
}

static void what_lies_elsewhere_is_not_reached_through_a_folder(void **state)
{
    (void)state;
    tiny_gguf t;
    char inside[256], way_out[256], first[256], second[256];
    fh_weights_item item;
    fh_err *err = NULL;
    snprintf(inside, sizeof(inside), "%s", at("inside"));
    assert_int_equal(fh_dir_make(inside, 0700, NULL), 0);
    make_model("outside.gguf", 7, 1);
    snprintf(way_out, sizeof(way_out), "%s", at("inside/way-out.gguf"));
    assert_int_equal(symlink("../outside.gguf", way_out), 0);
    FH_AUTO(fh_weights_source) fh_weights_source *source = NULL;
    assert_int_equal(fh_weights_source_open(&source, inside, way_out, &err), FH_E_NOT_FOUND);
    assert_int_equal(fh_weights_source_open(&source, inside, at("outside.gguf"), &err), FH_E_NOT_FOUND);
    assert_int_equal(fh_weights_source_open(&source, inside, at("inside/../outside.gguf"), &err), FH_E_NOT_FOUND);
    assert_int_equal(fh_weights_source_open(&source, at("insid"), way_out, &err), FH_E_NOT_FOUND);
    tiny_gguf_default(&t);
    t.files = 2; /* a part of a split may be such a link as well */
    tiny_gguf_path(&t, make_model("inside/split.gguf", 8, 2), 0, first, sizeof(first));
    tiny_gguf_path(&t, at("inside/split.gguf"), 1, second, sizeof(second));
    assert_int_equal(rename(second, at("part")), 0);
    assert_int_equal(symlink("../part", second), 0);
    assert_int_equal(fh_weights_source_open(&source, inside, first, &err), 0);
    assert_int_equal(fh_weights_import(store, source, NULL, NULL, NULL, &item, &err), FH_E_NOT_FOUND);
    fh_err_free(err);
}

static void what_was_looked_at_is_what_is_imported(void **state)
{
    (void)state;
    char path[256], other[256];
    fh_weights_item item, fresh = imported(make_model("a.gguf", 11, 1), NULL);
    snprintf(path, sizeof(path), "%s", make_model("m.gguf", 11, 1));
    snprintf(other, sizeof(other), "%s", make_model("b.gguf", 12, 1));
    FH_AUTO(fh_weights_source) fh_weights_source *source = NULL;
    assert_int_equal(fh_weights_source_open(&source, data, path, NULL), 0);
    assert_int_equal(rename(other, path), 0); /* the name is another file's by now */
    assert_int_equal(fh_weights_import(store, source, NULL, NULL, NULL, &item, NULL), 0);
    assert_string_equal(item.digest, fresh.digest);
}

static void a_changed_byte_is_found(void **state)
{
    (void)state;
    fh_weights_item item = imported(make_model("m.gguf", 1, 1), NULL);
    assert_int_equal(chmod(item.path, 0600), 0);
    int fd = open(item.path, O_RDWR);
    char byte;
    assert_int_equal(pread(fd, &byte, 1, (off_t)item.bytes - 3), 1);
    byte ^= 1;
    assert_int_equal(pwrite(fd, &byte, 1, (off_t)item.bytes - 3), 1);
    close(fd);
    fh_err *err = NULL;
    assert_int_equal(fh_weights_verify(store, item.digest, NULL, NULL, &err), FH_E_CORRUPT);
    assert_non_null(strstr(fh_err_message(err), "SHA-256"));
    fh_err_free(err);
}

static void a_folder_that_says_nothing_good_is_left_out(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "{",
        "[]",
        "{\"id\":\"x\",\"imported_utc_ns\":1,\"files\":[]}",
        "{\"id\":\"x\",\"imported_utc_ns\":1,\"files\":[{\"name\":\"../../"
        "lock\",\"bytes\":1,\"sha256\":\"0000000000000000000000000000000000000000000000000000000000000000\"}]}",
        "{\"id\":\"x\",\"imported_utc_ns\":1,\"files\":[{\"name\":\"a\",\"bytes\":-1,\"sha256\":"
        "\"0000000000000000000000000000000000000000000000000000000000000000\"}]}"};
    char folder[256], file[300];
    snprintf(folder, sizeof(folder), "%s/weights/%064d", data, 0);
    snprintf(file, sizeof(file), "%s/weights.json", folder);
    assert_int_equal(fh_dir_make(folder, 0700, NULL), 0);
    for (size_t i = 0; i < FH_COUNT(bad); i++) {
        FH_AUTO(ptr) fh_weights_item *list = NULL;
        size_t count, broken;
        assert_int_equal(fh_file_write_atomic(file, bad[i], strlen(bad[i]), 0600, NULL), 0);
        assert_int_equal(fh_weights_list(store, &list, &count, &broken, NULL), 0);
        assert_int_equal(count, 0);
        assert_int_equal(broken, 1);
    }
}

static bool stop_at_once(void *arg, uint64_t done, uint64_t total)
{
    (void)arg;
    return done > total; /* never */
}

static void a_cancelled_import_leaves_nothing(void **state)
{
    (void)state;
    fh_weights_item item;
    fh_err *err = NULL;
    assert_int_equal(import_path(make_model("m.gguf", 1, 1), NULL, stop_at_once, &item, &err), FH_E_CANCELLED);
    fh_err_free(err);
    unsigned counts[2];
    count_folders(counts);
    assert_int_equal(counts[0] + counts[1], 0);
}

static int import_once(void *arg)
{
    fh_weights_item item;
    fh_err *err = NULL;
    int rc = import_path(arg, NULL, NULL, &item, &err);
    fh_err_free(err);
    bool struck = fh_fault_struck();
    fh_fault_disarm();
    unsigned counts[2];
    count_folders(counts);
    assert_int_equal(counts[1], 0);
    FH_AUTO(ptr) fh_weights_item *list = NULL;
    size_t count, broken;
    assert_int_equal(fh_weights_list(store, &list, &count, &broken, NULL), 0);
    assert_int_equal(broken, 0);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(fh_weights_verify(store, list[i].digest, NULL, NULL, NULL), 0); /* whatever is there is whole */
        assert_int_equal(fh_weights_remove(store, list[i].digest, NULL), 0);
    }
    if (struck) fh_fault_arm(FH_FAULT_WRITE, 1, false), (void)fh_fault_strikes(FH_FAULT_WRITE); /* says to the helper that it was struck */
    return rc;
}

static void whatever_call_fails_an_import_is_whole_or_absent(void **state)
{
    (void)state;
    char path[256];
    snprintf(path, sizeof(path), "%s", make_model("m.gguf", 1, 1));
    fh_fault kinds[] = {FH_FAULT_ALLOC, FH_FAULT_OPEN, FH_FAULT_READ, FH_FAULT_WRITE, FH_FAULT_FSYNC, FH_FAULT_RENAME};
    unsigned struck = 0;
    for (size_t i = 0; i < FH_COUNT(kinds); i++) struck += fh_torture(kinds[i], import_once, path, 300);
    assert_true(struck > 30);
}

static void killed_at_any_moment_the_store_is_whole(void **state)
{
    (void)state;
    char path[256];
    snprintf(path, sizeof(path), "%s", make_model("m.gguf", 1, 1));
    for (int64_t us = 0; us < 20000; us += 700) {
        pid_t pid = fork();
        if (pid == 0) {
            fh_weights_item item;
            for (;;) {
                if (import_path(path, NULL, NULL, &item, NULL) != 0) _exit(1);
                if (fh_weights_remove(store, item.digest, NULL) != 0) _exit(1);
            }
        }
        fh_sleep_ns(us * 1000);
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        FH_AUTO(fh_weights) fh_weights *again = NULL;
        FH_AUTO(ptr) fh_weights_item *list = NULL;
        size_t count, broken;
        unsigned counts[2];
        assert_int_equal(fh_weights_open(&again, data, true, NULL), 0);
        count_folders(counts);
        assert_int_equal(counts[1], 0);
        assert_int_equal(fh_weights_list(again, &list, &count, &broken, NULL), 0);
        assert_int_equal(broken, 0);
        for (size_t i = 0; i < count; i++) assert_int_equal(fh_weights_verify(again, list[i].digest, NULL, NULL, NULL), 0);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_model_is_imported_listed_found_verified_and_removed),
        TEST(what_engines_keep_of_weights_is_counted_and_goes_with_them),
        TEST(paths_are_absolute_wherever_we_stand),
        TEST(the_same_file_twice_is_kept_once),
        TEST(an_unknown_file_does_not_take_a_name_of_the_catalogue),
        TEST(the_starter_is_recognised_by_its_digest),
        TEST(a_split_model_is_one_entry),
        TEST(what_is_no_model_is_refused_and_leaves_nothing),
        TEST(what_lies_elsewhere_is_not_reached_through_a_folder),
        TEST(what_was_looked_at_is_what_is_imported),
        TEST(a_changed_byte_is_found),
        TEST(a_folder_that_says_nothing_good_is_left_out),
        TEST(a_cancelled_import_leaves_nothing),
        TEST(whatever_call_fails_an_import_is_whole_or_absent),
        TEST(killed_at_any_moment_the_store_is_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
