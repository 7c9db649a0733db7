/* An engine that misbehaves on command, by the model's name: what `PROGRAM engine` is in the fleet's tests, and what `PROGRAM --model` is
 * in the place of llama-server. Speaks just enough HTTP over its Unix socket. */
#ifndef FH_TEST_FAKE_ENGINE_H
#define FH_TEST_FAKE_ENGINE_H

#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static unsigned fake_asked;
static bool fake_llama;

static void fake_reply(int fd, int status, const char *body)
{
    char out[1024];
    int n =
        snprintf(out, sizeof(out), "HTTP/1.1 %d X\r\nContent-Type: application/json\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n%s",
                 status, strlen(body), body);
    (void)!write(fd, out, (size_t)n);
}

static void fake_answer(int fd, const char *name, const char *request)
{
    char body[256];
    if (strncmp(request, "GET /healthz", 12) == 0) {
        unsigned steps = strcmp(name, "slow") == 0 ? 40 : 2;
        bool ready = ++fake_asked > steps && strcmp(name, "never") != 0;
        unsigned done = strcmp(name, "never") == 0 ? 1 : fake_asked;
        snprintf(body, sizeof(body), "{\"status\":\"%s\",\"bytes_done\":%u,\"bytes_total\":100}", ready ? "ready" : "loading", done);
        fake_reply(fd, ready ? 200 : 503, body);
    } else if (strncmp(request, "GET /health ", 12) == 0) {
        bool ready = ++fake_asked > 2;
        fake_reply(fd, ready ? 200 : 503, ready ? "{\"status\":\"ok\"}" : "{\"error\":{\"message\":\"Loading model\",\"code\":503}}");
    } else if (strncmp(request, "GET /metrics", 12) == 0) {
        snprintf(body, sizeof(body), "# HELP x\n%s %d\nllamacpp:tokens_predicted_total %u\n",
                 fake_llama ? "llamacpp:requests_processing" : "freehold_engine_requests_running", strcmp(name, "busy") == 0 ? 2 : 0,
                 fake_asked += 1000);
        fake_reply(fd, 200, body);
    } else if (strcmp(name, "mute") == 0) {
        fake_reply(fd, 500, "{\"error\":{\"message\":\"the numbers are not numbers\"}}");
    } else if (strstr(request, "/v1/chat/completions") && strcmp(name, "plain") == 0) {
        fake_reply(fd, 400, "{\"error\":{\"message\":\"no chat template\"}}");
    } else if (strstr(request, "/v1/chat/completions")) {
        fake_reply(fd, 200, "{\"choices\":[{\"message\":{\"content\":\"Hello\"}}],\"usage\":{\"completion_tokens\":1}}");
    } else {
        fake_reply(fd, 200, "{\"choices\":[{\"text\":\" world\"}],\"usage\":{\"completion_tokens\":1}}");
    }
}

static int fake_serve(const char *path, const char *name)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
    int s = socket(AF_UNIX, SOCK_STREAM, 0);
    if (bind(s, (struct sockaddr *)&a, sizeof(a)) != 0 || listen(s, 16) != 0) return 4;
    for (;;) {
        int fd = accept(s, NULL, NULL);
        char request[8192] = "";
        if (fd < 0) continue;
        ssize_t n = read(fd, request, sizeof(request) - 1);
        if (n > 0) fake_answer(fd, name, request);
        close(fd);
    }
}

static int fake_engine(int argc, char **argv)
{
    const char *listen_at = "", *name = "";
    fake_llama = strcmp(argv[1], "--model") == 0;
    for (int i = 2; i + 1 < argc; i++) {
        if (strcmp(argv[i], "--host") == 0) listen_at = argv[i + 1];
        if (strcmp(argv[i], "--alias") == 0) name = argv[i + 1];
        if (strcmp(argv[i], "--listen") == 0) listen_at = argv[i + 1];
        if (strcmp(argv[i], "--name") == 0) name = argv[i + 1];
        if (strcmp(argv[i], "--context") == 0 && strcmp(argv[i + 1], "0") == 0) return 2; /* as the real one: a number from 1 on */
        if (strcmp(argv[i], "--model") == 0 && !*argv[i + 1]) return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    printf("engine for %s\n", name);
    for (int i = 2; i < argc; i++)
        if (strncmp(argv[i], "--taught=", 9) == 0) printf("%s\n", argv[i]);
    if (getenv("TAUGHT")) printf("TAUGHT=%s\n", getenv("TAUGHT"));
    fflush(stdout);
    if (strcmp(name, "crash") == 0) {
        printf("tensor blk.0.attn_q.weight is not there\n");
        fflush(stdout);
        return 3;
    }
    if (strcmp(name, "deaf") == 0) signal(SIGTERM, SIG_IGN);
    if (strcmp(name, "silent") == 0) pause();
    return fake_serve(strchr(listen_at, '/'), name);
}

#endif
