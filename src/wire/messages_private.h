/* What the files that translate Anthropic's Messages API share. */
#ifndef FH_WIRE_MESSAGES_PRIVATE_H
#define FH_WIRE_MESSAGES_PRIVATE_H

#include "private.h"
#include "wire/messages.h"

/* What stands for the signature of a thought that nobody signed: clients keep thoughts without one to themselves. */
#define FH_MSG_SIGNATURE "unsigned"
/* A tool call's arguments that are no JSON object, wrapped as Anthropic's documentation of tool use suggests. */
#define FH_MSG_BROKEN_INPUT "INVALID_JSON"

/* messages_json.c: paths of fields, for errors. A longer one than fits is cut. */
typedef struct fh_msg_path {
    char at[112];
} fh_msg_path;
fh_msg_path fh_msg_member(const char *parent, const char *key); /* "a.b" */
fh_msg_path fh_msg_item(const char *parent, size_t i);          /* "a[3]" */

/* Reads of members: as fh_json_read_..., with the whole path as param. */
int fh_msg_read_str(const fh_json *o, const char *path, const char *key, bool required, fh_str *ret, fh_err **err);
int fh_msg_read_bool(const fh_json *o, const char *path, const char *key, bool *ret, fh_err **err);
int fh_msg_object(const fh_json *v, const char *path, fh_err **err); /* FH_E_INVALID when it is none */
/* Refuses the first member that is not listed; the list ends with NULL. */
int fh_msg_members(const fh_json *o, const char *path, const char *const *known, fh_err **err);
bool fh_msg_is_one_of(fh_str s, const char *const *words);

fh_json *fh_msg_share(const fh_json *v);                                             /* a new reference to a value that stays as it is */
bool fh_msg_copy(fh_json *to, const fh_json *from, const char *key, const char *as); /* nothing when it is absent; false: out of memory */
bool fh_msg_merge(fh_json *to, const fh_json *from);                                 /* all members */
fh_json *fh_msg_text(fh_str text);                                                   /* {"type":"text","text":...} */
fh_json *fh_msg_joined(fh_str a, fh_str b, fh_str c);                                /* a string of up to three pieces */
fh_json *fh_msg_json_text(const fh_json *v);                                         /* a value's JSON as a string */

/* A client's request on its way into a chat request. */
typedef struct fh_msg {
    const fh_json *doc;                       /* borrowed */
    fh_json *chat;                            /* owned; being built */
    fh_json *list;                            /* owned; chat messages */
    fh_json *ids;                             /* owned; id of each tool_use: true when it has its result */
    size_t open;                              /* of the last assistant turn: calls without a result */
    size_t thoughtful_turns, forgotten_turns; /* messages with thoughts so far; how many of them, from the first, lose them */
    bool counting;                            /* for count_tokens */
    bool may_native;
    fh_err *native; /* owned; the first thing that only an upstream of this API can do */
} fh_msg;
/* what is at path can be done by an upstream of this API only. 0 when that is allowed, and written down. */
int fh_msg_native(fh_msg *m, const char *path, const char *what, fh_err **err);
const char *fh_msg_effort_of(int64_t budget_tok); /* the reasoning_effort that stands for a budget of thinking */
int fh_msg_cache_control(const fh_json *o, const char *path, fh_err **err);

/* messages_turns.c */
int fh_msg_turns(fh_msg *m, fh_err **err);
/* messages_context.c: edits of the context, before the turns; and each message as its turn comes */
int fh_msg_context(fh_msg *m, fh_err **err);
void fh_msg_context_turn(fh_msg *m, const fh_json *message);
/* messages_tools.c */
int fh_msg_tools(fh_msg *m, fh_err **err);

/* Where blocks stand. */
typedef enum fh_msg_place {
    FH_MSG_SYSTEM = 1,
    FH_MSG_USER = 2,
    FH_MSG_ASSISTANT = 4,
    FH_MSG_RESULT = 8,  /* in a tool_result */
    FH_MSG_SOURCE = 16, /* in a document or search result */
} fh_msg_place;

/* A turn being gathered from messages of one role. */
typedef struct fh_msg_turn {
    fh_msg *m;
    fh_msg_place place;
    fh_json *parts;  /* owned; of the chat message's content */
    fh_json *calls;  /* owned; NULL when there are none */
    fh_buf thoughts; /* reasoning_content */
} fh_msg_turn;
int fh_msg_turn_init(fh_msg_turn *t, fh_msg *m, fh_msg_place place, fh_err **err);
void fh_msg_turn_fini(fh_msg_turn *t);
/* Parts as the content of a chat message: one text is a string, none is null. New reference. */
fh_json *fh_msg_content(const fh_json *parts);

/* messages_blocks.c: a string or an array of blocks, into the turn. */
int fh_msg_blocks(fh_msg_turn *t, const fh_json *content, const char *path, fh_err **err);
int fh_msg_add_part(fh_msg_turn *t, fh_json *part, fh_err **err); /* takes the part */
/* messages_media.c */
int fh_msg_image(fh_msg_turn *t, const fh_json *block, const char *path, fh_err **err);
int fh_msg_document(fh_msg_turn *t, const fh_json *block, const char *path, fh_err **err);
int fh_msg_search_result(fh_msg_turn *t, const fh_json *block, const char *path, fh_err **err);

#endif
