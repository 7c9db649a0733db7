/* Completion scripts for bash, zsh and fish, made from the table of verbs. */
#include "cli_private.h"

#include <string.h>

/* The first word of each verb once, with a blank between. */
static void add_first_words(fh_buf *out)
{
    for (size_t i = 0; fh_cli_verbs[i]; i++) {
        const char *name = fh_cli_verbs[i]->name;
        size_t len = strcspn(name, " ");
        bool seen = false;
        for (size_t j = 0; j < i; j++) seen |= strncmp(fh_cli_verbs[j]->name, name, len) == 0 && strcspn(fh_cli_verbs[j]->name, " ") == len;
        if (seen) continue;
        if (i > 0) fh_buf_addc(out, ' ');
        fh_buf_add(out, name, len);
    }
}

static void add_flag_words(fh_buf *out, const fh_cli_flag *list)
{
    for (const fh_cli_flag *f = list; f && f->name; f++) fh_buf_addf(out, " --%s", f->name);
}

/* Second words that follow a first word ("create list revoke" after key). */
static void add_second_words(fh_buf *out, const char *first, size_t len)
{
    for (size_t i = 0; fh_cli_verbs[i]; i++) {
        const char *name = fh_cli_verbs[i]->name;
        if (strncmp(name, first, len) == 0 && name[len] == ' ') fh_buf_addf(out, " %s", name + len + 1);
    }
}

/* One case of the shell function: everything that may follow the first word. */
static void add_case(fh_buf *out, size_t i, const char *variable)
{
    const fh_cli_verb *v = fh_cli_verbs[i];
    size_t len = strcspn(v->name, " ");
    for (size_t j = 0; j < i; j++)
        if (strncmp(fh_cli_verbs[j]->name, v->name, len) == 0 && strcspn(fh_cli_verbs[j]->name, " ") == len) return;
    fh_buf_addf(out, "    %.*s) %s=\"", (int)len, v->name, variable);
    FH_AUTO(buf) fh_buf words = FH_BUF(1 << 16);
    add_second_words(&words, v->name, len);
    for (size_t j = i; fh_cli_verbs[j]; j++)
        if (strncmp(fh_cli_verbs[j]->name, v->name, len) == 0 && strcspn(fh_cli_verbs[j]->name, " ") == len)
            add_flag_words(&words, fh_cli_verbs[j]->flags);
    add_flag_words(&words, fh_cli_common);
    fh_buf_addf(out, "%s\" ;;\n", fh_buf_cstr(&words) + (words.len > 0));
}

static void write_bash(fh_buf *out)
{
    fh_buf_adds(out, "# bash completion for freehold; made by `freehold completion bash`\n"
                     "_freehold() {\n  local cur=\"${COMP_WORDS[COMP_CWORD]}\" words=\"\"\n"
                     "  if [ \"$COMP_CWORD\" -eq 1 ]; then\n    words=\"");
    add_first_words(out);
    fh_buf_adds(out, "\"\n  else\n    case \"${COMP_WORDS[1]}\" in\n");
    for (size_t i = 0; fh_cli_verbs[i]; i++) add_case(out, i, "words");
    fh_buf_adds(out, "    esac\n  fi\n  COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n  [ ${#COMPREPLY[@]} -gt 0 ] || "
                     "COMPREPLY=($(compgen -f -- \"$cur\"))\n"
                     "}\ncomplete -F _freehold freehold\n");
}

static void write_zsh(fh_buf *out)
{
    fh_buf_adds(out, "#compdef freehold\n# zsh completion for freehold; made by `freehold completion zsh`\n_freehold() {\n  local "
                     "first=\"${words[2]}\" choices=\"\"\n"
                     "  if (( CURRENT == 2 )); then\n    choices=\"");
    add_first_words(out);
    fh_buf_adds(out, "\"\n  else\n    case \"$first\" in\n");
    for (size_t i = 0; fh_cli_verbs[i]; i++) add_case(out, i, "choices");
    fh_buf_adds(out, "    esac\n  fi\n  compadd -- ${(z)choices} || _files\n}\ncompdef _freehold freehold\n");
}

/* fish wants its descriptions in single quotes. */
static void add_fish_text(fh_buf *out, const char *s)
{
    fh_buf_addc(out, '\'');
    for (; *s; s++) {
        if (*s == '\'' || *s == '\\') fh_buf_addc(out, '\\');
        fh_buf_addc(out, *s);
    }
    fh_buf_addc(out, '\'');
}

static void fish_verb(fh_buf *out, const fh_cli_verb *v)
{
    size_t len = strcspn(v->name, " ");
    if (v->name[len] == '\0') {
        fh_buf_addf(out, "complete -c freehold -n __fish_use_subcommand -a %s -d ", v->name);
        add_fish_text(out, v->summary);
    } else {
        fh_buf_addf(out, "complete -c freehold -n __fish_use_subcommand -a %.*s\n", (int)len, v->name);
        fh_buf_addf(out, "complete -c freehold -n '__fish_seen_subcommand_from %.*s' -a %s -d ", (int)len, v->name, v->name + len + 1);
        add_fish_text(out, v->summary);
    }
    fh_buf_addc(out, '\n');
    for (const fh_cli_flag *f = v->flags; f && f->name; f++) {
        fh_buf_addf(out, "complete -c freehold -n '__fish_seen_subcommand_from %.*s' -l %s %s-d ", (int)len, v->name, f->name,
                    f->value ? "-r " : "");
        add_fish_text(out, f->help);
        fh_buf_addc(out, '\n');
    }
}

static void write_fish(fh_buf *out)
{
    fh_buf_adds(out, "# fish completion for freehold; made by `freehold completion fish`\n");
    for (size_t i = 0; fh_cli_verbs[i]; i++) fish_verb(out, fh_cli_verbs[i]);
    for (const fh_cli_flag *f = fh_cli_common; f->name; f++) {
        fh_buf_addf(out, "complete -c freehold -l %s %s-d ", f->name, f->value ? "-r " : "");
        add_fish_text(out, f->help);
        fh_buf_addc(out, '\n');
    }
}

bool fh_cli_completion(const char *shell, fh_buf *out)
{
    if (strcmp(shell, "bash") == 0)
        write_bash(out);
    else if (strcmp(shell, "zsh") == 0)
        write_zsh(out);
    else if (strcmp(shell, "fish") == 0)
        write_fish(out);
    else
        return false;
    return true;
}
