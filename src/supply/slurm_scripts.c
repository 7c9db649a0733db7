/* What runs at a cluster: on its login node, and on the node that a job gets. Plain sh; their words are arguments, never part of the text.
 *
 * FOLDER/orders/JOBNAME holds what belongs to one order: job (its number), job.sh, log, token. All are made beforehand and later written
 * where they are: a node that shares the folder by NFS looks anew at a file that it opens, but not at once at names that it has missed.
 *
 * A submission looks for a job of its name first, and holds a lock while it looks and submits. The program that asked for it may be killed
 * meanwhile: what it began goes on, and the next one waits for the lock and finds the job. Should one slip through nevertheless (a lost
 * answer of the controller), `singleton` keeps it from running beside the first until the next list shows it. */
#include "slurm_private.h"

const char fh_slurm_prepare[] = "f=$1 sum=$2 p=$3; [ -n \"$f\" ] || f=$HOME/.freehold\n"
                                "for c in sbatch squeue scancel sinfo flock sha256sum; do\n"
                                "  command -v $c >/dev/null || { echo \"there is no $c\" >&2; exit 65; }\n"
                                "done\n"
                                "umask 077; mkdir -p \"$f/bin\" \"$f/orders\" && cd \"$f\" || exit 65\n"
                                "f=$(pwd -P); echo \"folder $f\"; echo \"machine $(uname -m)\"\n"
                                "sinfo -h -o 'partition %P|%c|%m|%D' || exit 75\n"
                                "[ -n \"$p\" ] || { p=$f/bin/freehold-$sum; [ -x \"$p\" ] || exit 0; }\n"
                                "\"$p\" version >/dev/null || exit 65\n"
                                "echo \"program $p\"\n";

const char fh_slurm_upload[] = "d=$1/bin sum=$2; umask 077\n"
                               "t=$(mktemp \"$d/.new.XXXXXX\") || exit 65\n"
                               "trap 'rm -f \"$t\"' EXIT\n"
                               "cat >\"$t\" && chmod 700 \"$t\" || exit 65\n"
                               "[ \"$(sha256sum <\"$t\" | cut -c1-64)\" = \"$sum\" ] || { echo 'the copy is not whole' >&2; exit 75; }\n"
                               "\"$t\" version >/dev/null || exit 65\n"
                               "mv -f \"$t\" \"$d/freehold-$sum\" || exit 65\n";

const char fh_slurm_submit[] =
    "f=$1 name=$2 p=$3 url=$4 node=$5 scratch=$6; shift 6\n"
    "d=$f/orders/$name; umask 077; mkdir -p \"$d\" || exit 65\n"
    "exec 9>\"$d/lock\" || exit 65\n"
    "flock -w 60 9 || { echo 'another submission of it has not ended' >&2; exit 75; }\n"
    "if [ -s \"$d/job\" ]; then echo \"job $(cat \"$d/job\")\"; exit 0; fi\n"
    "[ ! -e \"$d/released\" ] || { echo 'it was released' >&2; exit 65; }\n"
    "id=$(squeue --me -h -t all --name=\"$name\" -o %i) || exit 75\n"
    "id=$(echo \"$id\" | sort -n | head -n 1)\n"
    "if [ -z \"$id\" ]; then\n"
    "  cat >\"$d/job.sh\" && : >\"$d/token\" && : >\"$d/log\" || exit 65\n"
    "  id=$(sbatch --parsable --job-name=\"$name\" --dependency=singleton --no-requeue --chdir=\"$d\" \\\n"
    "    --output=\"$d/log\" --open-mode=append \"$@\" \"$d/job.sh\" \"$d\" \"$p\" \"$url\" \"$node\" \"$scratch\") || exit 65\n"
    "  id=${id%%;*}\n"
    "fi\n"
    "echo \"$id\" >\"$d/job\"; echo \"job $id\"\n";

const char fh_slurm_hand[] = "t=$1/orders/$2/token\n"
                             "[ -s \"$t\" ] || cat >\"$t\"\n";

