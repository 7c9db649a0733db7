/* The door of the program: finds the verb, reads its flags, runs it, and turns its error into a message and an exit status. */
#include "cli/cli.h"
#include "cli_private.h"

#include <stdio.h>
#include <string.h>

static int unknown_verb(const char *word, fh_err **err)
{
    const char *near = fh_cli_verb_nearest(word);
    fh_err_set(err, FH_E_USAGE, "no such command: %s", word);
    if (near)
        fh_err_hint(err, "did you mean `freehold %s`? `freehold help` lists all", near);
    else
        fh_err_hint(err, "`freehold help` lists all commands");
    return FH_E_USAGE;
}

/* "node", or "node lst": words that begin a command, and are none. */
static int half_verb(const char *family, const char *word, fh_err **err)
{
    const char *near = word ? fh_cli_verb_nearest_of(family, word) : NULL;
    if (word)
        fh_err_set(err, FH_E_USAGE, "no such command: %s %s", family, word);
    else
        fh_err_set(err, FH_E_USAGE, "%s wants one word more", family);
    if (near)
        fh_err_hint(err, "did you mean `freehold %s`? `freehold help %s` lists all of them", near, family);
    else
        fh_err_hint(err, "`freehold help %s` lists which there are", family);
    return FH_E_USAGE;
}

static int help_of(const fh_cli_verb *v, fh_err **err)
{
    FH_AUTO(buf) fh_buf out = FH_BUF(1 << 20);
    if (v)
        fh_cli_help_verb(v, &out);
    else
        fh_cli_help_all(&out);
    return fh_cli_print(&out, err);
}

/* --help wins over everything else on the line, wrong flags included. */
static bool asks_help(char *const *args, size_t count)
{
    for (size_t i = 0; i < count && strcmp(args[i], "--") != 0; i++)
        if (strcmp(args[i], "--help") == 0 || strcmp(args[i], "-h") == 0) return true;
    return false;
}

static int help_of_family(const char *word, fh_err **err)
{
    FH_AUTO(buf) fh_buf out = FH_BUF(1 << 20);
    fh_cli_help_family(word, &out);
    return fh_cli_print(&out, err);
}

static int without_verb(char *const *words, size_t count, fh_err **err)
{
    if (!fh_cli_verb_is_family(words[0])) return unknown_verb(words[0], err);
    if (asks_help(words + 1, count - 1)) return help_of_family(words[0], err);
    return half_verb(words[0], count > 1 && words[1][0] != '-' ? words[1] : NULL, err);
}

static int run_words(char **words, size_t count, const char **ret_verb, fh_err **err)
{
    if (count == 0) return help_of(NULL, err);
    if (strcmp(words[0], "--help") == 0 || strcmp(words[0], "-h") == 0) return help_of(NULL, err);
    static char version[] = "version";
    if (strcmp(words[0], "--version") == 0) words[0] = version;
    size_t used = 0;
    const fh_cli_verb *verb = fh_cli_verb_find(words, count, &used);
    if (!verb) return without_verb(words, count, err);
    *ret_verb = verb->name;
    if (asks_help(words + used, count - used)) return help_of(verb, err);
    fh_cli c = {0};
    int rc = fh_cli_parse(&c, verb, words + used, count - used, err);
    return rc ? rc : verb->run(&c, err);
}

int fh_cli_main(int argc, char **argv)
{
    fh_err *err = NULL;
    const char *verb = NULL;
    size_t count = argc > 0 ? (size_t)argc - 1 : 0;
    int rc = run_words(argv + 1, count, &verb, &err);
    if (rc) fh_cli_report(verb, err);
    fh_err_free(err);
    return fh_code_exit(rc);
}
