/* Tokens counted by a model's own tokenizer: loaded once, of prompts and answers, in order, told on a loop or settled behind, and bounded.
 */
#include "cmocka_all.h"
#include "folder.h"
#include "base/limits.h"
#include "count_prompt.h"
#include "torture.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Words of the letters a and b; "ab" is one token. */
static const char file_text[] =
    "{\"normalizer\":null,\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"use_regex\":true},"
    "\"post_processor\":null,\"added_tokens\":[],\"model\":{\"type\":\"BPE\","
    "\"vocab\":{\"a\":0,\"b\":1,\"ab\":2,\"\\u0120\":3},\"merges\":[[\"a\",\"b\"]]}}";

typedef struct place {
    char path[64], file[96];
    fh_loop *loop;
    fh_tokenizers *t;
    uint64_t id;
    int code;
    fh_count *count;
    unsigned told;
} place;

static void write_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static int setup(void **state)
{
    place *p = calloc(1, sizeof *p);
    if (!folder_make(p->path, sizeof p->path)) return -1;
    snprintf(p->file, sizeof p->file, "%s/tokenizer.json", p->path);
    write_file(p->file, file_text);
    assert_int_equal(fh_loop_new(&p->loop, NULL), 0);
    assert_int_equal(fh_tokenizers_new(&p->t, NULL), 0);
    *state = p;
    return 0;
}

static int teardown(void **state)
{
    place *p = *state;
    fh_tokenizers_free(p->t);
    fh_loop_free(p->loop);
    int rc = folder_remove(p->path);
    free(p);
    return rc;
}

static void loaded(void *arg, uint64_t id, const fh_err *why)
{
    place *p = arg;
    p->id = id;
    p->code = why ? fh_err_code(why) : 0;
    fh_loop_stop(p->loop);
}

static uint64_t load(place *p)
{
    int fd = open(p->file, O_RDONLY | O_CLOEXEC);
    assert_int_equal(fh_tokenizers_load(p->t, fd, "tokenizer.json", p->loop, loaded, p, NULL), 0);
    fh_loop_run(p->loop, NULL);
    return p->id;
}

static fh_wire_request chat(const char *body)
{
    fh_wire_request r;
    assert_int_equal(fh_wire_chat_parse(&r, fh_str_of(body), NULL), 0);
    return r;
}

static void counted(void *arg, fh_count *c)
{
    place *p = arg;
    p->told++;
    p->count = c;
    fh_loop_stop(p->loop);
}

static fh_heard heard(const char *text)
{
    fh_heard h = {.bytes = 0};
    fh_heard_event(&h, &(fh_wire_event){.kind = FH_EVENT_TEXT, .text = fh_str_of(text)});
    return h;
}

static const char body[] = "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"abab\"},{\"role\":\"assistant\",\"content\":"
                           "[{\"type\":\"text\",\"text\":\"ab\"}]}]}";

static void prompt_and_answer_are_counted_and_told_on_the_loop(void **state)
{
    place *p = *state;
    fh_count_result r;
    fh_wire_request ask = chat(body);
    fh_heard said = heard("aab");
    fh_count *c = fh_count_begin(p->t, load(p), &ask);
    fh_wire_request_fini(&ask);
    assert_non_null(c);
    assert_true(fh_count_uses(c, p->id));
    assert_false(fh_count_get(c, &r));
    assert_true(fh_count_answer(c, &said));
    assert_int_equal(said.bytes, 0);
    fh_count_then(c, p->loop, counted, p);
    fh_loop_run(p->loop, NULL);
    assert_true(fh_count_get(p->count, &r));
    assert_int_equal(r.prompt_tok, 3);
    assert_int_equal(r.completion_tok, 2);
    assert_int_equal(r.messages, 2);
    assert_int_equal(r.covers, FH_COVERS_TEXT);
    fh_count_leave(c);
}

static void who_left_is_not_told_but_what_is_to_be_settled_is(void **state)
{
    place *p = *state;
    fh_wire_request ask = chat(body);
    load(p);
    for (int settled = 0; settled < 2; settled++) {
        fh_heard said = heard("ab");
        fh_count *c = fh_count_begin(p->t, p->id, &ask);
        assert_true(fh_count_answer(c, &said));
        p->told = 0;
        fh_count_then(c, p->loop, counted, p);
        if (settled) fh_count_then(c, NULL, counted, p);
        fh_count_leave(c);
        fh_tokenizers_settle(p->t);
        assert_int_equal(p->told, settled);
    }
    fh_wire_request_fini(&ask);
}

