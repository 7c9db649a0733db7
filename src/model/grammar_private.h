/* A compiled grammar inside.
 *
 * A rule is a small automaton over bytes: nodes that take a byte, split, or call another rule. What a text may go on with is a set of
 * places (a node, and the stack of calls around it). Sets and stacks are made once each and numbered, and what a byte leads to is
 * remembered: after a while a grammar is walked as fast as a table. What is remembered is bounded; beyond it all is forgotten that no
 * sequence stands at. */
#ifndef FH_MODEL_GRAMMAR_PRIVATE_H
#define FH_MODEL_GRAMMAR_PRIVATE_H

#include "base/limits.h"
#include "model/grammar.h"

#include <pthread.h>
#include <stdatomic.h>

#define GRAMMAR_NEVER UINT32_MAX /* a need: there is no end */

/* Control tokens as texts: these two bytes, which UTF-8 does not have, around the token's spelling. */
#define GRAMMAR_TOKEN_OPEN  0xff
#define GRAMMAR_TOKEN_CLOSE 0xfe

/* ---- the program: immutable ---- */

typedef enum grammar_kind {
    GRAMMAR_END,   /* of a rule */
    GRAMMAR_BYTES, /* one byte out of ranges */
    GRAMMAR_SPLIT, /* two ways */
    GRAMMAR_CALL,  /* a rule, then next */
    GRAMMAR_REPEAT /* a rule min to max times, then next */
} grammar_kind;

typedef struct grammar_node {
    grammar_kind kind;
    uint32_t a; /* BYTES: first of its ranges. SPLIT: one way. CALL, REPEAT: the rule */
    uint32_t b; /* BYTES: how many ranges. SPLIT: the other way. CALL, REPEAT: next */
    uint32_t min, max;
    uint32_t need; /* bytes of the shortest way to the end of its rule; GRAMMAR_NEVER */
} grammar_node;

typedef struct grammar_range {
    uint8_t low, high;
    uint32_t next;
} grammar_range;

typedef struct grammar_rule {
    uint32_t start, line; /* line: of the text, for errors; 0: made by us */
    bool defined;
} grammar_rule;

typedef struct grammar_program {
    grammar_node *nodes; /* nodes[0] is the END that all rules share */
    grammar_range *ranges;
    grammar_rule *rules;
    size_t node_count, node_cap, range_count, range_cap, rule_count, rule_cap;
    uint32_t root;
    uint8_t class_of[256], byte_of[256]; /* bytes that no range tells apart are one class; a byte of each */
    unsigned class_count;
} grammar_program;

void grammar_program_fini(grammar_program *p);
#define GRAMMAR_NONE UINT32_MAX /* no node: out of memory, or too many */
uint32_t grammar_add_node(grammar_program *p, grammar_node n);
uint32_t grammar_add_bytes(grammar_program *p, uint8_t low, uint8_t high, uint32_t next);
bool grammar_add_range(grammar_program *p, uint8_t low, uint8_t high, uint32_t next); /* to the BYTES node that was added last */
uint32_t grammar_add_rule(grammar_program *p, uint32_t line);
typedef struct grammar_span { /* of code points */
    uint32_t low, high;
} grammar_span;
uint32_t grammar_add_class(grammar_program *p, const grammar_span *spans, size_t count, uint32_t next); /* as UTF-8 */
uint32_t grammar_add_text(grammar_program *p, fh_str text, uint32_t next);

/* grammar_gbnf.c */
int grammar_read_gbnf(grammar_program *p, const fh_vocab *v, fh_str text, fh_str start, const char *param, fh_err **err);
/* grammar_trigger.c: puts "anything, until one of these, then root" before the root. */
int grammar_add_triggers(grammar_program *p, const fh_grammar_source *s, fh_err **err);
/* grammar_check.c: needs, left recursion, repetitions of nothing; then the classes of bytes. */
int grammar_check(grammar_program *p, const char *param, fh_err **err);

/* ---- tokens by their bytes ---- */

enum { GRAMMAR_PLAIN_MAX = 16 };

typedef struct grammar_trie_node { /* in the order of a walk: what begins with it follows at once */
    fh_token token;                /* FH_TOKEN_NONE: no token ends here */
    uint32_t skip;                 /* the first node behind what begins with it */
    uint16_t depth;                /* bytes, from 1 */
    uint8_t byte;
} grammar_trie_node;

typedef struct grammar_trie {
    grammar_trie_node *nodes;
    size_t count, deepest;
} grammar_trie;

/* Plain tokens are whole characters that stand for themselves in a JSON string. Where all plain characters lead the same way, their number
 * alone decides: they are allowed by masks, and only the rest of the vocabulary is walked. */
