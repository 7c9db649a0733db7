/* Lists of offers that are kept (see price_lists.h). */
#include "price_lists.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "plans.h"
#include "sys/file.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct fh_price_lists {
    char folder[1100];
    fh_price_list list[FH_LIMIT_PRICE_LISTS];
    size_t count;
};

static bool good_name(fh_str name)
{
    for (size_t i = 0; i < name.len; i++)
        if (!strchr("abcdefghijklmnopqrstuvwxyz0123456789-", name.ptr[i])) return false;
    return name.len > 0 && name.len < 64;
}

static fh_price_list *find(fh_price_lists *all, fh_str name)
{
    for (size_t i = 0; i < all->count; i++)
        if (fh_str_eqs(name, all->list[i].name)) return &all->list[i];
    return NULL;
}

static int path_of(const fh_price_lists *all, fh_str name, char *out, size_t out_size, fh_err **err)
{
    char file[80];
    snprintf(file, sizeof file, "%.*s.json", (int)name.len, name.ptr);
    return fh_path_join(out, out_size, all->folder, file, err);
}

static void set(fh_price_list *l, fh_str name, int64_t imported_utc_ns, fh_plan_book *book)
{
    fh_plan_book_free(l->book);
    *l = (fh_price_list){.imported_utc_ns = imported_utc_ns, .offers = fh_plan_book_market(book).offer_count, .book = book};
    memcpy(l->name, name.ptr, name.len);
}

static int book_of(const fh_json *offers, fh_plan_book **ret, fh_err **err)
{
    FH_AUTO(fh_plan_book) fh_plan_book *b = NULL;
    int rc = fh_plan_book_new(&b, err);
    if (!rc) rc = plan_offers_add(offers, b, err);
    if (!rc) *ret = fh_take(b);
    return rc;
}

/* ---- at the start ---- */

static int read_file(fh_price_lists *all, const char *path, fh_str name, fh_err **err)
{
    FH_AUTO(buf) fh_buf text = FH_BUF(FH_LIMIT_PRICE_FILE_BYTES);
    FH_AUTO(json) fh_json *doc = NULL;
    FH_AUTO(fh_plan_book) fh_plan_book *book = NULL;
    int64_t imported = 0;
    int rc = fh_file_read(path, FH_LIMIT_PRICE_FILE_BYTES, &text, err);
    if (!rc) rc = fh_json_parse(&doc, (fh_str){fh_buf_cstr(&text), text.len}, FH_LIMIT_PRICE_FILE_BYTES, err);
    if (!rc) rc = fh_json_read_i64(doc, "imported_utc_ns", true, 0, INT64_MAX, &imported, err);
    if (!rc) rc = book_of(fh_json_get(doc, "offers"), &book, err);
    if (!rc) set(&all->list[all->count++], name, imported, fh_take(book));
    return rc;
}

static int look_at(void *arg, const char *file, fh_err **err)
{
    fh_price_lists *all = arg;
    fh_str name = fh_str_of(file), end = FH_STR(".json");
    char path[1200];
    if (!fh_str_ends(name, end) || all->count == FH_LIMIT_PRICE_LISTS) return 0;
    name.len -= end.len;
    int rc = good_name(name) ? path_of(all, name, path, sizeof path, err) : FH_E_INVALID;
    if (rc) return 0; /* not ours */
    FH_AUTO(fh_err) fh_err *why = NULL;
    if (read_file(all, path, name, &why) == FH_E_NOMEM) return fh_err_nomem(err);
    if (why) fh_log_err(FH_LOG_WARN, "server", why, "the offers of %s are not planned with", path);
    return 0;
}

int fh_price_lists_open(fh_price_lists **ret, const char *data_dir, fh_err **err)
{
    fh_price_lists *all = fh_calloc(1, sizeof *all);
    if (!all) return fh_err_nomem(err);
    int rc = fh_path_join(all->folder, sizeof all->folder, data_dir, "offers", err);
    if (!rc && fh_file_exists(all->folder)) rc = fh_dir_each(all->folder, look_at, all, err);
    if (rc)
        fh_price_lists_close(all);
    else
        *ret = all;
    return rc;
}

void fh_price_lists_close(fh_price_lists *all)
{
    if (!all) return;
    for (size_t i = 0; i < all->count; i++) fh_plan_book_free(all->list[i].book);
    fh_free(all);
}

/* ---- changes ---- */

static int write_file(const fh_price_lists *all, fh_str name, int64_t now, const fh_json *offers, fh_err **err)
{
    char path[1200];
    FH_AUTO(buf) fh_buf text = FH_BUF(FH_LIMIT_PRICE_FILE_BYTES);
    int rc = path_of(all, name, path, sizeof path, err);
    fh_buf_addf(&text, "{\"imported_utc_ns\":%lld,\"offers\":", (long long)now);
    if (!rc) rc = fh_json_write(offers, &text, err);
    fh_buf_addc(&text, '}');
    if (!rc) rc = fh_buf_check(&text, err, "the list of offers");
    if (!rc) rc = fh_dir_make(all->folder, 0700, err);
    return rc ? rc : fh_file_write_atomic(path, text.data, text.len, 0600, err);
}

static int check_room(fh_price_lists *all, fh_str name, fh_err **err)
{
    if (!good_name(name)) {
        fh_err_set(err, FH_E_INVALID, "'name' must be 1 to 63 small letters, digits and dashes");
        fh_err_param(err, "name");
        return FH_E_INVALID;
    }
    if (find(all, name) || all->count < FH_LIMIT_PRICE_LISTS) return 0;
    fh_err_set(err, FH_E_CONFLICT, "there are %d lists of offers", FH_LIMIT_PRICE_LISTS);
    fh_err_hint(err, "`freehold offers lists` shows them, `freehold offers forget` removes one");
    return FH_E_CONFLICT;
}

int fh_price_lists_put(fh_price_lists *all, fh_str name, const fh_json *offers, const fh_price_list **ret, fh_err **err)
{
    FH_AUTO(fh_plan_book) fh_plan_book *book = NULL;
    int64_t now = fh_clock_utc_ns();
    int rc = check_room(all, name, err);
    if (!rc) rc = book_of(offers, &book, err);
    if (!rc) rc = write_file(all, name, now, offers, err);
    if (rc) return rc;
    fh_price_list *l = find(all, name);
    if (!l) l = &all->list[all->count++];
    set(l, name, now, fh_take(book));
    *ret = l;
    return 0;
}

int fh_price_lists_remove(fh_price_lists *all, fh_str name, fh_err **err)
{
    char path[1200];
    fh_price_list *l = find(all, name);
    if (!l) {
        fh_err_set(err, FH_E_NOT_FOUND, "there is no list of offers \"%.*s\"", (int)FH_MIN(name.len, (size_t)64), name.ptr);
        fh_err_hint(err, "`freehold offers lists` shows them");
        return FH_E_NOT_FOUND;
    }
    int rc = path_of(all, name, path, sizeof path, err);
    if (rc) return rc;
    if (unlink(path)) fh_log(FH_LOG_WARN, "server", "%s is not removed", path);
    fh_plan_book_free(l->book);
    *l = all->list[--all->count];
    return 0;
}

size_t fh_price_lists_count(const fh_price_lists *all)
{
    return all->count;
}

const fh_price_list *fh_price_lists_at(const fh_price_lists *all, size_t i)
{
    return &all->list[i];
}
