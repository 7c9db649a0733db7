/* Images in messages: found wherever they may stand, replaced there and nowhere else, known by their first bytes. */
#include "wire/images.h"

#include "base/buf.h"
#include "base/mem.h"
#include "cmocka_all.h"

#include <string.h>

static const char everywhere[] =
    "[{\"role\":\"user\",\"content\":\"https://no.image/\"},"
    "{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"https://no.image/\"},"
    "{\"type\":\"image_url\",\"image_url\":{\"url\":\"https://a/\",\"detail\":\"low\"}},"
    "{\"type\":\"input_image\",\"image_url\":\"https://b/\",\"detail\":\"high\"},"
    "{\"type\":\"image\",\"source\":{\"type\":\"url\",\"url\":\"https://c/\"}},"
    "{\"type\":\"image\",\"source\":{\"type\":\"base64\",\"media_type\":\"image/png\",\"data\":\"x\"}},"
    "{\"type\":\"document\",\"source\":{\"type\":\"url\",\"url\":\"https://no.image/\"}},"
    "{\"type\":\"tool_result\",\"content\":[{\"type\":\"image\",\"source\":{\"type\":\"url\",\"url\":\"https://a/\"}},"
    "{\"type\":\"document\",\"source\":{\"type\":\"content\",\"content\":[{\"type\":\"image\",\"source\":{\"type\":\"url\",\"url\":\"https:"
    "//"
    "d/\"}}]}}]}]},"
    "{\"type\":\"function_call_output\",\"output\":[{\"type\":\"input_image\",\"image_url\":\"data:x\"}]},7,{\"content\":[null,{}]}]";

static int note(void *arg, fh_str url, const char *path, fh_err **err)
{
    fh_buf_addf(arg, "%s=%.*s ", path, (int)url.len, url.ptr);
    return 0;
}

static fh_json *parse(const char *text)
{
    fh_json *doc = NULL;
    assert_int_equal(fh_json_parse(&doc, fh_str_of(text), 1 << 20, NULL), 0);
    return doc;
}

static void every_place_is_seen_under_its_name(void **state)
{
    FH_AUTO(json) fh_json *doc = parse(everywhere);
    FH_AUTO(buf) fh_buf seen = FH_BUF(1 << 16);
    assert_int_equal(fh_wire_images_each(doc, "m", note, &seen, NULL), 0);
    assert_string_equal(fh_buf_cstr(&seen), "m[1].content[1]=https://a/ m[1].content[2]=https://b/ m[1].content[3]=https://c/ "
                                            "m[1].content[6].content[0]=https://a/ m[1].content[6].content[1].source.content[0]=https://d/ "
                                            "m[2].output[0]=data:x ");
    fh_buf_clear(&seen);
    assert_int_equal(fh_wire_images_each(NULL, "m", note, &seen, NULL), 0);
    assert_int_equal(seen.len, 0);
}

static int refuse(void *arg, fh_str url, const char *path, fh_err **err)
{
    return ++*(int *)arg == 2 ? fh_err_set(err, FH_E_INVALID, "no") : 0;
}

static void an_error_ends_the_walk(void **state)
{
    FH_AUTO(json) fh_json *doc = parse(everywhere);
    int seen = 0;
    assert_int_equal(fh_wire_images_each(doc, "m", refuse, &seen, NULL), FH_E_INVALID);
    assert_int_equal(seen, 2);
}

static void what_is_listed_is_replaced_and_all_else_stays(void **state)
{
    FH_AUTO(json) fh_json *doc = parse(everywhere);
    FH_AUTO(buf) fh_buf out = FH_BUF(1 << 16);
    const fh_wire_image list[] = {{FH_STR("https://a/"), FH_STR("AAAA"), "image/png"}, {FH_STR("https://b/"), FH_STR("BBBB"), "image/gif"}};
    assert_int_equal(fh_wire_images_replace(doc, list, 2, NULL), 0);
    assert_int_equal(fh_json_write(doc, &out, NULL), 0);
    assert_non_null(strstr(out.data, "{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:image/png;base64,AAAA\",\"detail\":\"low\"}}"));
    assert_non_null(strstr(out.data, "{\"type\":\"input_image\",\"image_url\":\"data:image/gif;base64,BBBB\",\"detail\":\"high\"}"));
    assert_non_null(
        strstr(out.data, "[{\"type\":\"image\",\"source\":{\"type\":\"base64\",\"media_type\":\"image/png\",\"data\":\"AAAA\"}}"));
    assert_non_null(strstr(out.data, "\"url\":\"https://c/\""));
    assert_non_null(strstr(out.data, "\"url\":\"https://d/\""));
    assert_null(strstr(out.data, "https://a/"));
}

static void types_are_known_by_the_first_bytes(void **state)
{
    static const struct {
        fh_str bytes;
        const char *type;
    } rows[] = {{{"\x89PNG\r\n\x1a\n....", 12}, "image/png"},
                {{"\xff\xd8\xff\xe0", 4}, "image/jpeg"},
                {{"GIF87a", 6}, "image/gif"},
                {{"GIF89a...", 9}, "image/gif"},
                {{"RIFF....WEBPVP8 ", 16}, "image/webp"},
                {{"RIFF....WAVE", 12}, NULL},
                {{"RIFF....WEB", 11}, NULL},
                {{"\x89PNG\r\n", 6}, NULL},
                {{"<svg xmlns=", 11}, NULL},
                {{"BM......", 8}, NULL},
                {{"", 0}, NULL}};
    for (size_t i = 0; i < FH_COUNT(rows); i++) {
        const char *type = fh_wire_image_type(rows[i].bytes.ptr, rows[i].bytes.len);
        if (type != rows[i].type && (!type || !rows[i].type || strcmp(type, rows[i].type) != 0))
            fail_msg("%zu: %s", i, type ? type : "none");
    }
}

static void data_urls_hold_the_image_that_they_say(void **state)
{
    static const char *const good[] = {"data:image/png;base64,iVBORw0KGgp4", "data:image/jpeg;base64,iVBORw0KGgp4",
                                       "data:image/avif;base64,AAAA"};
    static const char *const bad[] = {"data:image/png;base64,",
                                      "data:image/png;base64,AAAA",
                                      "data:image/png,iVBORw0KGgp4",
                                      "data:text/plain;base64,AAAA",
                                      "data:;base64,AAAA",
                                      "data:",
                                      "data:image/png;base64,iVBORw0KG",
                                      "data:image/png;base64,iVBO Rw0KGgp4"};
    for (size_t i = 0; i < FH_COUNT(good); i++) assert_int_equal(fh_wire_image_check(fh_str_of(good[i]), "p", NULL), 0);
    for (size_t i = 0; i < FH_COUNT(bad); i++) {
        fh_err *err = NULL;
        if (fh_wire_image_check(fh_str_of(bad[i]), "p", &err) != FH_E_INVALID) fail_msg("%s", bad[i]);
        assert_string_equal(fh_err_param_get(err), "p");
        fh_err_free(err);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_place_is_seen_under_its_name),
        cmocka_unit_test(an_error_ends_the_walk),
        cmocka_unit_test(what_is_listed_is_replaced_and_all_else_stays),
        cmocka_unit_test(types_are_known_by_the_first_bytes),
        cmocka_unit_test(data_urls_hold_the_image_that_they_say),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
