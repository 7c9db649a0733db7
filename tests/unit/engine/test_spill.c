/* Pages on disk: found by the next start, and by nobody who does not know salt, tokens and model; never half a page. */
#include "fixture.h"
#include "base/clock.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

enum { BYTES = 3000, PAGE = FH_KV_PAGE_TOK };

static char pages_folder[400];

static void new_folder(void)
{
    static int n;
    snprintf(pages_folder, sizeof pages_folder, "%s/pages-%d", folder, n++);
}

static fh_spill *spill_open(const char *made_by)
{
    fh_spill *s = NULL;
    fh_spill_options o = {.folder = pages_folder, .made_by = fh_str_of(made_by), .page_bytes = BYTES, .most_waiting = 64};
    assert_int_equal(fh_spill_open(&s, &o, NULL), 0);
    return s;
}

static void fill(fh_token *ids, fh_token first)
{
    for (fh_token i = 0; i < PAGE; i++) ids[i] = first + i;
}

static fh_spill_key key_of(const fh_spill *s, const char *salt, fh_token first)
{
    fh_token ids[PAGE];
    fill(ids, first);
    fh_spill_key root = fh_spill_root(s, salt);
    return fh_spill_next(&root, ids);
}

static void bytes_of(uint8_t page[BYTES], fh_token first)
{
    for (size_t i = 0; i < BYTES; i++) page[i] = (uint8_t)((size_t)first * 7 + i * i);
}

static void write_one(fh_spill *s, const char *salt, fh_token first)
{
    uint8_t page[BYTES];
    uint32_t done = 0;
    fh_spill_key key = key_of(s, salt, first);
    bytes_of(page, first);
    assert_true(fh_spill_write(s, &key, page, 77));
    assert_true(fh_spill_done(s, true, &done));
    assert_int_equal(done, 77);
    assert_false(fh_spill_done(s, true, &done));
}

static bool reads(fh_spill *s, const char *salt, fh_token first)
{
    uint8_t page[BYTES], want[BYTES];
    fh_spill_key key = key_of(s, salt, first);
    bytes_of(want, first);
    if (!fh_spill_read(s, &key, page)) return false;
    assert_memory_equal(page, want, BYTES);
    return true;
}

/* How many files the folder has; out: the path of one. */
static size_t count_files(char *out, size_t out_size)
{
    DIR *d = opendir(pages_folder);
    assert_non_null(d);
    size_t count = 0;
    for (struct dirent *e; (e = readdir(d));) {
        if (e->d_name[0] == '.') continue;
        snprintf(out, out_size, "%s/%s", pages_folder, e->d_name);
        count++;
    }
    closedir(d);
    return count;
}

static void the_file(char *out, size_t out_size)
{
    assert_int_equal(count_files(out, out_size), 1);
}

static void what_was_written_is_found_by_who_knows_it(void **state)
{
    (void)state;
    char path[800];
    struct stat st;
    new_folder();
    fh_spill *s = spill_open("model a");
    assert_false(reads(s, "salt", 1));
    write_one(s, "salt", 1);
    assert_true(reads(s, "salt", 1));
    fh_spill_close(s);
    s = spill_open("model a");
    assert_true(reads(s, "salt", 1));
    assert_false(reads(s, "other", 1));
    assert_false(reads(s, "", 1));
    assert_false(reads(s, "salt", 2));
    fh_spill_close(s);
    s = spill_open("model b");
    assert_false(reads(s, "salt", 1));
    fh_spill_close(s);
    the_file(path, sizeof path);
    assert_true(stat(path, &st) == 0 && (st.st_mode & 0777) == 0600);
    assert_true(stat(pages_folder, &st) == 0 && (st.st_mode & 0777) == 0700);
}

static void patch(const char *path, long at, int byte)
{
    FILE *f = fopen(path, "r+b");
    assert_non_null(f);
    assert_int_equal(fseek(f, at, at < 0 ? SEEK_END : SEEK_SET), 0);
    int was = fgetc(f);
    assert_int_equal(fseek(f, at, at < 0 ? SEEK_END : SEEK_SET), 0);
    fputc(was ^ byte, f);
    fclose(f);
}

