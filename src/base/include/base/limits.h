/* Every limit of freehold in one place; docs/LIMITS.md is made from this list (tools/limits-doc). Sizes in bytes, times in nanoseconds or
 * as the name says. No growing buffer, queue, count or wait without a row here. */
#ifndef FH_BASE_LIMITS_H
#define FH_BASE_LIMITS_H

/* name, value, what it bounds and what happens beyond it */
#define FH_LIMIT_LIST(X)                                                                                                                   \
    X(HTTP_REQUEST_LINE_BYTES, 8192, "request line of an HTTP request; beyond: 414 and the connection closes")                             \
    X(HTTP_HEADER_BYTES, 32768, "all header lines of one HTTP message together; beyond: 431 and the connection closes")                    \
    X(HTTP_HEADERS, 100, "header lines of one HTTP message; beyond: 431 and the connection closes")                                        \
    X(HTTP_BODY_BYTES, 33554432, "body of an HTTP request; beyond: 413 and the connection closes")                                         \
    X(HTTP_CONNECTIONS, 16384, "open connections of a server; beyond: the new one gets 503 and closes")                                    \
    X(HTTP_HEADER_TIMEOUT_MS, 10000, "time from the first byte of a request to the end of its headers; beyond: 408")                       \
    X(HTTP_BODY_TIMEOUT_MS, 60000, "time without a byte while a request body is read; beyond: 408")                                        \
    X(HTTP_IDLE_TIMEOUT_MS, 75000, "time a kept-alive connection may be idle; beyond: it closes")                                          \
    X(HTTP_WRITE_TIMEOUT_MS, 60000, "time without progress while a client does not read; beyond: the connection closes")                   \
    X(HTTP_RATE_BYTES, 1024, "a second that must pass of a body or a reply once its first minute is over; slower: 408, or it closes")      \
    X(HTTP_ADDRESS_CONNECTIONS, 1024, "open connections of one address (IPv6: of one /64) beyond loopback; beyond: 503")                   \
    X(HTTP_PIPELINED_BYTES, 65536, "requests of a connection that wait behind the one being answered; beyond: not read until that is")     \
    X(HTTP_OUT_BUFFER_BYTES, 262144, "unsent bytes of a connection at which its source is paused")                                         \
    X(HTTP_BODIES_BYTES, 268435456, "request bodies of all connections of a server together; beyond: 503")                                 \
    X(HTTP_STRANGERS_PER_S, 1000, "replies of 401 a second, all clients together; beyond: each waits, and its connection with it")         \
    X(HTTP_STRANGERS_AT_ONCE, 100, "of them that leave at once")                                                                           \
    X(HTTP_STRANGER_PER_S, 200, "of them to one address (IPv6: one /64); beyond: likewise")                                                \
    X(HTTP_STRANGER_AT_ONCE, 50, "of these that leave at once")                                                                            \
    X(HTTP_STRANGER_WAIT_MS, 5000, "time that a reply of 401, or the next read of a stranger, waits at most")                              \
    X(HTTP_STRANGER_SLOTS, 4096, "addresses that are told apart; of more, some wait together")                                             \
    X(HTTP_STRANGERS_RATE_BYTES, 33554432, "read a second of all without a key, and behind refusals; what is faster waits at the client")  \
    X(HTTP_STRANGERS_BURST_BYTES, 1048576, "of these that are read at once")                                                               \
    X(HTTP_STRANGER_RATE_BYTES, 16777216, "of these from one address (IPv6: one /64)")                                                     \
    X(HTTP_STRANGER_BURST_BYTES, 524288, "of these of one address that are read at once")                                                  \
    X(HTTP_PACED_READ_BYTES, 16384, "one read of a connection that has shown no key, or that brings a large body")                         \
    X(HTTP_STRANGER_BODY_BYTES, 4096, "body of a request that wants no key; beyond: 413 and the connection closes")                        \
    X(HTTP_LARGE_BODY_BYTES, 1048576, "of a request's body that are read as they come; beyond: at the next two rates")                     \
    X(HTTP_LARGE_BODIES_RATE_BYTES, 33554432, "of large bodies that are read a second; what is faster waits at the client")                \
    X(HTTP_LARGE_BODY_RATE_BYTES, 16777216, "of these from one address (IPv6: one /64)")                                                   \
    X(HTTP_CHUNK_LINE_BYTES, 256, "the line before a chunk of a request body; beyond: 400")                                                \
    X(HTTP_CHUNK_EXTENSION_BYTES, 4096, "chunk extensions of a request body together; beyond: 400")                                        \
    X(HTTP_LINGER_MS, 5000, "time that a closing connection is still read, so that the client can read the last reply")                    \
    X(HTTP_LINGER_BYTES, 67108864, "that are read and dropped meanwhile; beyond: it is reset")                                             \
    X(HTTP_ACCEPT_PAUSE_MS, 100, "pause of accepting when descriptors have run out")                                                       \
    X(SERVE_THREADS, 64, "loops of a server that serve clients; beyond: wrong usage")                                                      \
    X(LISTEN_SOCKETS, 64, "listening sockets that are handed over to a server; beyond: none is taken")                                     \
    X(HTTP_UPSTREAM_CONNECTIONS, 256, "idle connections to engines that are kept; beyond: the oldest closes")                              \
    X(HTTP_TRUST_MS, 3600000, "time that a list of who may vouch for https servers is kept; beyond: read anew")                            \
    X(JSON_BODY_BYTES, 33554432, "a JSON document from outside; beyond: 413")                                                              \
    X(JSON_DEPTH, 128, "nesting of a JSON document from outside; beyond: 400")                                                             \
    X(CHAT_MESSAGES, 4096, "messages of one chat request; beyond: 400")                                                                    \
    X(RESPONSES_ITEMS, 4096, "items of a conversation of the Responses API, past and new; beyond: 400")                                    \
    X(RESPONSES_REFERENCES, 256, "references to earlier items in one request; beyond: 400")                                                \
    X(RESPONSES_OUTPUT_ITEMS, 512, "items of one reply of the Responses API; beyond: it fails")                                            \
    X(RESPONSES_OUTPUT_BYTES, 16777216, "text of one reply of the Responses API; beyond: it fails")                                        \
    X(RESPONSES_KEPT_DAYS, 30, "time that a stored response is kept; beyond: it is gone")                                                  \
    X(RESPONSES_KEPT_MIB, 4096, "stored responses together, in MiB; beyond: the oldest are removed")                                       \
    X(RESPONSES_KEPT_PER_KEY_MIB, 256, "stored responses of one key, in MiB; beyond: its oldest are removed")                              \
    X(RESPONSES_UNWRITTEN, 4096, "stored responses that wait to be written; beyond: a response is not kept")                               \
    X(RESPONSES_UNWRITTEN_BYTES, 134217728, "their bytes; beyond: a response is not kept")                                                 \
    X(RESPONSES_CHAIN, 256, "responses that follow one another by previous_response_id; beyond: 400")                                      \
    X(RESPONSES_CHAIN_BYTES, 16777216, "stored responses that one request makes use of; beyond: 400")                                      \
    X(RESPONSES_LOADED_BYTES, 67108864, "stored responses that all requests under way make use of; beyond: 429")                           \
    X(STOP_STRINGS, 16, "stop strings of a request; beyond: 400")                                                                          \
    X(STOP_STRING_BYTES, 1024, "one stop string; beyond: 400")                                                                             \
    X(LOGIT_BIAS_TOKENS, 1024, "entries of logit_bias; beyond: 400")                                                                       \
    X(TOP_LOGPROBS, 20, "top_logprobs of a request; beyond: 400")                                                                          \
    X(EMBED_INPUTS, 2048, "inputs of an embeddings request; beyond: 400")                                                                  \
    X(EMBED_TOK, 300000, "tokens of all inputs of an embeddings request; beyond: 400")                                                     \
    X(EMBED_REPLY_BYTES, 134217728, "reply to an embeddings request; beyond: 400 of our engine, an error of others")                       \
    X(REPLIES_BYTES, 268435456, "whole replies of all requests together, from their first byte until they are sent; beyond: 429")          \
    X(EMBED_OPEN_BYTES, 268435456, "replies of the embeddings requests that run in an engine together; beyond: 429")                       \
    X(CHOICES, 16, "choices of a request (n) that our engine answers; beyond: 400")                                                        \
    X(WEIGHT_CACHE_FREE_PERCENT, 10, "of a disk that keeping packed weights leaves free; else they are not kept")                          \
    X(ENGINE_QUEUE, 256, "requests that wait for an engine's batch; beyond: 429 with Retry-After")                                         \
    X(DRAFT_TOK, 7, "tokens that are guessed ahead of a sequence for one step")                                                            \
    X(DRAFT_LOOKBACK, 32768, "tokens of a sequence that guesses are looked for in; beyond: the oldest are left out")                       \
    X(PAGE_CACHE_MIB, 4096, "pages of prompts that an engine keeps on disk; beyond: the oldest go")                                        \
    X(PAGE_CACHE_MS, 86400000, "time that a page of a prompt is kept on disk")                                                             \
    X(PAGE_CACHE_QUEUE, 512, "pages that wait to be written to disk; beyond: they are not")                                                \
    X(GGUF_FILES, 1024, "files of a split GGUF; beyond: an error")                                                                         \
    X(SAFETENSORS_FILES, 1024, "files of a folder of weights; beyond: an error")                                                           \
    X(SAFETENSORS_HEADER_BYTES, 33554432, "the header of a safetensors file; beyond: an error")                                            \
    X(GGUF_KEYS, 65536, "metadata keys of a GGUF; beyond: an error naming the field")                                                      \
    X(GGUF_TENSORS, 1048576, "tensors of a GGUF; beyond: an error naming the field")                                                       \
    X(GGUF_ARRAY_LEN, 16777216, "elements of a metadata array of a GGUF; beyond: an error naming the key")                                 \
    X(GGUF_STRING_BYTES, 67108864, "one metadata string of a GGUF; beyond: an error naming the key")                                       \
    X(TOKENIZER_BYTES, 67108864, "a tokenizer.json or tiktoken file; beyond: an error")                                                    \
    X(VOCAB_TOKENS, 1048576, "tokens of a vocabulary; beyond: an error")                                                                   \
    X(VOCAB_MERGES, 1572864, "merges of a vocabulary; beyond: an error")                                                                   \
    X(VOCAB_PIECE_BYTES, 4096, "one token of a vocabulary as stored; beyond: an error naming the token")                                   \
    X(ENCODE_BYTES, 67108864, "text given to the tokenizer at once; beyond: 413")                                                          \
    X(ENCODE_WORD_BYTES, 1048576, "one word (text without a place to split) in the tokenizer; longer ones are taken in parts")             \
    X(PENALTY_LAST, 1048576, "tokens that the penalties of a request may look back; beyond: 400")                                          \
    X(TEMPLATE_BYTES, 1048576, "a chat template; beyond: an error")                                                                        \
    X(TEMPLATE_OUTPUT_BYTES, 67108864, "text that a chat template makes; beyond: an error")                                                \
    X(TEMPLATE_STEPS, 10000000, "steps that a chat template may take; beyond: an error")                                                   \
    X(TEMPLATE_DEPTH, 200, "nesting of expressions, blocks and macro calls of a chat template; beyond: an error")                          \
    X(GRAMMAR_BYTES, 8388608, "GBNF text of a grammar, given or made from a schema; beyond: 413")                                          \
    X(GRAMMAR_NODES, 524288, "states of a compiled grammar's automaton; beyond: 400 naming the line")                                      \
    X(GRAMMAR_RULES, 65536, "rules of a grammar; beyond: 400 naming the line")                                                             \
    X(GRAMMAR_NESTING, 128, "brackets within brackets of a GBNF text; beyond: 400 naming the line")                                        \
    X(GRAMMAR_REPEAT, 1000000000, "repetitions that a GBNF text may ask for; beyond: 400 naming the line")                                 \
    X(GRAMMAR_DEPTH, 512, "rules within rules that a reply may be inside of; beyond: what would nest deeper is not allowed")               \
    X(GRAMMAR_CONFIGS, 8192, "places of a grammar that a text may stand at at once; beyond: some of them are given up")                    \
    X(GRAMMAR_STATE_BYTES, 16777216, "states that a grammar remembers; beyond: those that no sequence stands at are forgotten")            \
    X(GRAMMAR_MASK_BYTES, 16777216, "masks that a grammar remembers; beyond: they are made anew")                                          \
    X(GRAMMAR_CACHE, 32, "compiled grammars that are kept; beyond: the one that was used longest ago is dropped")                          \
    X(GRAMMAR_CACHE_BYTES, 33554432, "sources of the compiled grammars that are kept; beyond: as GRAMMAR_CACHE")                           \
    X(SCHEMA_ARENA_BYTES, 67108864, "memory for reading a schema; beyond: 413")                                                            \
    X(SCHEMA_DEPTH, 100, "values within values that a schema describes, references followed; beyond: 400 naming the place")                \
    X(SCHEMA_RULES, 50000, "different parts of a schema; beyond: 400 naming the place")                                                    \
    X(SCHEMA_PROPERTIES, 4096, "properties of one object of a schema; beyond: 400 naming the place")                                       \
    X(SCHEMA_ALTERNATIVES, 256, "alternatives of anyOf or oneOf; beyond: 400 naming the place")                                            \
    X(SCHEMA_VALUES, 4096, "values of an enum, or multiples between two bounds; beyond: 400 naming the place")                             \
    X(SCHEMA_PATTERN_BYTES, 2048, "one pattern of a schema; beyond: 400 naming the place")                                                 \
    X(SCHEMA_POINTER_BYTES, 1024, "a JSON pointer in an error, a step of a $ref; beyond: the error names what is around it")               \
    X(TOOL_CALLS, 128, "tool calls of one reply; beyond: they are answer")                                                                 \
    X(TOOL_NAME_BYTES, 256, "name of a tool, or of an argument, as a model writes it; beyond: it is no call")                              \
    X(TOOL_HOLD_BYTES, 1048576, "text of a reply that waits because it may be a tool call; beyond: it is answer")                          \
    X(TOOL_VALUE_BYTES, 1048576, "argument that waits for its end to be typed; beyond: it is a string")                                    \
    X(DEPLOYMENTS, 4096, "deployments of a server that are not stopped; beyond: 409")                                                      \
    X(REPLICAS, 64, "replicas of one model that may be asked for at once; beyond: 400")                                                    \
    X(SETS, 4096, "sets of replicas of a server; beyond: 409")                                                                             \
    X(SCALE_QUEUE, 1, "requests that wait, for each replica of a set that is ready, beyond which another replica is wanted")               \
    X(SCALE_FIRST_TOKEN_MS, 2000, "median time to a first token beyond which another replica is wanted, where requests share one")         \
    X(SCALE_FIRST_TOKEN_OF_MS, 60000, "age of the first tokens that the median is taken of; older ones say nothing of now")                \
    X(SCALE_UP_MS, 10000, "time for which a set must have had too much to do until it gets another replica")                               \
    X(SCALE_DOWN_MS, 300000, "time for which fewer replicas of a set must have been enough until one goes")                                \
    X(SCALE_FILL_PERCENT, 70, "how full the replicas that stay may become when others go")                                                 \
    X(SCALE_IDLE_S, 1800, "time without a request until a set whose minimum is 0 sleeps, unless another was asked for")                    \
    X(SCALE_IDLE_MOST_S, 31536000, "time without a request that may be asked for; beyond: 400")                                            \
    X(SET_RETRY_MS, 60000, "time until another replica is tried for one that failed; it doubles with each that fails")                     \
    X(SET_RETRY_MOST_MS, 3600000, "to so much at most")                                                                                    \
    X(REPLACE_LEAD_MS, 600000,                                                                                                             \
      "time before its machine is taken away that a successor is started in; more where twice the last start took longer")                 \
    X(REPLACE_DRAIN_MS, 600000, "time that what runs on a machine which is drained waits for a successor; beyond: it stops")               \
    X(WAKE_WAIT_MS, 300000, "time that a request waits for a set that wakes; beyond: 503. A stream is held longer:")                       \
    X(WAKE_STREAM_MS, 1800000, "time that a stream is held for a set that wakes; beyond: it ends with an error event")                     \
    X(WAKE_SAY_MS, 5000, "time between comments of a stream that is held")                                                                 \
    X(WAKE_LOOK_MS, 250, "time between looks of a waiting request at a set that wakes")                                                    \
    X(WAKE_RETRY_MS, 30000, "Retry-After of a request that a set took too long to wake for")                                               \
    X(CONTEXT_TOK, 16777216, "tokens of one stream that may be asked for; beyond: 400")                                                    \
    X(STREAMS, 256, "requests that one engine computes at once; beyond: 400")                                                              \
    X(DEPLOYMENT_RESTARTS, 5, "restarts of an engine within ten minutes; beyond: failed, with the engine's last lines")                    \
    X(ENGINE_LOG_BYTES, 4194304, "log file of an engine; at this size it is rotated, one older file is kept")                              \
    X(KEY_REFUSAL_MS, 100, "time before a key that is not valid is refused")                                                               \
    X(KEYS, 100000, "keys of a server; beyond: 409")                                                                                       \
    X(KEY_MODELS_BYTES, 512, "names of the models that a key may ask for, together; beyond: 400")                                          \
    X(REGIONS_BYTES, 256, "names of the regions that a request or a key demands, together; beyond: 400")                                   \
    X(TRUST_BYTES, 256, "classes and names of those who may read, of a request, a key or a deployment, together; beyond: 400")             \
    X(KEY_GRACE_S, 2592000, "time that the text of a key before a rotation may still open; beyond: 400")                                   \
    X(KEY_USED_MS, 60000, "time between two times that it is written down when keys were used last")                                       \
    X(REPLACE_WAIT_MS, 10000, "time that a request waits for a replica that broke to be replaced; beyond: 502")                            \
    X(UPSTREAMS, 512, "replicas of which the gateway keeps figures; beyond: those of the one not used for the longest are forgotten")      \
    X(UPSTREAM_FAILURES, 5, "failures of a replica in a row; then it gets no requests for a while")                                        \
    X(UPSTREAM_OPEN_MS, 60000, "longest time that a replica which failed gets no requests; it begins with a second and doubles")           \
    X(STALL_FIRST_MS, 120000, "silence of a replica before its first token that is borne at least; then another one is tried")             \
    X(STALL_LEAST_MS, 10000, "silence of a replica between tokens that is borne at least; then another one goes on")                       \
    X(STALL_MOST_MS, 600000, "silence of a replica that is borne at most, whatever it usually takes")                                      \
    X(PREFIX_BLOCK_BYTES, 512, "text of a prompt that one hash stands for, to find the replica that has seen its beginning")               \
    X(PREFIX_BLOCKS, 128, "blocks of a prompt that are remembered; what is behind them is not looked at")                                  \
    X(PREFIX_SETS, 8192, "sets of four remembered blocks of prompts; beyond: the oldest is forgotten")                                     \
    X(LIMIT_RECORDS, 4096, "keys that ask within a minute whose limits are counted; beyond: 429 for a new one")                            \
    X(METRIC_SERIES, 256, "sets of labels of the gateway's metrics that are counted apart; beyond: together, as other")                    \
    X(ACCESS_LOG_BYTES, 4194304, "lines of the access log that wait to be written; beyond: they are dropped and counted")                  \
    X(ACCESS_LOG_FILE_BYTES, 268435456, "the file of the access log; at this size it is rotated")                                          \
    X(ACCESS_LOG_FILES, 7, "older files of the access log that are kept, the newest as NAME.1; the oldest is removed")                     \
    X(ACCESS_LOG_PATH_BYTES, 512, "path of a request in the access log and in a span; beyond: it is cut off")                              \
    X(OTLP_BYTES, 4194304, "spans that wait to be sent to a collector; beyond: they are dropped and counted")                              \
    X(OTLP_TRIES, 5, "times that a batch of spans is sent to a collector that is busy or away; beyond: it is dropped and counted")         \
    X(OTLP_LAST_MS, 1000, "time that a server which stops takes to send its last spans; beyond: they are lost")                            \
    X(RECORD_ATTEMPTS, 8, "replicas of one request that its record tells apart; beyond: the last ones are told as one")                    \
    X(TRACESTATE_BYTES, 512, "a tracestate that is passed on; beyond: it is dropped, the traceparent is not")                              \
    X(TRACESTATE_MEMBERS, 32, "members of a tracestate; beyond: likewise")                                                                 \
    X(CACHE_BYTES, 67108864, "answers that are kept, together; beyond: those not used for the longest go")                                 \
    X(CACHE_ENTRIES, 65536, "answers that are kept; beyond: as CACHE_BYTES")                                                               \
    X(CACHE_ANSWER_BYTES, 4194304, "one answer that is kept, or that a slow reader may be behind others by; beyond: not kept, cut loose")  \
    X(CACHE_KEPT_MS, 3600000, "time that an answer is kept; beyond: the request is done again")                                            \
    X(CACHE_REQUEST_BYTES, 262144, "request in canonical form whose answer is kept or shared; beyond: it is done for itself")              \
    X(FLIGHTS, 1024, "calls at once that several requests may share; beyond: a request is done for itself")                                \
    X(FLIGHT_BYTES, 134217728, "answers on their way that are shared, together; beyond: they are not kept, and hold what is unread")       \
    X(HOLD_ANSWER_TOK, 256, "tokens of an answer that a budget must still hold beside the prompt; fewer: 402")                             \
    X(QUEUE_WAITING, 4096, "requests that wait for a replica of one model; beyond: 429 for the key that has most of them")                 \
    X(QUEUE_KEYS, 1024, "keys with a priority whose share of a queue is kept; beyond: 429 while all wait")                                 \
    X(QUEUE_POOLS, 256, "queues, one a model; beyond: requests are sent on without waiting")                                               \
    X(QUEUE_WAIT_MS, 300000, "time that a request waits for a replica at most; beyond: 429")                                               \
    X(QUEUE_LOOK_MS, 2000, "time between looks of a waiting request at the replicas that there are now")                                   \
    X(SLOT_PLACES, 16, "replicas that a waiting request waits for; others it sees when it looks again")                                    \
    X(FEATURE_BYTES, 8192, "text of the newest message that the kind of a request is read from; what is behind it is not looked at")       \
    X(NAMES_BYTES, 512, "x-freehold-models or x-freehold-exclude of a request; beyond: 400")                                               \
    X(LEARN_OUTCOMES, 512, "outcomes of one model that are remembered; beyond: the oldest is forgotten")                                   \
    X(LEARN_MODELS, 256, "models whose outcomes are remembered; beyond: those of the one not used for the longest are forgotten")          \
    X(OUTCOMES_KEPT, 65536, "outcomes of all models in the database; beyond: the oldest are removed")                                      \
    X(OUTCOMES_UNWRITTEN, 1024, "outcomes that wait to be written; beyond: the newest is not kept over a restart")                         \
    X(ANSWERED, 1024, "answers of late that may still be judged by what becomes of them; beyond: the oldest no longer may")                \
    X(ASKED_AGAIN_MS, 600000, "time within which the same prompt, asked again of a larger model, says that an answer did not do")          \
    X(CHOOSE_MODELS, 64, "models that auto or a group chooses among; what is beyond is not looked at")                                     \
    X(CHOOSE_TOLERANCE_PERMILLE, 50, "how much less likely to do than the best a model may be to be good enough, in thousandths")          \
    X(EXPLORE_ONE_IN, 16, "requests of which one at most goes to a smaller model to learn how good it is")                                 \
    X(JUDGE_BYTES, 1048576, "answer, or arguments of a tool call, that is looked at; beyond: it is not judged")                            \
    X(JUDGE_CALLS, 16, "tool calls of an answer that are looked at; beyond: it is not judged")                                             \
    X(JUDGE_STEPS, 100000, "values of an answer that are held against a schema; what is beyond is not looked at")                          \
    X(TOKENIZERS, 64, "files of tokenizers by which other engines' tokens are counted; beyond: 409")                                       \
    X(COUNTS_WAITING, 1024, "prompts and answers that wait to be counted by them; beyond: what the engine says is taken")                  \
    X(COUNTS_WAITING_BYTES, 67108864, "their texts together; beyond: likewise")                                                            \
    X(HEARD_BYTES, 4194304, "text of one answer that is kept to be counted; beyond: likewise")                                             \
    X(HEARD_CHOICES, 16, "choices of one answer that are counted; beyond: likewise")                                                       \
    X(COUNT_TOLERANCE_TOK, 16, "tokens by which an engine may count otherwise than we; beyond: it is said")                                \
    X(COUNT_TOLERANCE_PERMILLE, 20, "the same in thousandths of ours, added")                                                              \
    X(COUNT_TEMPLATE_TOK, 64, "tokens of a prompt and of each of its messages that a template may add; beyond: it is said")                \
    X(USAGE_BLOCK, 128, "records of what requests used that are kept together")                                                            \
    X(USAGE_WRITE_MS, 250, "time between two times that such records are written down; kill -9 loses no more")                             \
    X(USAGE_UNWRITTEN, 512, "blocks of such records that wait to be written; beyond: records are dropped and counted")                     \
    X(USAGE_BLOCKS_KEPT, 8192, "blocks of such records in the database; beyond: the oldest are removed")                                   \
    X(USAGE_KEPT_DAYS, 400, "time that such records are kept")                                                                             \
    X(USAGE_LIST, 500, "such records in one page of a list; beyond: 400")                                                                  \
    X(USAGE_LIST_BLOCKS, 256, "blocks that one page of a list is gathered from; what is behind them is on the next page")                  \
    X(PROVIDERS, 64, "hosted endpoints that are named; beyond: 409")                                                                       \
    X(PROVIDER_MODELS, 4096, "models of one hosted endpoint; what is beyond is not offered")                                               \
    X(PROVIDER_TOKENIZERS, 32, "tokenizer files of one hosted endpoint; beyond: 400")                                                      \
    X(HONESTY_ANSWER_TOK, 24, "tokens that a canary asks a hosted endpoint for; an answer that tells of more is no evidence")              \
    X(HONESTY_CANARIES, 1000, "canaries of one check; beyond: 400")                                                                        \
    X(HONESTY_KEPT, 8, "canaries of a check that may be asked again; beyond: the oldest goes")                                             \
    X(HONESTY_FAILURES, 10, "canaries in a row that are not answered; beyond: the check ends")                                             \
    X(HONESTY_STANDINGS, 4096, "models of places whose honesty and work are kept; beyond: 409, and work is not noted")                     \
    X(HONESTY_CALL_MS, 120000, "time that a canary or our own answer to it may take; beyond: it counts as not answered")                   \
    X(HONESTY_CANARIES_PER_DAY, 8640, "canaries a day that a hosted endpoint may be sent by itself; beyond: 400")                          \
    X(HONESTY_TICK_MS, 10000, "how often it is drawn whether one of them goes out")                                                        \
    X(HONESTY_POOL_PER_DAY, 48, "canaries a day that each machine of the pool is sent, unless `serve --pool-check` says otherwise")        \
    X(WORK_HALF_DAYS, 7, "after which half of what is known of how a place has worked is forgotten")                                       \
    X(WORK_SPEED_TOK, 256, "tokens of answers from which on the speed of a place counts as measured")                                      \
    X(WORK_PROMPT_TOK, 64, "tokens of a prompt from which on it counts for the speed of prompts")                                          \
    X(NODE_MIN_TIME_S, 2592000, "shortest time that a machine of the pool may be lent for; beyond: refused")                               \
    X(NODE_WATTS, 1000000, "that a machine of the pool may be said to take; beyond: refused")                                              \
    X(GROUPS, 64, "groups of models; beyond: 409")                                                                                         \
    X(PLAN_OFFERS, 100000, "offers in one request for plans; beyond: 400")                                                                 \
    X(SPEED_RUNS, 128, "measured runs of this machine that are kept; beyond: the oldest is forgotten")                                     \
    X(PROVIDER_PRICES, 32, "prices of one hosted endpoint; beyond: 400")                                                                   \
    X(PRICE_LISTS, 64, "lists of offers that are kept; beyond: 409")                                                                       \
    X(PRICE_FILE_BYTES, 67108864, "a price list that is read; beyond: 413")                                                                \
    X(CATALOG_FILE_BYTES, 8388608, "a file of catalogue entries; beyond: an error")                                                        \
    X(CATALOG_STRING_BYTES, 4096, "one text in it; beyond: an error naming the field")                                                     \
    X(CATALOG_MODELS, 4096, "models of one file of catalogue entries; beyond: an error")                                                   \
    X(CATALOG_MACHINES, 1024, "machines of one file of catalogue entries; beyond: an error")                                               \
    X(CATALOG_OWN_FILES, 64, "files of the user's own catalogue entries; beyond: an error")                                                \
    X(CATALOG_CHANGES, 1000, "changes of the catalogue in one run of a server, each of which stays in memory; beyond: 409")                \
    X(PLAN_MARKET_OFFERS, 1000000, "offers that are planned with, from all that are known; beyond: 413")                                   \
    X(RENTALS, 64, "machines that are rented of one provider at once; beyond: 409")                                                        \
    X(RENT_HOURS, 24, "that a machine is rented for at most, where nobody says how long")                                                  \
    X(RENTALS_SHOWN, 200, "rentals that are listed: the last; the others stand in the database")                                           \
    X(RENT_BILL_MS, 600000, "between two looks for machines of which the provider has not said what they cost")                            \
    X(RENT_BILL_DAYS, 30, "after a machine's end in which that is asked")                                                                  \
    X(RENT_STRAYS, 64, "machines of ours that nothing accounts for, which are ended at once; the others after them")                       \
    X(RENT_REFUSED, 32, "offers of which is remembered that they were refused; beyond: the oldest may be tried again")                     \
    X(RENT_REFUSED_MS, 600000, "for how long")                                                                                             \
    X(RENT_LIST_MS, 10000, "between two lists of machines while one starts or ends")                                                       \
    X(RENT_WATCH_MS, 30000, "the same while all run")                                                                                      \
    X(RENT_SWEEP_MS, 600000, "the same while nothing is rented")                                                                           \
    X(RENT_REPLY_BYTES, 33554432, "reply of a provider of machines; beyond: it counts as none")                                            \
    X(RENT_OFFERS, 16384, "offers that are taken of one such reply; what is beyond is not offered")                                        \
    X(RENT_MACHINES, 4096, "machines of one account; beyond: its list counts as unknown, and nothing is rented there")                     \
    X(RENT_CALL_MS, 30000, "time for one question to such a provider; beyond: it counts as not answered")                                  \
    X(RENT_OFFERS_MS, 30000, "age of offers from which one is rented; beyond: they are asked for again")                                   \
    X(RENT_PAUSE_MS, 60000, "the longest pause before a provider that fails is asked again")                                               \
    X(GUARD_MACHINES, 256, "machines of one account that a cost guard remembers, and ends in one round; the others in the next")           \
    X(GUARD_EPOCHS, 32, "epochs of one installation that a cost guard is told of: the newest")                                             \
    X(GUARD_BYTES, 262144, "what a cost guard keeps, or is told by its server; beyond: it counts as not heard")                            \
    X(GUARD_GRACE_MS, 120000, "behind a machine's limit in which its server ends it itself; then its guard does")                          \
    X(GUARD_FRESH_MS, 600000, "since a cost guard asked last in which it counts as one that watches")                                      \
    X(GUARD_TIME_S, 604800, "the longest silence or pause that a cost guard is told to keep")                                              \
    X(SUPPLY_COMMANDS, 8, "commands that run at once on the machine that a supply is reached by; beyond: they come later")                 \
    X(SUPPLY_COMMAND_BYTES, 65536, "words of one such command, or what it finds in its environment; beyond: an error")                     \
    X(SUPPLY_OUTPUT_BYTES, 1048576, "what such a command prints; beyond: it is ended")                                                     \
    X(SUPPLY_WORDS_BYTES, 4096, "what is kept of its standard error: the last of it")                                                      \
    X(SLURM_ORDERS, 64, "machines that are wanted of one Slurm cluster at once; beyond: 409")                                              \
    X(SLURM_LIST_MS, 1000, "between two lists of jobs while something goes on")                                                            \
    X(SLURM_QUIET_MS, 10000, "the same when nothing has changed for a minute")                                                             \
    X(SLURM_STIR_MS, 60000, "that minute")                                                                                                 \
    X(SLURM_COMMAND_MS, 100000, "time for one question to a cluster; beyond: it counts as not answered")                                   \
    X(SLURM_UPLOAD_MS, 900000, "time for copying freehold to a cluster; beyond: it is tried again")                                        \
    X(SLURM_PAUSE_MS, 30000, "the longest pause before a cluster that does not answer is asked again")                                     \
    X(SLURM_REACH_MS, 60000, "time that a cluster may not be reached before a machine that was not yet asked for is given up")             \
    X(SLURM_EARLY_MS, 60000, "time within which a job that fails counts as one that would fail again")                                     \
    X(SLURM_CLEAR_MS, 5000, "time that a job may take to be cleared away; beyond: it counts as ended")                                     \
    X(SLURM_CHECK_MS, 300000, "age of what is known of a cluster's partitions; beyond: it is asked for again before the next job")         \
    X(SLURM_KINDS, 256, "kinds of nodes of a cluster's partitions; beyond: the rest is not known")                                         \
    X(SLURM_LIST_SHARE, 5, "times as long as a list of jobs took until the next one is asked for, at least")                               \
    X(SLURM_REPLY_BYTES, 67108864, "an answer of slurmrestd, as its list of all jobs; beyond: it counts as not answered")                  \
    X(SLURM_TOKEN_BYTES, 8192, "a token for slurmrestd; beyond: an error")                                                                 \
    X(SLURM_LATE_MS, 20000, "time for which a job whose submission was not answered is looked for by slurmrestd before another one")       \
    X(SLURM_NODES, 64, "nodes of a cluster that one model is spread over; beyond: it does not fit")                                        \
    X(RANK_ORDER_BYTES, 65536, "what a rank of an engine over several nodes is told; beyond: an error")                                    \
    X(RANK_LINE_BYTES, 16384, "a line of its log that waits for its end; beyond: it is passed on in pieces")                               \
    X(RANK_TERM_MS, 5000, "time that a rank has to end by itself; beyond: SIGKILL")                                                        \
    X(SSH_STEP_MS, 120000, "time for one step of setting up a box with a login; beyond: it is tried again")                                \
    X(SSH_INSTALL_MS, 900000, "the same for installing packages there")                                                                    \
    X(SSH_PIECE_BYTES, 1048576, "of freehold that are copied to a box at once")                                                            \
    X(SSH_SPARE_BYTES, 67108864, "of disk that a box must have beyond freehold and the weights; beyond: it is refused")                    \
    X(SSH_LOOK_MS, 30000, "age of what is known of a box that nobody holds; beyond: it is looked at again when somebody asks")             \
    X(SSH_WATCH_MS, 10000, "time between two looks at a box that is held")                                                                 \
    X(SSH_BACKOFF_MIN_MS, 1000, "pause before a box that is not reached is tried again; doubles with each try")                            \
    X(SSH_BACKOFF_MAX_MS, 30000, "that pause at most")                                                                                     \
    X(SSH_REACH_MS, 300000, "time that a box may not be reached before anything is on it; beyond: its order is over")                      \
    X(GROUP_MEMBERS, 32, "models of one group; beyond: 400")                                                                               \
    X(TRIES, 4, "replicas that one request is sent to without getting on")                                                                 \
    X(SENT_BYTES, 4194304, "text of a stream that is kept so that another replica can go on with it; beyond: the stream cannot be moved")  \
    X(SSE_EVENT_BYTES, 8388608, "one event of an engine's stream; beyond: the stream ends with an error event")                            \
    X(CONTROL_BODY_BYTES, 1048576, "body of a control-plane request; beyond: 413")                                                         \
    X(STOP_GRACE_MS, 1000, "time that an idle connection may bring one more request when a server with handed-over sockets stops")         \
    X(UPGRADE_GRACE_MS, 5000, "the same when a server has handed over to a newer one")                                                     \
    X(UPGRADE_DRAIN_MS, 3600000, "time that running requests get after that; beyond: they are cut")                                        \
    X(HANDOVER_MS, 30000, "time for each step of handing over to a newer server; beyond: the old one goes on")                             \
    X(DRAIN_MS, 10000, "time that running requests get when the server stops; beyond: they are cut")                                       \
    X(IDEMPOTENCY_MS, 86400000, "time that the reply to an Idempotency-Key is kept; beyond: the request is done again")                    \
    X(SIGNIN_CODES, 64, "console links that wait to be used; beyond: the oldest no longer works")                                          \
    X(IMPORT_JOBS, 16, "imports whose outcome is kept; beyond: the oldest is forgotten")                                                   \
    X(OUTSIDE_URL_BYTES, 8192, "a URL that a request names to be opened; beyond: 400")                                                     \
    X(OUTSIDE_REDIRECTS, 5, "redirects of one such URL; beyond: 400")                                                                      \
    X(OUTSIDE_MS, 20000, "time for opening one, redirects and all; beyond: 400")                                                           \
    X(OUTSIDE_CONNECT_MS, 5000, "time for connecting to its server; beyond: the server's next address, or 400")                            \
    X(OUTSIDE_SILENCE_MS, 5000, "time that its server may be silent; beyond: 400")                                                         \
    X(OUTSIDE_FETCHES, 64, "URLs that are being opened at once; beyond: 429")                                                              \
    X(OUTSIDE_BYTES, 134217728, "what has come of them, together, and is not whole yet; beyond: 429")                                      \
    X(RESOLVER_THREADS, 8, "names of hosts that are being resolved at once; more wait")                                                    \
    X(RESOLVER_WAITING, 256, "names that wait to be resolved; beyond: 429")                                                                \
    X(IMAGES, 100, "different images that one request names by URL; beyond: 400")                                                          \
    X(IMAGES_AT_ONCE, 4, "of them that are fetched at once; more wait")                                                                    \
    X(IMAGES_MS, 60000, "time for fetching the images of one request; beyond: 400")                                                        \
    X(IMAGE_BYTES, 10485760, "one image that is fetched; beyond: 400")                                                                     \
    X(IMAGES_BYTES, 20971520, "the fetched images of one request together; beyond: 400")                                                   \
    X(IMAGES_HELD_BYTES, 268435456, "fetched images of all requests under way, as base64; beyond: 429")                                    \
    X(LINKS, 16384, "links of machines of a pool to a server; beyond: the new one is closed")                                              \
    X(NODE_ENGINES, 64, "engines that a machine of the pool runs at once; beyond: it refuses")                                             \
    X(NODE_REPORT_MS, 5000, "time between two reports of a machine of the pool, while nothing changes there")                              \
    X(NODE_REPORT_BYTES, 262144, "one such report; beyond: it is left out")                                                                \
    X(DEPLOY_HOURS, 8784, "hours that machines may be got for, at most")                                                                   \
    X(ORDER_JOIN_MS, 600000, "time from a machine being had until it joins the pool; beyond: it is given back")                            \
    X(NODE_AWAY_MS, 5000, "time that a machine of the pool may be gone; beyond: what ran there has ended")                                 \
    X(NODE_BACK_MS, 30000, "the same after the server was started")                                                                        \
    X(NODE_CHECK_MS, 3600000, "time that a machine of the pool may take to check weights that it was sent")                                \
    X(NODE_LOG_BYTES, 262144, "of an engine's log that comes from a machine of the pool at once")                                          \
    X(NODE_ALONE_MS, 600000, "time that engines of a machine of the pool go on without the server, unless its owner says another")         \
    X(NODE_LEAVE_MS, 30000, "time that they get to end what they do when their machine is not lent any more; beyond: they end")            \
    X(NODE_DISK_SPARE_BYTES, 1073741824, "of the disk of a machine of the pool that weights leave free, whatever its owner says")          \
    X(NODE_TERM_MS, 10000, "time that an engine on a machine of the pool has to end by itself; beyond: SIGKILL")                           \
    X(NODE_IDLE_MS, 30000, "time without progress of what a machine of the pool is asked; beyond: it has failed")                          \
    X(LINK_UNCERTIFIED, 64, "of them without a certificate at once; beyond: the new one is told to come again")                            \
    X(LINK_UNCERTIFIED_MS, 120000, "time that a link without a certificate may last; beyond: it ends")                                     \
    X(LINK_HANDSHAKES, 256, "connections at once that are not links yet; beyond: they wait, and the oldest gives way")                     \
    X(LINK_HANDSHAKE_MS, 10000, "time from a connection until it is a link; beyond: it closes")                                            \
    X(LINK_CROWDED_MS, 1000, "of it that nobody takes away; beyond: a connection gives way when there are too many")                       \
    X(LINK_CONNECT_MS, 5000, "time for connecting to one address of a server; beyond: its next one")                                       \
    X(LINK_PING_MS, 2500, "silence of a link after which the other end is asked whether it is there")                                      \
    X(LINK_SILENCE_MS, 8000, "silence of a link, or time that it takes no byte; beyond: it is lost")                                       \
    X(LINK_BACKOFF_MIN_MS, 500, "pause before a link that was lost is dialled again; doubles with each try")                               \
    X(LINK_BACKOFF_MAX_MS, 30000, "that pause at most")                                                                                    \
    X(LINK_PINS, 4, "certificates of a server that a machine of its pool takes; beyond: an error")                                         \
    X(LINK_STREAMS, 512, "asks and tunnels of a link at once; beyond: an error to whoever asks")                                           \
    X(LINK_STREAM_BYTES, 65536, "bytes of a stream of a link that wait for who reads it; beyond: the other end pauses")                    \
    X(LINK_STREAM_MOST_BYTES, 1048576, "the same of a stream whose reader has kept up")                                                    \
    X(LINK_GROWN_BYTES, 16777216, "what is above the first bound, of all streams of a link together; beyond: no bound grows")              \
    X(LINK_RESETS, 20000, "streams of a link that whoever opened them takes back at once; beyond what a second allows too: the link ends") \
    X(LINK_RESETS_PER_S, 5000, "streams of a link that are taken back a second, in the long run")                                          \
    X(LINK_HEADERS, 64, "header lines of one message on a link; beyond: its stream ends")                                                  \
    X(LINK_HEADER_BYTES, 16384, "all header lines of it together; beyond: its stream ends")                                                \
    X(LINK_AUTHORITY_BYTES, 256, "the name that a tunnel is asked for by; beyond: an error")                                               \
    X(LINK_BODY_BYTES, 4194304, "body of a request on a link that is taken whole; beyond: 413")                                            \
    X(LINK_BODIES_BYTES, 67108864, "such bodies of all requests of a link together; beyond: 503")                                          \
    X(LINK_REPLY_BYTES, 4194304, "reply that is taken whole, unless whoever asks says another bound; beyond: an error")                    \
    X(LINK_REPLY_UNSENT_BYTES, 8388608, "unsent bytes of a reply whose source does not pause; beyond: it is cut")                          \
    X(LINK_ASK_IDLE_MS, 30000, "time without progress of an ask, unless it says another; beyond: an error")                                \
    X(LINK_WHY_BYTES, 200, "text in which one end of a link tells the other why it closes; what is beyond is cut off")                     \
    X(NODES, 16384, "machines in the pool of a server; beyond: 409")                                                                       \
    X(JOIN_TOKENS, 64, "join tokens that wait to be used; beyond: 409")                                                                    \
    X(JOIN_TOKEN_MS, 3600000, "time within which a join token must be used; beyond: refused")                                              \
    X(JOIN_KEY_MS, 1800000, "time that a machine waits until the server expects its key; beyond: it gives up")                             \
    X(NODE_CERT_DAYS, 30, "time that a node's certificate is good for; it is renewed after two thirds of it")                              \
    X(POOL_CA_DAYS, 7300, "time that the certificate of the pool's authority is good for")                                                 \
    X(POOL_SKEW_MS, 86400000, "time that a node's clock may be behind when it gets a certificate")                                         \
    X(NODE_FACTS_BYTES, 32768, "what a node says of itself; beyond: its link closes")                                                      \
    X(NODE_GPUS, 64, "GPUs of a node that are told of; beyond: they are not")                                                              \
    X(POOL_ADDRESSES, 16, "addresses of the server that are named with a token; beyond: they are not")                                     \
    X(NODE_ANSWER_MS, 30000, "time that a node takes to say who it is and what it has; beyond: its link closes")                           \
    X(NODE_SEEN_MS, 60000, "time between two times that it is written down when nodes were seen last")                                     \
    X(MEASURES, 4, "machines of the pool that are measured at once; beyond: the next wait")                                                \
    X(MEASURE_SETTLE_MS, 1000, "how long a machine of the pool is there before it is measured")                                            \
    X(MEASURE_AGAIN_MS, 21600000, "time until it is measured again, when nothing goes over its link")                                      \
    X(MEASURE_RETRY_MS, 60000, "time until it is tried again after it had something to do, or refused")                                    \
    X(MEASURE_STEP_MS, 20000, "time that a step of that may take; beyond: it is tried again later")                                        \
    X(MEASURE_FIRST_BYTES, 262144, "bytes that are sent each way over the link of a machine that is measured; over a fast one:")           \
    X(MEASURE_LINK_BYTES, 8388608, "the same over a link that took less than half a second for the first ones")                            \
    X(MEASURE_MEMORY_BYTES, 536870912, "memory of a machine that it reads while measured; at most a sixteenth of what is free")            \
    X(MEASURE_PASSES, 256, "times that it reads it")                                                                                       \
    X(NODE_SETTINGS_BYTES, 32768, "what the owner of a machine allows, as the machine keeps it; beyond: an error")                         \
    X(SSE_SUBSCRIBERS, 256, "open streams of /api/v1/events; beyond: 503")

enum {
#define FH_LIMIT_ENUM(name, value, text) FH_LIMIT_##name = value,
    FH_LIMIT_LIST(FH_LIMIT_ENUM)
#undef FH_LIMIT_ENUM
};

#endif
