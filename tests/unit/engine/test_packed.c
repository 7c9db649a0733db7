/* Packed weights that are kept: mapped by the next start, never when they are not whole or not this model's, whenever the writer dies. */
#include "fixture.h"
#include "base/clock.h"
#include "torture.h"

#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

enum { TOKENS = 24, KILLS = 40 };

static char cache[300], kept[340];

static void name_cache(const char *name)
{
    snprintf(cache, sizeof cache, "%s/%s", folder, name);
    snprintf(kept, sizeof kept, "%s/weights.packed", cache);
}

static tiny_gguf packed_model(void)
{
    tiny_gguf t;
    tiny_gguf_default(&t);
    t.type = TINY_Q8_0;
    return t;
}

static fh_engine *open_model(const char *path)
{
    fh_engine *e = NULL;
    fh_err *err = NULL;
    fh_engine_options o = {.model_path = path, .threads = 2, .weight_cache = cache};
    no_error(fh_engine_open(&e, &o, &err), err);
    return e;
}

/* Until what is being written is there, or was given up. */
static void wait_saved(fh_engine *e)
{
    if (e->packed.saving) pthread_join(e->packed.saver, NULL);
    e->packed.saving = false;
}

static bool maps(const fh_engine *e)
{
    return e->info.owned_bytes == 0;
}

static void logits_of(fh_engine *e, float *out)
{
    fh_err *err = NULL;
    fh_token ids[TOKENS];
    for (int i = 0; i < TOKENS; i++) ids[i] = i * 11 % 256;
    no_error(fh_engine_eval(e, ids, TOKENS, 0, keep_row, out, &err), err);
}

static bool packs_here(void)
{
    fh_isa isa = FH_ISA_REF;
    if (fh_isa_choose(&isa, NULL) == 0 && fh_weight_layout(fh_kernels_get(isa))) return true;
    print_message("# the kernels of this processor pack nothing\n");
    return false;
}

/* One start and its end; what it computed, and whether it used what was kept. */
static bool start_once(const char *path, float *logits)
{
    fh_engine *e = open_model(path);
    bool mapped = maps(e);
    logits_of(e, logits);
    wait_saved(e);
    fh_engine_close(e);
    return mapped;
}

