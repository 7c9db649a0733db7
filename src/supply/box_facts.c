/* Reading what a box says: lines "name value". Nothing of it is believed to be short, printable or there. */
#include "box.h"

#include <stddef.h>
#include <stdio.h>

typedef enum fact_kind { FACT_TEXT, FACT_LIST, FACT_NUMBER, FACT_KIB, FACT_YES } fact_kind;

typedef struct fact {
    const char *name;
    fact_kind kind;
    size_t at, size;
    const char *yes;
} fact;

#define TEXT(name, member)                                                                                                                 \
    {                                                                                                                                      \
        name, FACT_TEXT, offsetof(box_facts, member), sizeof(((box_facts *)0)->member), NULL                                               \
    }
#define LIST(name, member)                                                                                                                 \
    {                                                                                                                                      \
        name, FACT_LIST, offsetof(box_facts, member), sizeof(((box_facts *)0)->member), NULL                                               \
    }
#define NUMBER(name, member)                                                                                                               \
    {                                                                                                                                      \
        name, FACT_NUMBER, offsetof(box_facts, member), sizeof(((box_facts *)0)->member), NULL                                             \
    }
#define KIB(name, member)                                                                                                                  \
    {                                                                                                                                      \
        name, FACT_KIB, offsetof(box_facts, member), sizeof(((box_facts *)0)->member), NULL                                                \
    }
#define YES(name, member, word)                                                                                                            \
    {                                                                                                                                      \
        name, FACT_YES, offsetof(box_facts, member), sizeof(((box_facts *)0)->member), word                                                \
    }

static const fact facts[] = {
    TEXT("arch", arch),
    TEXT("system", system),
    TEXT("libc", libc),
    TEXT("root", root),
    LIST("lacks", lacks),
    KIB("disk_kb", disk_bytes),
    KIB("memory_kb", memory_bytes),
    KIB("kept_kb", kept_bytes),
    TEXT("program", program),
    NUMBER("part", part_bytes),
    LIST("library", libraries),
    TEXT("version", version),
    TEXT("words", words),
    YES("runs", runs, "yes"),
    YES("installed", installed, "yes"),
    NUMBER("held", held),
    TEXT("agent", agent),
    TEXT("said", said),
    YES("token", token, "yes"),
    YES("tunnel", tunnel, "up"),
    NUMBER("port", port),
    TEXT("left", left),
    TEXT("error", error),
};

/* As much as there is room for; what a terminal would obey is left out. */
static size_t add_text(char *out, size_t at, size_t out_size, fh_str value)
{
    for (size_t i = 0, n; i < value.len; i += n ? n : 1) {
        uint32_t cp = 0;
        n = fh_utf8_decode(value.ptr + i, value.len - i, &cp);
        bool good = n && cp >= ' ' && cp != 0x7f && !(cp >= 0x80 && cp < 0xa0);
        size_t more = good ? n : 1;
        if (at + more >= out_size) break;
        memcpy(out + at, good ? value.ptr + i : "?", more);
        at += more;
    }
    out[at] = '\0';
    return at;
}

static void take_number(const fact *k, box_facts *f, fh_str value)
{
    uint64_t n = 0, unit = k->kind == FACT_KIB ? 1024 : 1;
    char *member = (char *)f + k->at;
    if (!fh_str_u64(value, k->size == sizeof(int) ? 65535 : INT64_MAX / unit, &n)) n = 0;
    n *= unit;
    if (k->size == sizeof(int))
        *(int *)(void *)member = (int)n;
    else
        *(uint64_t *)(void *)member = n;
}

static void take(const fact *k, box_facts *f, fh_str value)
{
    char *member = (char *)f + k->at;
    size_t at = k->kind == FACT_LIST ? strlen(member) : 0;
    switch (k->kind) {
    case FACT_LIST:
        if (at) at = add_text(member, at, k->size, FH_STR(" "));
        (void)add_text(member, at, k->size, value);
        break;
    case FACT_TEXT: (void)add_text(member, 0, k->size, value); break;
    case FACT_YES: *(bool *)(void *)member = fh_str_eqs(value, k->yes); break;
    case FACT_NUMBER:
    case FACT_KIB: take_number(k, f, value); break;
    }
}

static void take_line(box_facts *f, box_step step, fh_str line)
{
    size_t blank = fh_str_find(line, FH_STR(" "));
    fh_str name = {line.ptr, blank}, value = fh_str_trim((fh_str){line.ptr + blank, line.len - blank});
    if (fh_str_eqs(name, "end") && fh_str_eqs(value, fh_box_step_name(step))) f->whole = true;
    for (size_t i = 0; i < FH_COUNT(facts); i++)
        if (fh_str_eqs(name, facts[i].name)) take(&facts[i], f, value);
}

void fh_box_facts_read(box_facts *f, box_step step, fh_str text)
{
    f->error[0] = '\0';
    f->whole = false;
    if (step == BOX_LOOK) *f = (box_facts){.tried = false};
    if (step == BOX_TRY || step == BOX_KEEP) f->libraries[0] = f->version[0] = f->words[0] = '\0';
    while (text.len) {
        size_t end = fh_str_find(text, FH_STR("\n"));
        take_line(f, step, (fh_str){text.ptr, end});
        end += end < text.len;
        text = (fh_str){text.ptr + end, text.len - end};
    }
    if (f->error[0]) f->whole = true;
    if (step == BOX_TRY) f->tried = f->whole;
    if (step == BOX_KEEP || step == BOX_INSTALL) f->tried = false; /* it has to be tried again */
}

void fh_box_packages(const char *libraries, char *out, size_t out_size)
{
    static const char *const known[][2] = {
        {"libhwloc.so.15", "libhwloc15"},        {"libseccomp.so.2", "libseccomp2"},    {"libjansson.so.4", "libjansson4"},
        {"libevent-2.1.so.7", "libevent-2.1-7"}, {"libcurl.so.4", "libcurl4"},          {"libssl.so.3", "libssl3"},
        {"libcrypto.so.3", "libssl3"},           {"libnghttp2.so.14", "libnghttp2-14"}, {"libpcre2-8.so.0", "libpcre2-8-0"},
        {"libutf8proc.so.2", "libutf8proc2"},    {"libsqlite3.so.0", "libsqlite3-0"},
    };
    size_t at = 0;
    out[0] = '\0';
    for (size_t i = 0; i < FH_COUNT(known); i++) {
        bool again = i && strcmp(known[i][1], known[i - 1][1]) == 0 && strstr(libraries, known[i - 1][0]);
        if (!strstr(libraries, known[i][0]) || again) continue;
        int n = snprintf(out + at, out_size - at, "%s%s", at ? " " : "", known[i][1]);
        if (n < 0 || (size_t)n >= out_size - at) {
            out[at] = '\0';
            return;
        }
        at += (size_t)n;
    }
}