static void what_is_not_whole_is_not_used(void **state)
{
    (void)state;
    char path[800];
    struct stat st;
    static const long places[] = {0, 9, 20, 50, 100, 1000, -1};
    new_folder();
    fh_spill *s = spill_open("m");
    write_one(s, "", 5);
    the_file(path, sizeof path);
    for (size_t i = 0; i < FH_COUNT(places); i++) {
        patch(path, places[i], 4);
        assert_false(reads(s, "", 5));
        patch(path, places[i], 4);
        assert_true(reads(s, "", 5));
    }
    assert_int_equal(stat(path, &st), 0);
    for (off_t left = st.st_size - 1; left >= 0; left -= 701) {
        assert_int_equal(truncate(path, left), 0);
        assert_false(reads(s, "", 5));
    }
    fh_spill_close(s);
}

static void make_old(const char *path, int64_t seconds)
{
    struct timespec at[2] = {{.tv_sec = (time_t)(fh_clock_utc_ns() / FH_NS_PER_S - seconds)}};
    at[1] = at[0];
    assert_int_equal(utimensat(AT_FDCWD, path, at, 0), 0);
}

static void what_is_old_or_left_over_goes(void **state)
{
    (void)state;
    char path[800], left_over[820], foreign[800];
    new_folder();
    fh_spill *s = spill_open("m");
    write_one(s, "", 5);
    the_file(path, sizeof path);
    make_old(path, FH_LIMIT_PAGE_CACHE_MS / 1000 + 1);
    assert_false(reads(s, "", 5));
    fh_spill_close(s);
    snprintf(left_over, sizeof left_over, "%s.tmp-1", path);
    snprintf(foreign, sizeof foreign, "%s/notes", pages_folder);
    close(open(left_over, O_CREAT | O_WRONLY, 0600));
    close(open(foreign, O_CREAT | O_WRONLY, 0600));
    make_old(left_over, 120);
    make_old(foreign, 1000000);
    fh_spill_close(spill_open("m"));
    assert_int_equal(access(path, F_OK), -1);
    assert_int_equal(access(left_over, F_OK), -1);
    assert_int_equal(access(foreign, F_OK), 0);
}

/* Killed at any moment: each file that has its name is whole. */
static void a_killed_writer_leaves_nothing_that_is_used(void **state)
{
    (void)state;
    enum { ROUNDS = 20, MANY = 200 };
    size_t found = 0;
    new_folder();
    for (unsigned round = 0; round < ROUNDS; round++) {
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            fh_spill *s = spill_open("m");
            for (fh_token i = 0; i < MANY; i++) write_one(s, "", (fh_token)(round * MANY) + i);
            _exit(0);
        }
        fh_spill *s = spill_open("m");
        fh_spill_key sure = key_of(s, "", (fh_token)(round * MANY + round % 4));
        while (!fh_spill_has(s, &sure)) usleep(100);
        usleep(round * 50);
        kill(child, SIGKILL);
        assert_int_equal(waitpid(child, NULL, 0), child);
        for (fh_token i = 0; i < MANY; i++) {
            fh_spill_key key = key_of(s, "", (fh_token)(round * MANY) + i);
            if (!fh_spill_has(s, &key)) continue;
            assert_true(reads(s, "", (fh_token)(round * MANY) + i));
            found++;
        }
        fh_spill_close(s);
    }
    print_message("# %zu pages of %d killed writers\n", found, ROUNDS);
    assert_true(found >= ROUNDS);
}

/* ---- an engine ---- */

/* The very same file each time. */
static void start_with_pages(running *r, fh_engine_kv kv)
{
    tiny_gguf t;
    tiny_gguf_default(&t);
    t.type = TINY_Q8_0;
    t.context = 2048;
    t.head_dim = 32;
    static const char *path;
    if (!path) path = write_tiny(&t, "tiny");
    start_engine(r, &(fh_engine_options){
                        .model_path = path, .threads = 2, .deterministic = true, .parallel = 2, .page_cache = pages_folder, .kv = kv});
}

