/* Groups: names for lists of models, of which the gateway chooses one a request. Kept in the database (table groups) and in memory, where
 * routing reads them. A group named auto takes the place of the built-in one, which is all that runs. Changed on the server's loop; read by
 * any thread. */
#ifndef FH_SERVER_GROUPS_H
#define FH_SERVER_GROUPS_H

#include "base/limits.h"
#include "db/db.h"
#include "json/json.h"

typedef struct fh_group_member {
    char name[200];            /* a model, deployment/NAME or provider/NAME/MODEL */
    bool priced;               /* its owner says what it costs: */
    int64_t in_nusd, out_nusd; /* per million tokens */
    int64_t token_uj;          /* of a generated token; 0: not said */
    int64_t active_params;     /* 0: not said */
} fh_group_member;

typedef struct fh_group {
    char name[64];
    int64_t created_utc_ns;
    fh_group_member members[FH_LIMIT_GROUP_MEMBERS]; /* the smallest first, where nothing else tells */
    size_t count;
} fh_group;

typedef struct fh_groups fh_groups;
int fh_groups_open(fh_groups **ret, fh_db *db, fh_err **err); /* borrows db until closed */
void fh_groups_close(fh_groups *all);
FH_DEFINE_AUTO(fh_groups, fh_groups_close);

/* A JSON array of objects with a name and what its owner says of it (shape GroupMember). Fills members and count. */
int fh_group_read_members(fh_group *g, const fh_json *list, fh_err **err);
fh_json *fh_group_members_json(const fh_group *g); /* owned; NULL when memory is out */
/* Takes g, also when it fails. FH_E_EXISTS when the name is taken. */
int fh_groups_put(fh_groups *all, fh_group *g, fh_err **err);
int fh_groups_remove(fh_groups *all, const char *name, fh_err **err);

/* Reading: between begin and end nothing changes, so what is read stays valid; not for long. */
void fh_groups_begin(fh_groups *all);
void fh_groups_end(fh_groups *all);
size_t fh_groups_count(const fh_groups *all);
const fh_group *fh_groups_at(const fh_groups *all, size_t i);
const fh_group *fh_groups_find(const fh_groups *all, fh_str name); /* NULL when there is none */

#endif
