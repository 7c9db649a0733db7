/* The one binary. Every role is a verb; cli/ picks it. */
#include "cli/cli.h"

#include <signal.h>

int main(int argc, char **argv)
{
    signal(SIGXFSZ, SIG_IGN); /* a file that may not grow is an error with a message (EFBIG), not the end of us */
    return fh_cli_main(argc, argv);
}
