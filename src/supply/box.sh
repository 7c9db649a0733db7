#!/bin/sh
# What is done on a box over ssh, a step at a time: STEP FOLDER ORDER [WORD...]. Each step may be done twice, and may be cut off anywhere. What it finds it says in lines
# "name value" on standard output; data (the program, the token) comes on standard input, never in arguments.
#
# FOLDER holds all of ours: freehold (the program), order (the number that it is held for), token, port and tunnel, agent.log, agent.pid, lock, node/ (the agent's own). Whoever runs the agent
# holds lock: the lock, and no number, says that it runs. Sockets need a short path: where the folder is deep they lie in /tmp/fh and our 16 digits.
set -u
umask 077
LC_ALL=C
PATH=$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export LC_ALL PATH
step=$1 folder=$2 order=$3
shift 3
case $folder in /*) ;; *) folder=$HOME/$folder ;; esac
parent=${folder%/*}
parent=$(cd "${parent:-/}" 2>/dev/null && pwd -P) || {
    echo "error the folder ${folder%/*} is not there"
    exit 0
}
folder=${parent%/}/${folder##*/}
run=/tmp/fh${folder##*-}

say() { printf '%s %s\n' "$1" "$2"; }
fail() {
    say error "$1"
    exit 0
}
size() { if [ -e "$1" ]; then wc -c <"$1"; else echo 0; fi; }
sum() { [ ! -e "$1" ] || sha256sum <"$1" | cut -d' ' -f1; }
held_for() { cat "$folder/order" 2>/dev/null || echo 0; }
runs() { [ -e "$folder/lock" ] && ! flock -n -s "$folder/lock" true; }
owns_run() { [ -d "$run" ] && [ ! -L "$run" ] && [ -O "$run" ]; }
# Its start, in the kernel's ticks: with the number it names a process.
ticks() { sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | cut -d' ' -f20; }
same() { [ -n "${1:-}" ] && [ -n "${2:-}" ] && [ "$(ticks "$1")" = "$2" ]; }

# Numbers of the processes that have a path in our folder among their arguments.
ours() {
    for p in /proc/[0-9]*; do
        words=$(tr '\0' '\n' <"$p/cmdline" 2>/dev/null) || continue
        case $words in *"$folder/"*) printf '%s ' "${p#/proc/}" ;; esac
    done 2>/dev/null
}
signal_ours() {
    for p in $(ours); do kill "-$1" "$p" 2>/dev/null; done
}
# Until nothing of ours runs, for so many half seconds.
await_none() {
    n=$1
    while [ "$n" -gt 0 ] && [ -n "$(ours)" ]; do
        sleep 0.5
        n=$((n - 1))
    done
    [ -z "$(ours)" ]
}

# The process of sshd that serves this connection.
connection() {
    p=$PPID
    for _ in 1 2 3 4; do
        case $(cat "/proc/$p/comm" 2>/dev/null) in sshd*) break ;; esac
        p=$(sed 's/.*) . //' "/proc/$p/stat" 2>/dev/null | cut -d' ' -f1)
    done
    echo "$p $(ticks "$p")"
}
tunnel_is_up() {
    pid='' begun=''
    [ -s "$folder/tunnel" ] && read -r pid begun <"$folder/tunnel"
    same "$pid" "$begun"
}

may_install() {
    [ "$(id -u)" = 0 ] && say root yes && return
    sudo -n true 2>/dev/null && say root sudo && return
    say root no
}

tell_agent() {
    say held "$(held_for)"
    if runs; then say agent runs; elif [ -e "$folder/agent.pid" ]; then say agent ended; else say agent none; fi
    if [ -s "$folder/token" ]; then say token yes; else say token no; fi
    if tunnel_is_up; then say tunnel up; else say tunnel down; fi
    [ -s "$folder/agent.log" ] && say said "$(tail -n 1 "$folder/agent.log" | cut -c1-400)"
}

# What the box is and what is here of ours. Changes nothing.
do_look() {
    for tool in cat chmod cut dd df du find flock getconf grep id ldd mv rm sed setsid sha256sum sleep tail tr wc; do
        command -v "$tool" >/dev/null || say lacks "$tool"
    done
    say arch "$(uname -m)"
    say system "$(uname -s)"
    say libc "$(getconf GNU_LIBC_VERSION 2>/dev/null || echo other)"
    say disk_kb "$(df -Pk "$parent" 2>/dev/null | tail -n 1 | tr -s ' ' | cut -d' ' -f4)"
    say memory_kb "$(sed -n 's/^MemAvailable: *\([0-9]*\).*/\1/p' /proc/meminfo)"
    say program "$(sum "$folder/freehold")"
    say part "$(size "$folder/freehold.part")"
    say kept_kb "$([ ! -d "$folder/node/weights" ] || du -sk "$folder/node/weights" | cut -f1)"
    may_install
    tell_agent
}

# The box is taken for the order, unless another has it.
do_claim() {
    mkdir -p "$folder" || fail "the folder $folder cannot be made"
    [ -s "$folder/order" ] || echo "$order" >"$folder/order"
    say held "$(held_for)"
}

# OFFSET: a piece of the program, on standard input, goes behind what is there; who is wrong about how much that is learns it.
do_copy() {
    [ "$(size "$folder/freehold.part")" = "$1" ] && { cat >>"$folder/freehold.part" || fail "the program cannot be written to $folder: is its disk full?"; }
    say part "$(size "$folder/freehold.part")"
}