static void a_completion_is_counted_whole(void **state)
{
    fh_tokenizer t;
    fh_count_result r = {.prompt_tok = 0};
    place *p = *state;
    assert_int_equal(fh_tokenizer_open(&t, p->file, "tokenizer.json", NULL), 0);
    assert_int_equal(fh_count_prompt(&t, false, FH_STR("{\"model\":\"m\",\"prompt\":\"ab ab\"}"), &r, NULL), 0);
    assert_int_equal(r.prompt_tok, 3);
    assert_int_equal(r.covers, FH_COVERS_PROMPT);
    assert_int_equal(fh_count_prompt(&t, false, FH_STR("{\"model\":\"m\",\"prompt\":[1,2,0,1]}"), &r, NULL), 0);
    assert_int_equal(r.prompt_tok, 4);
    assert_true(fh_count_prompt(&t, true, FH_STR("{\"model\":\"m\"}"), &r, NULL) < 0);
    fh_tokenizer_fini(&t);
}

static void tools_and_calls_are_part_of_a_prompt(void **state)
{
    fh_tokenizer t;
    fh_count_result plain = {.prompt_tok = 0}, more = plain;
    place *p = *state;
    assert_int_equal(fh_tokenizer_open(&t, p->file, "tokenizer.json", NULL), 0);
    assert_int_equal(
        fh_count_prompt(&t, true, FH_STR("{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"ab\"}]}"), &plain, NULL), 0);
    assert_int_equal(plain.prompt_tok, 1);
    fh_str called = FH_STR("{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"ab\"},{\"role\":\"assistant\",\"content\":null,"
                           "\"tool_calls\":[{\"id\":\"1\",\"type\":\"function\",\"function\":{\"name\":\"ab\",\"arguments\":\"{}\"}}]},"
                           "{\"role\":\"tool\",\"tool_call_id\":\"1\",\"content\":\"abab\"}],\"tools\":[{\"type\":\"function\","
                           "\"function\":{\"name\":\"ab\",\"description\":\"ab\",\"parameters\":{}}}]}");
    assert_int_equal(fh_count_prompt(&t, true, called, &more, NULL), 0);
    assert_true(more.prompt_tok > 1 + 1 + 2); /* and what of the tools' JSON has tokens */
    fh_tokenizer_fini(&t);
}

static void a_file_is_loaded_once_and_gone_with_its_last_user(void **state)
{
    place *p = *state;
    fh_wire_request ask = chat(body);
    uint64_t first = load(p);
    assert_int_equal(load(p), first);
    fh_tokenizers_join(p->t, first);
    for (int i = 0; i < 3; i++) {
        fh_count *c = fh_count_begin(p->t, first, &ask);
        assert_non_null(c);
        fh_count_leave(c);
        fh_tokenizers_settle(p->t);
        fh_tokenizers_leave(p->t, first);
    }
    assert_null(fh_count_begin(p->t, first, &ask));
    assert_true(load(p) > first);
    fh_wire_request_fini(&ask);
}

static void what_is_no_tokenizer_is_refused(void **state)
{
    place *p = *state;
    write_file(p->file, "{\"model\":{\"type\":\"Unigram\"}}");
    load(p);
    assert_true(p->code < 0);
    write_file(p->file, "no tokenizer");
    load(p);
    assert_int_equal(p->code, FH_E_UNSUPPORTED);
}

static void note_end(void *arg, uint64_t id, const fh_err *why)
{
    place *p = arg;
    p->told++;
    p->id = id;
    p->code = why ? fh_err_code(why) : 0;
}

static void begin_load(place *p)
{
    int fd = open(p->file, O_RDONLY | O_CLOEXEC);
    assert_int_equal(fh_tokenizers_load(p->t, fd, "tokenizer.json", p->loop, note_end, p, NULL), 0);
}

/* The loop does not run any more: what was loaded for it is let go, and who asked for it can let go too. */
static void who_waits_for_a_load_is_told_when_the_server_stops(void **state)
{
    place *p = *state;
    begin_load(p);
    begin_load(p); /* begun or not, as it comes */
    fh_tokenizers_stop_loading(p->t);
    assert_int_equal(p->told, 2);
    assert_int_equal(p->id, 0);
    assert_int_equal(p->code, FH_E_UNAVAILABLE);
    begin_load(p);
    assert_int_equal(p->told, 2);
    fh_tokenizers_stop_loading(p->t);
    assert_int_equal(p->told, 3);
    fh_tokenizers_stop_loading(NULL);
}

