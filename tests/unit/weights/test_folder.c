/* Folders of safetensors: what is taken of them, what is refused, and that an import is whole or absent. */
#include "cmocka_all.h"
#include "torture.h"

#include "base/mem.h"
#include "weights_folder.h"
#include "sys/file.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char data[64];
static fh_weights *store;

static const char *at(const char *name)
{
    static char path[8][256];
    static unsigned next;
    char *p = path[next++ % 8];
    snprintf(p, sizeof(path[0]), "%s/%s", data, name);
    return p;
}

static void put(const char *name, const void *text, size_t bytes)
{
    assert_int_equal(fh_file_write_atomic(at(name), text, bytes, 0600, NULL), 0);
}

static void put_text(const char *name, const char *text)
{
    put(name, text, strlen(text));
}

/* A file whose header is that text and whose data have so many bytes. */
static void put_tensors(const char *name, const char *header, size_t data_bytes)
{
    char file[1024] = {0};
    size_t n = strlen(header);
    file[0] = (char)n;
    memcpy(file + 8, header, n);
    put(name, file, 8 + n + data_bytes);
}

#define TENSOR "{\"__metadata__\":{\"format\":\"pt\"},\"a\":{\"dtype\":\"BF16\",\"shape\":[4],\"data_offsets\":[0,8]}}"
#define CONFIG                                                                                                                             \
    "{\"model_type\":\"llama\",\"hidden_size\":64,\"num_attention_heads\":4,\"num_key_value_heads\":2,\"num_hidden_layers\":3,"            \
    "\"max_position_embeddings\":256}"

static int setup(void **state)
{
    (void)state;
    strcpy(data, "/tmp/fh-folder-XXXXXX");
    if (!mkdtemp(data) || fh_weights_open(&store, data, true, NULL) != 0 || fh_dir_make(at("model"), 0700, NULL) != 0) return -1;
    put_tensors("model/model.safetensors", TENSOR, 8);
    put_text("model/config.json", CONFIG);
    put_text("model/tokenizer.json", "{}");
    put_text("model/modeling_tiny.py", "import os");
    put_text("model/pytorch_model.bin", "pickle");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fh_weights_close(store);
    return fh_dir_remove(data, NULL);
}

static int import_folder(const char *folder, fh_weights_item *ret, fh_err **err)
{
    FH_AUTO(fh_weights_source) fh_weights_source *source = NULL;
    int rc = fh_weights_source_open(&source, folder, at("model"), err);
    return rc != 0 ? rc : fh_weights_import(store, source, NULL, NULL, NULL, ret, err);
}

static fh_weights_item imported(void)
{
    fh_weights_item item = {0};
    FH_AUTO(fh_err) fh_err *err = NULL;
    if (import_folder(NULL, &item, &err) != 0) fail_msg("%s", fh_err_message(err));
    return item;
}

static int count_name(void *arg, const char *name, fh_err **err)
{
    (void)name;
    (void)err;
    ++*(unsigned *)arg;
    return 0;
}

static unsigned kept(void)
{
    unsigned n = 0;
    assert_int_equal(fh_dir_each(at("weights"), count_name, &n, NULL), 0);
    return n;
}

static void a_folder_becomes_one_entry(void **state)
{
    (void)state;
    fh_weights_item item = imported();
    char file[1200];
    assert_string_equal(item.format, "safetensors");
    assert_string_equal(item.id, "model");
    assert_string_equal(item.path, item.folder); /* what an engine is given */
    assert_string_equal(item.architecture, "llama");
    assert_int_equal(item.files, 3);
    assert_int_equal(item.context_tok, 256);
    assert_int_equal(item.kv_bytes_per_tok, 2 * 3 * 2 * 16 * 2); /* both of 3 layers, 2 KV heads of 16, 16 bits */
    snprintf(file, sizeof(file), "%s/config.json", item.folder);
    assert_true(fh_file_exists(file));
    snprintf(file, sizeof(file), "%s/modeling_tiny.py", item.folder);
    assert_false(fh_file_exists(file)); /* programs stay outside */
    assert_int_equal(fh_weights_verify(store, item.digest, NULL, NULL, NULL), 0);
}

static void the_same_files_are_kept_once_and_names_count(void **state)
{
    (void)state;
    fh_weights_item first = imported(), second = imported();
    assert_string_equal(first.digest, second.digest);
    assert_int_equal(kept(), 1);
    assert_int_equal(rename(at("model/tokenizer.json"), at("model/tokenizer_config.json")), 0);
    assert_string_not_equal(imported().digest, first.digest);
}

static void expect_refused(const char *says)
{
    fh_weights_item item;
    FH_AUTO(fh_err) fh_err *err = NULL;
    if (import_folder(NULL, &item, &err) == 0) fail_msg("it was taken, though: %s", says);
    if (!strstr(fh_err_message(err), says)) fail_msg("\"%s\" does not say: %s", fh_err_message(err), says);
    assert_null(strstr(fh_err_message(err), ".tmp-")); /* it is called what the person called it */
    assert_int_equal(kept(), 0);
}

