/* Telling systemd that this process is the one that serves: sd_notify(3), as far as a server needs it. */
#include "server_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

void fh_notify_ready(void)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    char text[64];
    const char *path = getenv("NOTIFY_SOCKET");
    size_t len = path ? strlen(path) : 0;
    if (len < 2 || len >= sizeof to.sun_path || (path[0] != '/' && path[0] != '@')) return;
    memcpy(to.sun_path, path, len);
    if (path[0] == '@') to.sun_path[0] = '\0';
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return;
    int n = snprintf(text, sizeof text, "READY=1\nMAINPID=%d", (int)getpid());
    sendto(fd, text, (size_t)n, MSG_NOSIGNAL, (const struct sockaddr *)&to, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len));
    close(fd);
}