static void the_next_start_goes_on_from_what_is_on_disk(void **state)
{
    (void)state;
    enum { COUNT = 5 * PAGE + 10 };
    running r;
    static asked first, again, hidden, off;
    fh_token ids[COUNT], others[COUNT];
    for (fh_token i = 0; i < COUNT; i++) ids[i] = (i * 31 + i * i) % 256, others[i] = (i * 17 + i * i) % 256;
    new_folder();
    fh_gen_request q = request_of(ids, COUNT), o = request_of(others, COUNT);
    o.off_disk = true;
    start_with_pages(&r, FH_ENGINE_KV_DEFAULT);
    answer(&r, &first, &q);
    answer(&r, &hidden, &o);
    stop_engine(&r);
    start_with_pages(&r, FH_ENGINE_KV_DEFAULT);
    answer(&r, &again, &q);
    assert_int_equal(again.end.cached_tok, 5 * PAGE);
    assert_memory_equal(again.ids, first.ids, 16 * sizeof(fh_token));
    assert_memory_equal(again.logprobs, first.logprobs, 16 * sizeof(float));
    o.off_disk = false;
    answer(&r, &hidden, &o);
    assert_int_equal(hidden.end.cached_tok, 0);
    stop_engine(&r);
    start_with_pages(&r, FH_ENGINE_KV_DEFAULT);
    q.off_disk = true;
    answer(&r, &off, &q);
    assert_int_equal(off.end.cached_tok, 0);
    q.off_disk = false;
    q.cache_salt = FH_STR("someone else");
    answer(&r, &off, &q);
    assert_int_equal(off.end.cached_tok, 0);
    stop_engine(&r);
}

/* Each finds what an engine of its kind left, and nothing of the other kinds. */
static void pages_are_of_one_type_of_cache(void **state)
{
    (void)state;
    enum { COUNT = 3 * PAGE + 10 };
    static const fh_engine_kv kinds[] = {FH_ENGINE_KV_F16, FH_ENGINE_KV_Q8_0, FH_ENGINE_KV_Q4_0};
    static asked first[3], again;
    running r;
    fh_token ids[COUNT];
    for (fh_token i = 0; i < COUNT; i++) ids[i] = (i * 37 + i * i) % 256;
    fh_gen_request q = request_of(ids, COUNT);
    new_folder();
    for (size_t i = 0; i < 2 * FH_COUNT(kinds); i++) {
        asked *a = i < 3 ? &first[i] : &again;
        start_with_pages(&r, kinds[i % 3]);
        answer(&r, a, &q);
        stop_engine(&r);
        assert_int_equal(a->end.cached_tok, i < 3 ? 0 : 3 * PAGE);
        assert_memory_equal(a->ids, first[i % 3].ids, 16 * sizeof(fh_token));
        assert_memory_equal(a->logprobs, first[i % 3].logprobs, 16 * sizeof(float));
    }
}

static void without_a_folder_it_serves_and_says_why(void **state)
{
    (void)state;
    running r;
    static asked a;
    fh_token ids[2 * PAGE];
    for (fh_token i = 0; i < 2 * PAGE; i++) ids[i] = i % 256;
    fh_gen_request q = request_of(ids, 2 * PAGE);
    new_folder();
    FILE *f = fopen(pages_folder, "w"); /* a file in its place */
    assert_non_null(f);
    fclose(f);
    start_with_pages(&r, FH_ENGINE_KV_DEFAULT);
    assert_non_null(fh_engine_info_get(r.engine)->page_cache_failed);
    assert_non_null(strstr(fh_engine_info_get(r.engine)->page_cache_failed, pages_folder));
    answer(&r, &a, &q);
    answer(&r, &a, &q);
    assert_true(a.end.cached_tok > 0);
    stop_engine(&r);
}

/* A quarter of the cache may wait to be written, 16 pages here. */
static void what_comes_later_goes_to_disk_too(void **state)
{
    (void)state;
    enum { COUNT = 5 * PAGE + 10, REQUESTS = 8 };
    running r;
    static asked a;
    char path[800];
    fh_token ids[COUNT];
    new_folder();
    start_with_pages(&r, FH_ENGINE_KV_DEFAULT);
    for (fh_token n = 0; n < REQUESTS; n++) {
        for (fh_token i = 0; i < COUNT; i++) ids[i] = (i * 13 + i * i + n) % 256;
        fh_gen_request q = request_of(ids, COUNT);
        answer(&r, &a, &q);
        for (int waited = 0; count_files(path, sizeof path) < (size_t)(n + 1) * 5; waited++) {
            assert_true(waited < 10000);
            usleep(1000);
        }
    }
    stop_engine(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_written_is_found_by_who_knows_it),
        cmocka_unit_test(what_is_not_whole_is_not_used),
        cmocka_unit_test(what_is_old_or_left_over_goes),
        cmocka_unit_test(a_killed_writer_leaves_nothing_that_is_used),
        cmocka_unit_test(the_next_start_goes_on_from_what_is_on_disk),
        cmocka_unit_test(what_comes_later_goes_to_disk_too),
        cmocka_unit_test(pages_are_of_one_type_of_cache),
        cmocka_unit_test(without_a_folder_it_serves_and_says_why),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