static void what_is_no_model_is_refused_and_leaves_nothing(void **state)
{
    (void)state;
    put_text("model/config.json", "[]");
    expect_refused("config.json");
    put_text("model/config.json", "{\"model_type\":");
    expect_refused("config.json");
    assert_int_equal(unlink(at("model/config.json")), 0);
    expect_refused("there is no config.json in it");
    put_text("model/config.json", CONFIG);
    assert_int_equal(unlink(at("model/model.safetensors")), 0);
    expect_refused("there is no .safetensors in it");
}

static void a_file_that_was_cut_is_refused(void **state)
{
    (void)state;
    put_tensors("model/model.safetensors", TENSOR, 7);
    expect_refused("\"a\" does not lie in the file");
    put_tensors("model/model.safetensors", TENSOR, 9);
    expect_refused("end at byte 8");
    put_text("model/model.safetensors", "short");
    expect_refused("too short");
    put("model/model.safetensors", "\377\377\377\377\377\377\377\377{}", 10);
    expect_refused("no safetensors file");
    put("model/model.safetensors", "\001\0\0\0\0\0\0\0{", 9);
    expect_refused("no safetensors file");
}

static void headers_that_lie_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"[]",
                                      "{",
                                      "{\"a\":1}",
                                      "{\"a\":{}}",
                                      "{\"a\":{\"data_offsets\":[0]}}",
                                      "{\"a\":{\"data_offsets\":[0,8,9]}}",
                                      "{\"a\":{\"data_offsets\":[-1,8]}}",
                                      "{\"a\":{\"data_offsets\":[8,0]}}",
                                      "{\"a\":{\"data_offsets\":[0,9223372036854775807]}}",
                                      "{\"a\":{\"data_offsets\":[0,7]}}",
                                      "{}"};
    for (size_t i = 0; i < FH_COUNT(bad); i++) {
        FH_AUTO(fh_err) fh_err *err = NULL;
        if (fh_safetensors_check(fh_str_of(bad[i]), 8, &err) != FH_E_CORRUPT) fail_msg("%s was taken", bad[i]);
        assert_non_null(err);
    }
    assert_int_equal(fh_safetensors_check(FH_STR(TENSOR), 8, NULL), 0);
    assert_int_equal(fh_safetensors_check(FH_STR("{}"), 0, NULL), 0);
}

static void links_do_not_lead_out_of_it(void **state)
{
    (void)state;
    put_tensors("secret.safetensors", TENSOR, 8);
    assert_int_equal(symlink(at("secret.safetensors"), at("model/more.safetensors")), 0);
    expect_refused("there is no file");
    assert_int_equal(unlink(at("model/more.safetensors")), 0);
    assert_int_equal(mkfifo(at("model/more.safetensors"), 0600), 0);
    expect_refused("not a regular file");
    assert_int_equal(unlink(at("model/more.safetensors")), 0);
    fh_weights_item item;
    assert_int_equal(fh_dir_make(at("other"), 0700, NULL), 0);
    assert_int_equal(import_folder(at("other"), &item, NULL), FH_E_NOT_FOUND); /* it lies elsewhere */
    assert_int_equal(import_folder(data, &item, NULL), 0);
}

static void other_families_are_kept_without_a_memory_rule(void **state)
{
    (void)state;
    put_text("model/config.json", "{\"model_type\":\"other\",\"num_hidden_layers\":3,\"num_attention_heads\":4,\"hidden_size\":64}");
    fh_weights_item item = imported();
    assert_string_equal(item.architecture, "other");
    assert_int_equal(item.kv_bytes_per_tok, 0);
    assert_int_equal(item.context_tok, 0);
}

static int import_anew(void *arg)
{
    (void)arg;
    fh_weights_item item;
    FH_AUTO(fh_err) fh_err *err = NULL;
    int rc = import_folder(NULL, &item, &err);
    fh_fault_disarm();
    FH_AUTO(ptr) fh_weights_item *list = NULL;
    size_t count, broken;
    assert_int_equal(fh_weights_list(store, &list, &count, &broken, NULL), 0);
    assert_true(broken == 0 && count == kept() && (rc != 0 || count == 1));
    for (size_t i = 0; i < count; i++) { /* whatever is there is whole */
        assert_int_equal(fh_weights_verify(store, list[i].digest, NULL, NULL, NULL), 0);
        assert_int_equal(fh_weights_remove(store, list[i].digest, NULL), 0);
    }
    return rc;
}

static void whatever_call_fails_an_import_is_whole_or_absent(void **state)
{
    (void)state;
    static const fh_fault kinds[] = {FH_FAULT_ALLOC, FH_FAULT_OPEN, FH_FAULT_READ, FH_FAULT_WRITE, FH_FAULT_FSYNC, FH_FAULT_RENAME};
    for (size_t i = 0; i < FH_COUNT(kinds); i++) fh_torture(kinds[i], import_anew, NULL, 300);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_folder_becomes_one_entry),
        TEST(the_same_files_are_kept_once_and_names_count),
        TEST(what_is_no_model_is_refused_and_leaves_nothing),
        TEST(a_file_that_was_cut_is_refused),
        TEST(headers_that_lie_are_refused),
        TEST(links_do_not_lead_out_of_it),
        TEST(other_families_are_kept_without_a_memory_rule),
        TEST(whatever_call_fails_an_import_is_whole_or_absent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
