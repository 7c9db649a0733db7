/* Where engines of others are found, what of their installation they may read, and which versions are taken. */
#include "cmocka_all.h"

#include "base/mem.h"
#include "programs.h"
#include "sys/file.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[64];

static const char *at(const char *name)
{
    static char path[8][256];
    static unsigned next;
    char *p = path[next++ % 8];
    snprintf(p, sizeof path[0], "%s/%s", folder, name);
    return p;
}

static void put(const char *name, const char *text)
{
    assert_int_equal(fh_file_write_atomic(at(name), text, strlen(text), 0755, NULL), 0);
}

static int setup(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/fh-programs-XXXXXX");
    if (!mkdtemp(folder)) return -1;
    static const char *const folders[] = {"llama", "llama/bin", "llama/lib", "venv", "venv/bin", "python", "python/bin", "python/lib"};
    for (size_t i = 0; i < FH_COUNT(folders); i++)
        if (fh_dir_make(at(folders[i]), 0700, NULL) != 0) return -1;
    put("llama/bin/llama-server", "\177ELF");
    put("venv/pyvenv.cfg", "");
    put("python/bin/python3.11", "\177ELF");
    if (symlink(at("python/bin/python3.11"), at("venv/bin/python3")) != 0 || symlink("python3", at("venv/bin/python")) != 0) return -1;
    char script[300];
    snprintf(script, sizeof script, "#!%s -x\nimport sys\n", at("venv/bin/python"));
    put("venv/bin/vllm", script);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    return fh_dir_remove(folder, NULL);
}

static const fh_catalog_engine *row(const char *id)
{
    return fh_catalog_engine_find(fh_str_of(id));
}

static bool has_part(const fh_program *p, const char *path)
{
    for (size_t i = 0; p->runs[i]; i++)
        if (strcmp(p->runs[i], path) == 0) return true;
    return false;
}

static int find(const char *id, const char *words, fh_program *ret, fh_err **err)
{
    const char *const told[] = {words, NULL};
    return fh_program_find(words ? told : NULL, "/bin/true", row(id), ret, err);
}

static void our_own_engine_is_this_program(void **state)
{
    (void)state;
    fh_program p;
    assert_int_equal(find("freehold", NULL, &p, NULL), 0);
    assert_non_null(strstr(p.path, "/bin/true"));
    assert_null(p.runs[0]);
}

static void a_program_brings_its_folder_and_its_libraries(void **state)
{
    (void)state;
    fh_program p;
    char words[300];
    snprintf(words, sizeof words, "llama-server=%s", at("llama/bin/llama-server"));
    assert_int_equal(find("llama-server", words, &p, NULL), 0);
    assert_string_equal(p.path, at("llama/bin/llama-server"));
    assert_true(has_part(&p, at("llama/bin")) && has_part(&p, at("llama/lib")));
    assert_int_equal(p.count, 2);
    assert_string_equal(p.interpreter, "");
}

static void more_that_it_reads_is_named_by_its_owner(void **state)
{
    (void)state;
    fh_program p;
    char words[400];
    FH_AUTO(fh_err) fh_err *err = NULL;
    snprintf(words, sizeof words, "llama-server=%s:%s", at("llama/bin/llama-server"), at("python"));
    assert_int_equal(find("llama-server", words, &p, NULL), 0);
    assert_true(has_part(&p, at("python")));
    snprintf(words, sizeof words, "llama-server=%s:%s", at("llama/bin/llama-server"), at("nowhere"));
    assert_int_equal(find("llama-server", words, &p, &err), FH_E_UNSUPPORTED);
    assert_non_null(strstr(fh_err_message(err), "nowhere"));
}

static void a_script_of_pythons_brings_its_environment_and_its_python(void **state)
{
    (void)state;
    fh_program p;
    char words[300];
    snprintf(words, sizeof words, "vllm=%s", at("venv/bin/vllm"));
    assert_int_equal(find("vllm", words, &p, NULL), 0);
    assert_string_equal(p.interpreter, at("venv/bin/python"));
    assert_true(has_part(&p, at("venv")) && has_part(&p, at("python/bin")) && has_part(&p, at("python/lib")));
    assert_false(has_part(&p, at("python")) || has_part(&p, folder));
}