typedef struct grammar_tokens {
    size_t logit_count, words;
    grammar_trie all, rest;                 /* rest: what is not plain, or longer than GRAMMAR_PLAIN_MAX characters */
    uint64_t *plain[GRAMMAR_PLAIN_MAX + 1]; /* [n]: plain tokens of n characters; [0]: of any number */
    uint64_t *ends;                         /* tokens that end a reply */
    char *bytes;                            /* of all tokens, one after the other */
    uint32_t *offsets;                      /* [logit_count + 1] into bytes */
} grammar_tokens;
int grammar_tokens_init(grammar_tokens *t, const fh_vocab *v, size_t logit_count, fh_err **err);
void grammar_tokens_fini(grammar_tokens *t);

/* ---- states ---- */

#define STATE_DEAD    0u               /* nothing can follow */
#define STATE_UNKNOWN UINT32_MAX       /* of a step: not looked at yet */
#define STATE_FULL    (UINT32_MAX - 1) /* no room for another state now */

typedef struct grammar_config { /* one place */
    uint32_t node, stack;
} grammar_config;

typedef struct grammar_frame {    /* a call that is open: where it returns to */
    uint32_t node;                /* CALL: returns to its next. REPEAT: counts */
    uint32_t count, parent, need; /* need: bytes from its return to the very end */
    uint16_t depth;
    uint32_t hash_next; /* chain of the table; of free frames */
} grammar_frame;

typedef struct grammar_mask {
    uint32_t cost; /* tokens: the most that the end is away behind any allowed token */
    uint64_t bits[];
} grammar_mask;

typedef struct grammar_set { /* a state */
    grammar_config *configs; /* owned, sorted; NULL: a free number */
    uint32_t count, need, pins;
    uint16_t tokens; /* to the end, the end token not counted; TOKENS_UNKNOWN */
    bool accepts;
    uint32_t *steps; /* owned [class_count] */
    grammar_mask *mask;
    uint32_t hash, hash_next;
} grammar_set;
enum { TOKENS_UNKNOWN = UINT16_MAX, TOKENS_FAR = UINT16_MAX - 1 };

typedef struct grammar_table {
    uint32_t *slots;
    size_t mask, used;
} grammar_table;

typedef struct grammar_automaton {
    const grammar_program *program;
    grammar_frame *frames; /* frames[0]: the empty stack */
    grammar_set *sets;     /* sets[STATE_DEAD]: the empty set */
    size_t frame_count, frame_cap, set_count, set_cap;
    uint32_t free_frame, free_set; /* chains by hash_next; 0: none */
    grammar_table frame_table, set_table;
    size_t bytes;      /* of all of these */
    size_t mask_count; /* sets that have one */
    /* while a set is made */
    grammar_config *work, *found;
    size_t work_count, work_cap, found_count, found_cap;
    uint32_t *seen; /* open table of work entries + 1 */
    size_t seen_mask;
    bool accepts, overflow;
} grammar_automaton;

int grammar_automaton_init(grammar_automaton *a, const grammar_program *p, uint32_t *ret_start, fh_err **err);
void grammar_automaton_fini(grammar_automaton *a);
/* Where a byte leads; STATE_FULL when there is no room. */
uint32_t grammar_step(grammar_automaton *a, uint32_t state, uint8_t byte);
/* Forgets what neither a pin nor `keep` holds. */
void grammar_forget(grammar_automaton *a, const uint32_t *keep, size_t count);

/* ---- the grammar ---- */

struct fh_grammar {
    atomic_uint refs;
    const grammar_tokens *tokens; /* of the fh_grammars */
    grammar_program program;
    pthread_mutex_t lock; /* over what follows */
    bool lock_made;
    grammar_automaton automaton;
    uint32_t start;
    uint32_t *walk;  /* states along the bytes of a token; [deepest + 1] */
    uint32_t *chain; /* states whose way to the end is not known yet; [GRAMMAR_FAR_BYTES + 1] */
};

struct fh_grammar_state {
    fh_grammar *grammar; /* a reference */
    uint32_t at;         /* pinned */
};

/* grammar_mask.c; under the lock */
int grammar_mask_fill(fh_grammar *g, uint32_t state, uint64_t tokens_left, uint64_t *mask, fh_err **err);
/* grammar_end.c: tokens of a shortest way to the end, TOKENS_FAR when it has more than GRAMMAR_FAR_BYTES; under the lock. */
enum { GRAMMAR_FAR_BYTES = 4096 };
unsigned grammar_tokens_to_end(fh_grammar *g, uint32_t state);

#endif
