/* The words that ssh is called with: no address becomes an option, no word of a command becomes another. */
#include "ssh.h"

#include "base/clock.h"
#include "cmocka_all.h"
#include "sys/sandbox.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char folder[64];

static int make_folder(void **state)
{
    snprintf(folder, sizeof folder, "/tmp/fh-ssh-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    return rmdir(folder);
}

static int open_url(const char *url, supply_ssh **ret, fh_err **err)
{
    const supply_host_config c = {.url = url, .key_file = "", .folder = folder};
    return fh_supply_ssh_new(ret, &c, err);
}

static const char *const hostile[] = {"it's", "$(touch x)", "`id`",           "a b\tc\nd", "\\",       "*",
                                      "-rf",  "",           "'; rm -rf /; '", "!!",        "\xc3\xa4", NULL};

static void a_shell_at_the_other_end_sees_the_words_as_they_were(void **state)
{
    FH_AUTO(buf) fh_buf line = FH_BUF(4096), out = FH_BUF(4096), expected = FH_BUF(4096);
    const char *argv[FH_COUNT(hostile) + 2] = {"printf", "[%s]"}, *words[SUPPLY_SSH_WORDS];
    supply_ssh *s = NULL;
    size_t n = 0;
    for (size_t i = 0; i < FH_COUNT(hostile); i++) argv[i + 2] = hostile[i];
    for (size_t i = 0; hostile[i]; i++) fh_buf_addf(&expected, "[%s]", hostile[i]);
    assert_int_equal(open_url("ssh://me@host:2222", &s, NULL), 0);
    assert_int_equal(fh_supply_ssh_words(s, argv, NULL, &line, words, NULL), 0);
    while (words[n]) n++;
    assert_string_equal(words[n - 3], "--");
    assert_string_equal(words[n - 2], "host");
    const char *const shell[] = {"/bin/sh", "-c", words[n - 1], NULL}, *const env[] = {"PATH=/usr/bin:/bin", NULL};
    assert_int_equal(fh_command_read(shell, env, 60 * FH_NS_PER_S, &out, NULL), 0);
    assert_string_equal(fh_buf_cstr(&out), fh_buf_cstr(&expected));
    fh_supply_ssh_free(s);
}

static bool is_among(const char *const *words, const char *word)
{
    while (*words && strcmp(*words, word) != 0) words++;
    return *words != NULL;
}

static void a_tunnel_has_a_connection_of_its_own(void **state)
{
    FH_AUTO(buf) fh_buf line = FH_BUF(4096), again = FH_BUF(4096);
    const char *argv[] = {"cat", NULL}, *words[SUPPLY_SSH_WORDS];
    supply_ssh *s = NULL;
    assert_int_equal(open_url("ssh://me@host", &s, NULL), 0);
    assert_int_equal(fh_supply_ssh_words(s, argv, "127.0.0.1:20000:127.0.0.1:8471", &line, words, NULL), 0);
    assert_true(is_among(words, "-R") && is_among(words, "127.0.0.1:20000:127.0.0.1:8471"));
    assert_true(is_among(words, "ControlPath=none") && is_among(words, "ExitOnForwardFailure=yes"));
    assert_false(is_among(words, "ControlMaster=auto") || is_among(words, "ClearAllForwardings=yes"));
    assert_int_equal(fh_supply_ssh_words(s, argv, NULL, &again, words, NULL), 0);
    assert_true(is_among(words, "ClearAllForwardings=yes") && !is_among(words, "-R"));
    fh_supply_ssh_free(s);
}

static void addresses_are_taken_apart(void **state)
{
    static const struct {
        const char *url, *name;
    } good[] = {{"ssh://login", "login"},
                {"ssh://me@login.example.org", "me@login.example.org"},
                {"ssh://me@10.0.0.1:2222", "me@10.0.0.1"},
                {"ssh://me@[fe80::1]:22/", "me@fe80::1"}};
    for (size_t i = 0; i < FH_COUNT(good); i++) {
        supply_ssh *s = NULL;
        assert_int_equal(open_url(good[i].url, &s, NULL), 0);
        assert_string_equal(fh_supply_ssh_name(s), good[i].name);
        fh_supply_ssh_free(s);
    }
}

static void what_is_no_address_is_refused_by_its_name(void **state)
{
    static const char *const bad[] = {
        "http://host",   "host",         "ssh://",           "ssh://@host", "ssh://-oProxyCommand=x", "ssh://-l@host",
        "ssh://a b",     "ssh://host:0", "ssh://host:99999", "ssh://host:", "ssh://u:p@host",         "ssh://host/path",
        "ssh://host;id", "ssh://[::1",   "ssh://a@b@c",      "ssh://host\n"};
    for (size_t i = 0; i < FH_COUNT(bad); i++) {
        FH_AUTO(fh_err) fh_err *err = NULL;
        supply_ssh *s = NULL;
        assert_int_equal(open_url(bad[i], &s, &err), FH_E_INVALID);
        assert_string_equal(fh_err_param_get(err), "url");
        assert_null(s);
    }
}

static void a_key_that_is_not_there_is_said(void **state)
{
    FH_AUTO(fh_err) fh_err *err = NULL;
    supply_ssh *s = NULL;
    const supply_host_config c = {.url = "ssh://host", .key_file = "/nowhere/key", .folder = folder};
    assert_int_equal(fh_supply_ssh_new(&s, &c, &err), FH_E_INVALID);
    assert_string_equal(fh_err_param_get(err), "key_file");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_shell_at_the_other_end_sees_the_words_as_they_were),
        cmocka_unit_test(a_tunnel_has_a_connection_of_its_own),
        cmocka_unit_test(addresses_are_taken_apart),
        cmocka_unit_test(what_is_no_address_is_refused_by_its_name),
        cmocka_unit_test(a_key_that_is_not_there_is_said),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