static void folders_of_the_system_are_not_opened(void **state)
{
    (void)state;
    fh_program p;
    assert_int_equal(find("llama-server", "llama-server=/bin/true", &p, NULL), 0);
    assert_false(has_part(&p, "/bin") || has_part(&p, "/usr/bin") || has_part(&p, "/usr/lib"));
}

static void what_is_not_told_is_looked_for_in_path(void **state)
{
    (void)state;
    fh_program p;
    char *before = fh_strdup(getenv("PATH"));
    FH_AUTO(fh_err) fh_err *err = NULL;
    setenv("PATH", "/usr/bin::relative", 1);
    assert_int_equal(find("llama-server", NULL, &p, &err), FH_E_UNSUPPORTED);
    assert_non_null(strstr(fh_err_message(err), "not installed"));
    assert_non_null(strstr(fh_err_hint_get(err), "--engine llama-server="));
    setenv("PATH", at("llama/bin"), 1);
    assert_int_equal(find("llama-server", NULL, &p, NULL), 0);
    assert_string_equal(p.path, at("llama/bin/llama-server"));
    assert_int_equal(find("llama-server", "llama-server=/nowhere/llama-server", &p, &err), FH_E_UNSUPPORTED); /* what was told counts */
    assert_non_null(strstr(fh_err_message(err), "/nowhere/llama-server"));
    setenv("PATH", before, 1);
    fh_free(before);
}

static void rows_that_say_nothing_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "llama-server", "llama-server=", "llama-server=bin/x", "=/bin/true", "tgi=/bin/true", "freehold=/bin/true", ""};
    static const char *const good[] = {"llama-server=/opt/x", "vllm=/opt/y:/opt/z", NULL};
    for (size_t i = 0; i < FH_COUNT(bad); i++) {
        const char *const told[] = {bad[i], NULL};
        if (fh_programs_check(told, NULL) != FH_E_USAGE) fail_msg("\"%s\" was taken", bad[i]);
    }
    assert_int_equal(fh_programs_check(good, NULL), 0);
    assert_int_equal(fh_programs_check(NULL, NULL), 0);
}

static int ask(const char *says, fh_program *p, fh_err **err)
{
    fh_sandbox_kind kind;
    char words[300], script[300];
    snprintf(words, sizeof words, "llama-server=%s", at("llama/bin/old"));
    snprintf(script, sizeof script, "#!/bin/sh\necho '%s'\n", says);
    put("llama/bin/old", script);
    assert_int_equal(find("llama-server", words, p, NULL), 0);
    assert_int_equal(fh_sandbox_probe(&kind, NULL), 0);
    return fh_program_ask(row("llama-server"), "", p, kind, err);
}

static void a_program_is_asked_for_its_version_inside_the_sandbox(void **state)
{
    (void)state;
    fh_program p;
    FH_AUTO(fh_err) fh_err *err = NULL;
    if (ask("version: 7000 (abc)", &p, &err) != 0) fail_msg("%s", fh_err_message(err));
    assert_string_equal(p.version, "7000");
    assert_int_equal(ask("version: 17 (abc)", &p, &err), FH_E_UNSUPPORTED);
    assert_non_null(strstr(fh_err_message(err), "version 17"));
    assert_non_null(strstr(fh_err_message(err), at("llama/bin/old")));
    assert_int_equal(ask("usage: old [FILE]", &p, &err), FH_E_UNSUPPORTED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(our_own_engine_is_this_program),
        cmocka_unit_test(a_program_brings_its_folder_and_its_libraries),
        cmocka_unit_test(more_that_it_reads_is_named_by_its_owner),
        cmocka_unit_test(a_script_of_pythons_brings_its_environment_and_its_python),
        cmocka_unit_test(folders_of_the_system_are_not_opened),
        cmocka_unit_test(what_is_not_told_is_looked_for_in_path),
        cmocka_unit_test(rows_that_say_nothing_are_refused),
        cmocka_unit_test(a_program_is_asked_for_its_version_inside_the_sandbox),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
