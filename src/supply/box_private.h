/* A box and the order that it is held for (see box.h). All of it on the loop's thread. */
#ifndef FH_SUPPLY_BOX_PRIVATE_H
#define FH_SUPPLY_BOX_PRIVATE_H

#include "base/buf.h"
#include "base/limits.h"
#include "box.h"
#include "supply/command.h"

typedef enum box_tunnel { BOX_TUNNEL_WHERE_NEEDED, BOX_TUNNEL_YES, BOX_TUNNEL_NO } box_tunnel;

typedef struct box_order {
    int64_t id;
    char node[64], model[128];
    uint64_t memory_bytes, weights_bytes;
    bool touched; /* something of it may be on the box: written down in the mark, before it is */
    bool asked;   /* by this run of the server */
    bool held;    /* its agent was seen running */
    bool ending, over, again;
    int broken;                /* copies of the program that were */
    char says[200], hint[200]; /* why it ends or is over */
    struct box_order *next;
} box_order;

typedef struct box {
    fh_supply port;
    fh_loop *loop;
    char *name, *url, *key_file, *keep_dir,
        *mark;        /* keep_dir: ours in the data folder; mark: a file with the number of the order that touched it */
    char folder[600]; /* on the box, as box.sh takes it */
    bool install, keep;
    box_tunnel tunnel;
    fh_supply_door door;
    char *door_url;
    char arch[32];
    char *program_file;
    fh_buf program; /* read when it is first copied */
    uint64_t program_bytes;
    char program_sha[65];

    supply_host *host;
    box_facts facts;
    box_order *orders; /* at most one has the box; the others wait to be forgotten, or asked for again */
    bool busy;
    bool looked;   /* since things may have changed */
    box_step step; /* that runs, or ran last */
    fh_timer *timer;
    int tunnel_fd; /* while it is open the tunnel's command goes on; -1: none runs */
    int64_t pause_ms;
    int64_t lost_ns; /* since when nothing was reached; 0: it is */
    int64_t looked_ns;
    fh_err *trouble;        /* why the last step did not go well; NULL when it did */
    char tunnel_words[200]; /* why the tunnel broke */
} box;

extern const char fh_box_script[]; /* made of box.sh */

/* box_open.c */
int fh_box_open(box **ret, fh_loop *loop, const fh_supply_config *c, fh_err **err); /* without its port */
int fh_box_read_program(box *b, fh_err **err);                                      /* once */
void fh_box_free(box *b);

/* box_call.c */
bool fh_box_tunnels(const box *b);
int fh_box_call(box *b, box_step step, supply_done_fn *done, fh_err **err);
int fh_box_hold(box *b, fh_err **err);                              /* the tunnel's command begins */
void fh_box_let_go(box *b);                                         /* and ends */
int fh_box_drop(box *b, fh_err **err);                              /* what runs is given up; nobody is told */
int fh_box_why(const box *b, const supply_result *r, fh_err **err); /* FH_E_FORBIDDEN: the login fails, and would fail again */

/* box_order.c */
box_order *fh_box_now(const box *b); /* the order that has the box; NULL */
box_wish fh_box_wish(const box *b, const box_order *o);
void fh_box_soon(box *b, int64_t delay_ms); /* goes on */
void fh_box_go_on(void *arg);
void fh_box_release(box_order *o, bool again, const char *says, const char *hint);
void fh_box_describe(const box *b, const box_order *o, fh_supply_view *ret);

#endif