const char fh_slurm_cancel[] = "d=$1/orders/$2; umask 077; mkdir -p \"$d\" && : >\"$d/released\" || exit 75\n"
                               "exec 9>\"$d/lock\"; flock -w 60 9 || exit 75\n"
                               "id=$(squeue --me -h --name=\"$2\" -o %i) || exit 75\n"
                               "[ -z \"$id\" ] || scancel $id || exit 75\n";

const char fh_slurm_last[] = "tail -c 1000 \"$1/orders/$2/log\" >&2; exit 0\n";

const char fh_slurm_remove[] = "rm -rf \"$1/orders/$2\"\n";

/* Ends when the node has left the pool, or is told to: its engines and weights go with it.
 *
 * With a CERTIFICATE (SHA-256 of the one that the pool shows) nobody can write into FOLDER: the machine makes its key here, the job's
 * comment, which only the job's user and the cluster's operators can set, says that key's SHA-256, and the server lets in who has it. What
 * the machine said last stands there when it failed. */
const char fh_slurm_job[] =
    "#!/bin/sh\n"
    "# freehold: this job's node is one of a pool of machines for as long as the job lasts.\n"
    "d=$1 program=$2 url=$3 node=$4 scratch=$5 certificate=$6 agent=\n"
    "[ \"${SLURM_RESTART_COUNT:-0}\" = 0 ] || { echo 'not started a second time'; exit 0; }\n"
    "umask 077\n"
    "unset XDG_RUNTIME_DIR # of the login, and not there on a node\n"
    "publish() { scontrol update JobId=\"$SLURM_JOB_ID\" Comment=\"$1\"; }\n"
    "fail() { [ -z \"$certificate\" ] || publish \"freehold said $1\"; echo \"$1\"; exit 1; }\n"
    "head=\n"
    "if [ \"${SLURM_JOB_NUM_NODES:-1}\" -gt 1 ]; then # weights lie where all nodes read them\n"
    "  scratch=${scratch:-$d} first=$(scontrol show hostnames \"$SLURM_JOB_NODELIST\" | head -n 1)\n"
    "  head=$(scontrol show node -o \"$first\" | sed -n 's/.* NodeAddr=\\([^ ]*\\).*/\\1/p')\n"
    "  [ -n \"$head\" ] || fail 'the first node has no address'\n"
    "fi\n"
    "data=$(mktemp -d \"${scratch:-${TMPDIR:-/tmp}}/freehold-job.XXXXXX\") || fail 'there is no folder for weights'\n"
    "trap 'rm -rf \"$data\"' EXIT\n"
    "trap 'if [ -n \"$agent\" ]; then kill \"$agent\"; else exit 1; fi' TERM INT\n"
    "if [ -n \"$certificate\" ]; then\n"
    "  key=$(\"$program\" node key \"$url\" --certificate \"$certificate\" --name \"$node\" --data \"$data\" 2>\"$data/said\") ||\n"
    "    fail \"$(tail -n 1 \"$data/said\" | cut -c1-200)\"\n"
    "  n=0\n"
    "  until publish \"freehold key $key\"; do # Slurm's controller may be busy, or change\n"
    "    n=$((n + 1)); [ $n -lt 60 ] || exit 1\n"
    "    sleep 5\n"
    "  done\n"
    "  exec >\"$data/said\" 2>&1\n"
    "  set --\n"
    "else\n"
    "  n=0\n"
    "  until read -r line <\"$d/token\"; do\n"
    "    n=$((n + 1)); [ $n -lt 1800 ] || { echo 'no token came'; exit 1; }\n"
    "    sleep 1\n"
    "  done\n"
    "  set -- --token-file \"$d/token\"\n"
    "fi\n"
    "\"$program\" node join \"$url\" --name \"$node\" --data \"$data\" \"$@\" ${head:+--srun \"$head\"} </dev/null &\n"
    "agent=$!\n"
    "wait \"$agent\"; status=$?\n"
    "while kill -0 \"$agent\" 2>/dev/null; do wait \"$agent\"; status=$?; done\n"
    "[ $status = 0 ] || [ -z \"$certificate\" ] || publish \"freehold said $(tail -n 1 \"$data/said\" | cut -c1-200)\"\n"
    "exit $status\n";