static void the_second_start_maps_what_the_first_kept(void **state)
{
    (void)state;
    static float first[TOKENS * TINY_VOCAB], second[TOKENS * TINY_VOCAB];
    if (!packs_here()) skip();
    tiny_gguf t = packed_model();
    const char *path = write_tiny(&t, "second");
    name_cache("second");
    struct stat st;
    assert_false(start_once(path, first));
    assert_int_equal(stat(kept, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_true(start_once(path, second));
    assert_memory_equal(first, second, sizeof first);
}

static void write_at(long at, const void *data, size_t bytes)
{
    FILE *f = fopen(kept, "r+b");
    assert_non_null(f);
    assert_int_equal(fseek(f, at, at < 0 ? SEEK_END : SEEK_SET), 0);
    assert_int_equal(fwrite(data, 1, bytes, f), bytes);
    assert_int_equal(fclose(f), 0);
}

/* Spoils what is kept; the next start must not use it, compute the same, and leave a good one for the start after it. */
static void spoilt(const char *path, const float *want, const char *how)
{
    static float got[TOKENS * TINY_VOCAB];
    if (start_once(path, got)) fail_msg("used although %s", how);
    assert_memory_equal(got, want, sizeof got);
    if (!start_once(path, got)) fail_msg("not made anew after %s", how);
    assert_memory_equal(got, want, sizeof got);
}

static void what_is_not_whole_or_not_of_this_layout_is_not_used(void **state)
{
    (void)state;
    static float want[TOKENS * TINY_VOCAB];
    static const char zeros[4096];
    struct stat st;
    if (!packs_here()) skip();
    tiny_gguf t = packed_model();
    const char *path = write_tiny(&t, "spoilt");
    name_cache("spoilt");
    start_once(path, want);
    assert_int_equal(stat(kept, &st), 0);
    assert_int_equal(truncate(kept, st.st_size - 1), 0);
    spoilt(path, want, "its end is missing");
    assert_int_equal(truncate(kept, 100), 0);
    spoilt(path, want, "nearly all is missing");
    assert_int_equal(truncate(kept, 0), 0);
    spoilt(path, want, "it is empty");
    assert_int_equal(truncate(kept, st.st_size + 64), 0);
    spoilt(path, want, "it is too long");
    write_at(offsetof(fh_packed_head, layout), "rows16-0", 8);
    spoilt(path, want, "it is of another layout");
    write_at(offsetof(fh_packed_head, version), "0.0.9", 5);
    spoilt(path, want, "it is of another version");
    write_at(0, "FHPACK9", 7);
    spoilt(path, want, "it is of another form");
    write_at(-4096, zeros, sizeof zeros);
    spoilt(path, want, "its last pages never came to the disk");
    assert_int_equal(unlink(kept), 0);
    assert_int_equal(mkdir(kept, 0700), 0);
    static float got[TOKENS * TINY_VOCAB];
    assert_false(start_once(path, got)); /* a folder in its place: nothing is kept, and nothing fails */
    assert_memory_equal(got, want, sizeof got);
}

static void another_model_of_the_same_shape_is_told_apart(void **state)
{
    (void)state;
    static float one[TOKENS * TINY_VOCAB], other[TOKENS * TINY_VOCAB], again[TOKENS * TINY_VOCAB];
    if (!packs_here()) skip();
    tiny_gguf t = packed_model();
    char path[600];
    struct stat st;
    snprintf(path, sizeof path, "%s", write_tiny(&t, "same"));
    name_cache("same");
    assert_false(start_once(path, one));
    assert_int_equal(stat(path, &st), 0);
    t.seed++;
    write_tiny(&t, "same");
    const struct timespec times[2] = {st.st_atim, st.st_mtim}; /* even one that is as old to the nanosecond */
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
    assert_false(start_once(path, other));
    assert_memory_not_equal(one, other, sizeof one);
    assert_true(start_once(path, again));
    assert_memory_equal(other, again, sizeof other);
}

/* The child keeps packed weights and is killed at some moment; whatever it left, the next start computes the same. */
static void whatever_a_killed_writer_leaves_is_whole_or_not_used(void **state)
{
    (void)state;
    static float want[TOKENS * TINY_VOCAB], got[TOKENS * TINY_VOCAB];
    if (!packs_here()) skip();
    tiny_gguf t = packed_model();
    unsigned used = 0;
    const char *path = write_tiny(&t, "killed");
    name_cache("killed");
    int64_t begun_ns = fh_clock_mono_ns();
    start_once(path, want);
    int64_t took_us = (fh_clock_mono_ns() - begun_ns) / 1000;
    for (unsigned i = 0; i < KILLS; i++) {
        unlink(kept);
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            fh_engine *e = NULL;
            fh_engine_options o = {.model_path = path, .threads = 2, .weight_cache = cache};
            fh_engine_open(&e, &o, NULL);
            pause();
            _exit(0);
        }
        usleep((useconds_t)(i * took_us * 3 / 2 / KILLS));
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
        used += start_once(path, got);
        assert_memory_equal(got, want, sizeof got);
    }
    print_message("# %u of %d kills came after the file was there\n", used, KILLS);
}

static int keep_under_faults(void *arg)
{
    fh_engine *e = NULL;
    fh_err *err = NULL;
    fh_engine_options o = {.model_path = arg, .threads = 1, .weight_cache = cache};
    unlink(kept);
    int rc = fh_engine_open(&e, &o, &err);
    if (rc == 0) wait_saved(e);
    fh_engine_close(e);
    fh_err_free(err);
    return rc;
}

static void an_engine_runs_when_nothing_can_be_kept(void **state)
{
    (void)state;
    static const fh_fault kinds[] = {FH_FAULT_WRITE, FH_FAULT_FSYNC, FH_FAULT_RENAME};
    static float logits[TOKENS * TINY_VOCAB];
    if (!packs_here()) skip();
    tiny_gguf t = packed_model();
    const char *path = write_tiny(&t, "faults");
    name_cache("faults");
    for (size_t i = 0; i < FH_COUNT(kinds); i++) {
        assert_true(fh_torture(kinds[i], keep_under_faults, (void *)path, 50) > 0);
        start_once(path, logits);
    }
    assert_true(start_once(path, logits));
}

/* In a child with mounts of its own: 0 kept, 1 not kept, 2 no such mount here. */
static int keep_on_small_disk(const char *path, const char *size)
{
    char options[64];
    struct stat st;
    pid_t child = fork();
    if (child == 0) {
        snprintf(options, sizeof options, "size=%s", size);
        if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
            mount("tmpfs", cache, "tmpfs", 0, options) != 0)
            _exit(2);
        wait_saved(open_model(path));
        _exit(stat(kept, &st) == 0 ? 0 : 1);
    }
    int status = 0;
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void nothing_is_kept_where_the_disk_would_be_nearly_full(void **state)
{
    (void)state;
    if (!packs_here()) skip();
    tiny_gguf t = packed_model();
    const char *path = write_tiny(&t, "disk");
    name_cache("disk");
    assert_int_equal(mkdir(cache, 0700), 0);
    int large = keep_on_small_disk(path, "64m");
    if (large == 2) {
        print_message("# no file system may be mounted here\n");
        skip();
    }
    assert_int_equal(large, 0);
    assert_int_equal(keep_on_small_disk(path, "2200k"), 1); /* it would fit, with less than a tenth left */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_second_start_maps_what_the_first_kept),
        cmocka_unit_test(what_is_not_whole_or_not_of_this_layout_is_not_used),
        cmocka_unit_test(another_model_of_the_same_shape_is_told_apart),
        cmocka_unit_test(whatever_a_killed_writer_leaves_is_whole_or_not_used),
        cmocka_unit_test(an_engine_runs_when_nothing_can_be_kept),
        cmocka_unit_test(nothing_is_kept_where_the_disk_would_be_nearly_full),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