static void a_load_that_nobody_was_told_of_goes_with_the_tokenizers(void **state)
{
    place *p = *state;
    begin_load(p);
    fh_tokenizers_settle(p->t);
    begin_load(p);
    fh_tokenizers_free(p->t);
    p->t = NULL;
    assert_int_equal(p->told, 0);
}

static void wait_for_it(void *arg, fh_count *c)
{
    pthread_mutex_lock(arg);
    pthread_mutex_unlock(arg);
}

static void too_much_at_once_is_not_counted(void **state)
{
    place *p = *state;
    pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
    fh_wire_request ask = chat(body);
    fh_count *counts[FH_LIMIT_COUNTS_WAITING + 1] = {NULL};
    size_t n = 0;
    load(p);
    fh_tokenizers_settle(p->t); /* the load does not count any more */
    pthread_mutex_lock(&gate);  /* the thread stands still at the first one's end */
    fh_count *busy = fh_count_begin(p->t, p->id, &ask);
    fh_heard said = heard("ab");
    fh_count_then(busy, NULL, wait_for_it, &gate);
    bool told = fh_count_answer(busy, &said);
    while (n <= FH_LIMIT_COUNTS_WAITING && (counts[n] = fh_count_begin(p->t, p->id, &ask))) n++;
    pthread_mutex_unlock(&gate);
    assert_true(told);
    assert_true(n >= FH_LIMIT_COUNTS_WAITING - 2 && n < FH_LIMIT_COUNTS_WAITING);
    fh_tokenizers_settle(p->t);
    fh_count *again = fh_count_begin(p->t, p->id, &ask);
    assert_non_null(again);
    fh_heard lost = {.lost = true};
    assert_false(fh_count_answer(again, &lost));
    fh_count_leave(again);
    fh_count_leave(busy);
    for (size_t i = 0; i < n; i++) fh_count_leave(counts[i]);
    fh_wire_request_fini(&ask);
}

static void a_few_tokens_are_no_difference(void **state)
{
    static const struct {
        uint64_t prompt, completion, reasoning;
        fh_covers covers;
        bool differs;
    } rows[] = {
        {1000, 500, 0, FH_COVERS_PROMPT, false}, {1030, 490, 0, FH_COVERS_PROMPT, false},  {1100, 500, 0, FH_COVERS_PROMPT, true},
        {1100, 500, 0, FH_COVERS_TEXT, false},   {1500, 500, 0, FH_COVERS_TEXT, true},     {900, 500, 0, FH_COVERS_TEXT, true},
        {1000, 600, 0, FH_COVERS_PROMPT, true},  {1000, 600, 90, FH_COVERS_PROMPT, false}, {1000, 400, 90, FH_COVERS_PROMPT, true},
    };
    for (size_t i = 0; i < FH_COUNT(rows); i++) {
        fh_count_result ours = {.prompt_tok = 1000, .completion_tok = 500, .messages = 2, .covers = rows[i].covers};
        fh_used theirs = {
            .upstream_prompt_tok = rows[i].prompt, .upstream_completion_tok = rows[i].completion, .reasoning_tok = rows[i].reasoning};
        assert_int_equal(fh_count_differs(&ours, &theirs), rows[i].differs);
    }
}

static int count_some(void *arg)
{
    const place *p = arg;
    fh_tokenizer t;
    fh_count_result r = {.prompt_tok = 0};
    fh_err *err = NULL;
    int rc = fh_tokenizer_open(&t, p->file, "tokenizer.json", &err);
    if (rc == 0) {
        rc = fh_count_prompt(&t, true, fh_str_of(body), &r, &err);
        fh_tokenizer_fini(&t);
    }
    fh_err_free(err);
    return rc;
}

static void memory_that_is_out_breaks_nothing(void **state)
{
    assert_true(fh_torture(FH_FAULT_ALLOC, count_some, *state, 400) > 50);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(prompt_and_answer_are_counted_and_told_on_the_loop),
        TEST(who_left_is_not_told_but_what_is_to_be_settled_is),
        TEST(a_completion_is_counted_whole),
        TEST(tools_and_calls_are_part_of_a_prompt),
        TEST(a_file_is_loaded_once_and_gone_with_its_last_user),
        TEST(what_is_no_tokenizer_is_refused),
        TEST(who_waits_for_a_load_is_told_when_the_server_stops),
        TEST(a_load_that_nobody_was_told_of_goes_with_the_tokenizers),
        TEST(too_much_at_once_is_not_counted),
        TEST(a_few_tokens_are_no_difference),
        TEST(memory_that_is_out_breaks_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
