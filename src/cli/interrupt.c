/* Ctrl-C as something that is asked for: an answer is ended by it, not the program; and what was begun is cleared away before the end. */
#include "cli_private.h"

#include <signal.h>

enum { SIGNALS = 3 };
static const int signals[SIGNALS] = {SIGINT, SIGTERM, SIGHUP};
static struct sigaction before[SIGNALS];
static volatile sig_atomic_t came;

static void on_signal(int signo)
{
    (void)signo;
    came = 1;
}

static int count_of(fh_cli_catch what)
{
    return what == FH_CLI_CATCH_INTERRUPT ? 1 : SIGNALS;
}

void fh_cli_catch_begin(fh_cli_catch what)
{
    struct sigaction on = {.sa_handler = on_signal, .sa_flags = what == FH_CLI_CATCH_END ? (int)SA_RESETHAND : 0};
    came = 0;
    for (int i = 0; i < count_of(what); i++) sigaction(signals[i], &on, &before[i]);
}

bool fh_cli_caught(void)
{
    return came;
}

void fh_cli_catch_end(fh_cli_catch what)
{
    for (int i = 0; i < count_of(what); i++) sigaction(signals[i], &before[i], NULL);
}
