/* Who is next (see fair.h). */
#include "fair.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

struct fh_fair_row { /* of one key in one class */
    char key_id[FH_KEY_ID_LEN + 1];
    int class; /* index into classes */
    uint64_t pass;
    fh_fair_item *first, *last;
    size_t count;
};

typedef struct class
{
    uint64_t pass, now; /* of the class among the others; and where the row is that was served last */
    size_t count;
} level;

struct fh_fair {
    fh_fair_row *rows; /* owned; those in use come first */
    size_t row_count, most_rows, count, most_items;
    level classes[FH_PRIORITIES];
    uint64_t now, number; /* where the class is that was served last; of the next item */
};

/* What a token costs a class: low, normal, high. */
static const uint64_t class_price[FH_PRIORITIES] = {16, 4, 1};

fh_fair *fh_fair_new(size_t most_items, size_t most_rows)
{
    fh_fair *f = fh_calloc(1, sizeof *f);
    if (!f) return NULL;
    f->rows = fh_calloc(most_rows, sizeof *f->rows);
    f->most_items = most_items;
    f->most_rows = most_rows;
    if (f->rows) return f;
    fh_fair_free(f);
    return NULL;
}

void fh_fair_free(fh_fair *f)
{
    if (!f) return;
    fh_free(f->rows);
    fh_free(f);
}

size_t fh_fair_count(const fh_fair *f)
{
    return f->count;
}

void fh_fair_rest(fh_fair *f)
{
    assert(f->count == 0);
    f->row_count = 0;
    memset(f->classes, 0, sizeof f->classes);
    f->now = 0;
}

static fh_fair_row *find(const fh_fair *f, const char *key_id, int class)
{
    for (size_t i = 0; i < f->row_count; i++)
        if (f->rows[i].class == class && strcmp(f->rows[i].key_id, key_id) == 0) return &f->rows[i];
    return NULL;
}

/* A new row, or that of a key which waits for nothing and has the least pass: others lose least by its being forgotten. */
static fh_fair_row *place(fh_fair *f)
{
    fh_fair_row *least = NULL;
    if (f->row_count < f->most_rows) return &f->rows[f->row_count++];
    for (size_t i = 0; i < f->row_count; i++)
        if (f->rows[i].count == 0 && (!least || f->rows[i].pass < least->pass)) least = &f->rows[i];
    return least;
}

static fh_fair_row *find_or_make(fh_fair *f, const char *key_id, int class)
{
    fh_fair_row *r = find(f, key_id, class);
    if (r) return r;
    r = place(f);
    if (!r) return NULL;
    *r = (fh_fair_row){.class = class, .pass = f->classes[class].now};
    snprintf(r->key_id, sizeof r->key_id, "%s", key_id);
    return r;
}

static void catch_up(uint64_t *pass, uint64_t now)
{
    *pass = FH_MAX(*pass, now);
}

static void unlink_item(fh_fair *f, fh_fair_item *item)
{
    fh_fair_row *r = item->row;
    *(item->previous ? &item->previous->next : &r->first) = item->next;
    *(item->next ? &item->next->previous : &r->last) = item->previous;
    item->next = item->previous = NULL;
    item->row = NULL;
    r->count--;
    f->classes[r->class].count--;
    f->count--;
}

void fh_fair_remove(fh_fair *f, fh_fair_item *item)
{
    unlink_item(f, item);
}

/* The last of the longest row, when that is longer than the row of who comes; of rows as long, one of the lowest class. */
static fh_fair_item *who_gives_way(const fh_fair *f, const fh_fair_row *of)
{
    const fh_fair_row *longest = NULL;
    for (size_t i = 0; i < f->row_count; i++) {
        const fh_fair_row *r = &f->rows[i];
        if (!longest || r->count > longest->count || (r->count == longest->count && r->class < longest->class)) longest = r;
    }
    return longest && longest->count > of->count + 1 ? longest->last : NULL;
}

/* Who begins to ask begins where the others are; who waits already keeps what it is owed. */
static void join(fh_fair *f, fh_fair_row *r)
{
    level *c = &f->classes[r->class];
    if (c->count == 0) catch_up(&c->pass, f->now);
    if (r->count == 0) catch_up(&r->pass, c->now);
}

static void append(fh_fair *f, fh_fair_row *r, fh_fair_item *item)
{
    join(f, r);
    item->row = r;
    item->number = f->number++;
    item->previous = r->last;
    item->next = NULL;
    *(r->last ? &r->last->next : &r->first) = item;
    r->last = item;
    r->count++;
    f->classes[r->class].count++;
    f->count++;
}

fh_fair_item *fh_fair_push(fh_fair *f, fh_fair_item *item, const char *key_id, fh_priority class, uint64_t cost)
{
    fh_fair_item *loser = NULL;
    fh_fair_row *r = find_or_make(f, key_id, class - FH_PRIORITY_LOW);
    if (!r) return item;
    if (f->count >= f->most_items) {
        loser = who_gives_way(f, r);
        if (!loser) return item;
        unlink_item(f, loser);
    }
    item->cost = cost;
    append(f, r, item);
    return loser;
}

/* Is what is first in row a served before what is first in row b? */
static bool before(const fh_fair *f, const fh_fair_row *a, uint64_t a_number, const fh_fair_row *b, uint64_t b_number)
{
    uint64_t x = f->classes[a->class].pass, y = f->classes[b->class].pass;
    if (a->class != b->class) return x < y || (x == y && a->class > b->class);
    return a->pass < b->pass || (a->pass == b->pass && a_number < b_number);
}

static fh_fair_item *first_that_may(const fh_fair_row *r, bool (*may)(void *arg, const fh_fair_item *item), void *arg)
{
    fh_fair_item *item = r->first;
    while (item && may && !may(arg, item)) item = item->next;
    return item;
}

static void charge(fh_fair *f, fh_fair_row *r, uint64_t cost)
{
    level *c = &f->classes[r->class];
    catch_up(&f->now, c->pass);
    catch_up(&c->now, r->pass);
    c->pass += cost * class_price[r->class];
    r->pass += cost;
}

fh_fair_item *fh_fair_pop(fh_fair *f, bool (*may)(void *arg, const fh_fair_item *item), void *arg)
{
    fh_fair_item *best = NULL;
    for (size_t i = 0; i < f->row_count; i++) {
        fh_fair_row *r = &f->rows[i];
        if (!r->first || (best && !before(f, r, r->first->number, best->row, best->number))) continue;
        fh_fair_item *item = first_that_may(r, may, arg);
        if (item) best = item;
    }
    if (!best) return NULL;
    fh_fair_row *r = best->row;
    unlink_item(f, best);
    charge(f, r, best->cost);
    return best;
}

void fh_fair_charge(fh_fair *f, const char *key_id, fh_priority class, uint64_t cost)
{
    fh_fair_row *r = find_or_make(f, key_id, class - FH_PRIORITY_LOW);
    if (!r) return;
    join(f, r);
    charge(f, r, cost);
}

static void correct(uint64_t *pass, uint64_t cost, uint64_t used)
{
    *pass = *pass + used > cost ? *pass + used - cost : 0;
}

void fh_fair_settle(fh_fair *f, const char *key_id, fh_priority class, uint64_t cost, uint64_t used)
{
    fh_fair_row *r = find(f, key_id, class - FH_PRIORITY_LOW);
    if (!r) return;
    correct(&r->pass, cost, used);
    correct(&f->classes[r->class].pass, cost * class_price[r->class], used * class_price[r->class]);
}
