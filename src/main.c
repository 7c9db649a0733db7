/* The one binary. Every role is a verb; cli/ picks it. */
#include "cli/cli.h"

int main(int argc, char **argv)
{
    return fh_cli_main(argc, argv);
}
