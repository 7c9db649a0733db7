/* What is left of a key's limits, in the headers that SDKs read: OpenAI's x-ratelimit-*, or Anthropic's anthropic-ratelimit-*. */
#ifndef FH_GATEWAY_LIMIT_HEADERS_H
#define FH_GATEWAY_LIMIT_HEADERS_H

#include "limits.h"
#include "net/http_server.h"

/* Of the reply to come; nothing of what is not limited. */
void fh_limit_headers_add(fh_http_req *req, const fh_limit_state *s, bool anthropic);

#endif
