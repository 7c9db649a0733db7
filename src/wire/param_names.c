/* Fields of a chat request by their names in another API. */
#include "private.h"

#include <stdio.h>
#include <string.h>

enum { PARAM_BYTES = 256 };

void fh_wire_name_find(const fh_wire_name *rows, size_t count, const char *param, char *ret, size_t size)
{
    for (size_t i = 0; i < count; i++) {
        size_t n = strlen(rows[i].chat);
        if (strncmp(param, rows[i].chat, n) != 0 || (param[n] && !strchr(".[/", param[n]))) continue;
        snprintf(ret, size, "%s%s", rows[i].here, param[n] == '/' ? param + n : "");
        return;
    }
    snprintf(ret, size, "%s", param);
}

void fh_wire_name_err(const fh_wire_name *rows, size_t count, fh_err **err)
{
    const char *param = err && *err ? fh_err_param_get(*err) : NULL;
    char name[PARAM_BYTES];
    if (!param) return;
    fh_wire_name_find(rows, count, param, name, sizeof name);
    if (strcmp(name, param) != 0) fh_err_param(err, "%s", name);
}
