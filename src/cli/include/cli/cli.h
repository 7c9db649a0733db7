/* The command line: finds the verb, parses its flags, runs it, prints what failed. Wiring only. */
#ifndef FH_CLI_CLI_H
#define FH_CLI_CLI_H

/* Returns the process's exit status: 0 done, 1 failed, 2 wrong usage, 3 not found, 4 refused, 5 unavailable or timed out. */
int fh_cli_main(int argc, char **argv);

#endif
