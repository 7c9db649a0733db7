/* What the files that make Messages requests out of chat requests share. */
#ifndef FH_WIRE_MESSAGES_UPSTREAM_H
#define FH_WIRE_MESSAGES_UPSTREAM_H

#include "messages_private.h"

/* A chat request on its way into a Messages request. */
typedef struct fh_up {
    const fh_json *chat; /* borrowed */
    fh_json *out;        /* owned; being built */
} fh_up;

/* Refuses what is at param: this API has no way to say it. */
int fh_up_refuse(fh_err **err, const char *param, const char *what);
/* messages_upstream_turns.c: system and messages */
int fh_up_turns(fh_up *u, fh_err **err);
/* messages_upstream_parts.c: a chat message's content (string, parts, or nothing), as blocks */
int fh_up_blocks(fh_json *blocks, const fh_json *content, const char *path, fh_err **err);
/* messages_upstream_tools.c: tools and tool_choice */
int fh_up_tools(fh_up *u, fh_err **err);

#endif