# SHA256: what was copied is the program, or it is thrown away.
do_keep() {
    if [ "$(sum "$folder/freehold.part")" = "$1" ]; then
        chmod 700 "$folder/freehold.part" && mv -f "$folder/freehold.part" "$folder/freehold"
    else
        rm -f "$folder/freehold.part"
    fi
    say program "$(sum "$folder/freehold")"
    say part "$(size "$folder/freehold.part")"
}

# Does the program run here? If not: which libraries it lacks, or its own words.
do_try() {
    ldd "$folder/freehold" 2>&1 | sed -n 's/^[[:space:]]*\([^ ]*\) => not found.*/library \1/p; s/.*\(version .[A-Za-z0-9_.]*. not found\).*/version \1/p' | sort -u
    if words=$("$folder/freehold" version 2>&1 </dev/null); then
        say runs yes
    else
        say runs no
        say words "$(printf '%s' "$words" | tail -n 1 | cut -c1-300)"
    fi
}

# PACKAGE...: for root, or who may become it without being asked.
do_install() {
    command -v apt-get >/dev/null || fail "there is no apt-get on the box"
    if [ "$(id -u)" = 0 ]; then as_root=''; else as_root='sudo -n'; fi
    DEBIAN_FRONTEND=noninteractive
    export DEBIAN_FRONTEND
    # shellcheck disable=SC2086 # none or two words
    words=$({ $as_root apt-get -q update && $as_root apt-get -q -y --no-install-recommends install "$@"; } 2>&1 </dev/null) || fail "apt-get: $(printf '%s' "$words" | tail -n 1 | cut -c1-200)"
    say installed yes
}

# A port of the loopback that nobody listens on: the box's end of the tunnel, for as long as the order lasts.
do_port() {
    port=$(cat "$folder/port" 2>/dev/null || echo 0)
    n=0
    while [ "$port" = 0 ] || { [ "$n" -gt 0 ] && grep -qi ":$(printf %04X "$port") 0*:0000 0A" /proc/net/tcp; }; do
        port=$((20000 + ($$ * 7919 + n * 101) % 12000)) n=$((n + 1))
    done
    # what a connection left behind that is not known to be dead yet
    tunnel_is_up && kill "$pid" 2>/dev/null
    rm -f "$folder/tunnel"
    echo "$port" >"$folder/port"
    say port "$port"
}

# Holds the connection that carries the tunnel, until the other end lets go.
do_hold() {
    connection >"$folder/tunnel"
    cat >/dev/null
}

# NAME URL: the agent starts, unless it runs; a token on standard input takes the place of an earlier one.
do_start() {
    [ "$(held_for)" = "$order" ] || fail "the box is held for order $(held_for)"
    cat >"$folder/token.part"
    if [ -s "$folder/token.part" ]; then mv -f "$folder/token.part" "$folder/token"; else rm -f "$folder/token.part"; fi
    mkdir -m 700 "$run" 2>/dev/null
    if owns_run; then export XDG_RUNTIME_DIR="$run"; else unset XDG_RUNTIME_DIR; fi
    # shellcheck disable=SC2016 # the new shell's own
    setsid sh -c 'exec 9>>"$1/lock"
        flock -w 5 9 || exit 0
        echo "$$ $(sed "s/.*) //" "/proc/$$/stat" | cut -d" " -f20)" >"$1/agent.pid"
        exec "$1/freehold" node join "$3" --name "$2" --token-file "$1/token" --data "$1/node"' sh "$folder" "$1" "$2" </dev/null >>"$folder/agent.log" 2>&1 &
    n=20
    while [ "$n" -gt 0 ] && ! { runs && grep -q ' the pool of ' "$folder/agent.log"; }; do
        sleep 0.25
        n=$((n - 1))
        [ "$n" -lt 14 ] && ! runs && break
    done
    tell_agent
}

# How the agent is. Its log is kept short.
do_watch() {
    if [ "$(size "$folder/agent.log")" -gt 1048576 ]; then
        tail -c 65536 "$folder/agent.log" >"$folder/agent.old"
        : >"$folder/agent.log"
    fi
    tell_agent
}

# KEEP: all of the order ends, and is removed; with keep=yes weights stay. Says what is left all the same.
do_end() {
    [ -e "$folder" ] || { say left nothing && return; }
    case $(held_for) in 0 | "$order") ;; *) fail "the box is held for order $(held_for)" ;; esac
    signal_ours TERM
    await_none 40 || signal_ours KILL
    await_none 10 || fail "processes of ours do not end: $(ours)"
    if owns_run; then rm -rf "$run"; fi
    if [ "$1" = yes ] && [ -d "$folder/node/weights" ]; then
        find "$folder" -mindepth 1 -maxdepth 1 ! -name node -exec rm -rf {} +
        find "$folder/node" -mindepth 1 -maxdepth 1 ! -name weights -exec rm -rf {} +
        say left weights
    else
        rm -rf "$folder"
        [ ! -e "$folder" ] || fail "$folder cannot be removed"
        say left nothing
    fi
}

case $step in
look | claim | copy | keep | try | install | port | hold | start | watch | end) "do_$step" "$@" ;;
*) fail "there is no step $step" ;;
esac
say end "$step"
