/* OpenAI request and response types: Chat Completions, Completions, models, errors. Pure.
 *
 * Parsing checks every field that we act on: a wrong type or range is FH_E_INVALID with the field as param. What not every upstream can do
 * is written down as a need (n > 1, images, a format): the gateway chooses among upstreams that can, and who cannot refuses it by name.
 * Unknown fields are ignored here and stay in the body that is passed on. Strings are borrowed from the parsed document, which the request
 * holds. Sources: OpenAI's public specification 2.3.0. */
#ifndef FH_WIRE_OPENAI_H
#define FH_WIRE_OPENAI_H

#include "base/buf.h"
#include "json/json.h"

typedef struct fh_wire_bias {
    int32_t token;
    float value;
} fh_wire_bias;

typedef struct fh_wire_sampling { /* what both APIs share; absent fields hold the defaults of the API (temperature 1, top_p 1) */
    double temperature, top_p, min_p, repetition_penalty, presence_penalty, frequency_penalty;
    uint32_t top_k;
    bool has_seed, has_temperature;
    uint64_t seed;
    int64_t max_tokens; /* -1: not given. chat: max_completion_tokens before max_tokens */
    fh_str *stops;      /* owned array of borrowed strings */
    size_t stop_count;
    fh_wire_bias *bias; /* owned */
    size_t bias_count;
    bool logprobs;
    uint32_t top_logprobs;
    bool ignore_eos; /* as llama-server and vLLM: for measurements */
} fh_wire_sampling;

/* name, the field that asks for it, what a refusal calls it */
#define FH_WIRE_NEED_LIST(X)                                                                                                               \
    X(CHOICES, "n", "more than one choice in a reply")                                                                                     \
    X(BEST_OF, "best_of", "more than one try for a choice")                                                                                \
    X(PROMPTS, "prompt", "more than one prompt in a request")                                                                              \
    X(SUFFIX, "suffix", "filling in before a suffix")                                                                                      \
    X(FORMAT, "response_format", "output that is held to a format")                                                                        \
    X(GRAMMAR, "grammar", "output that is held to a grammar, or by this field to a schema")                                                \
    X(OTHER_FORMAT, "response_format.type", "a format of this kind")                                                                       \
    X(TOOL_CHOICE, "tool_choice", "forcing the model to call a tool")                                                                      \
    X(ONE_CALL, "parallel_tool_calls", "forbidding several tool calls in one answer")                                                      \
    X(FUNCTIONS, "functions", "the functions API that tools replaced")                                                                     \
    X(IMAGES, "messages", "an image in a message")                                                                                         \
    X(AUDIO, "messages", "audio in a message")                                                                                             \
    X(FILES, "messages", "a file in a message")                                                                                            \
    X(MODALITIES, "modalities", "output other than text")                                                                                  \
    X(AUDIO_OUT, "audio", "audio output")                                                                                                  \
    X(SEARCH, "web_search_options", "searching the web")                                                                                   \
    X(STORE, "store", "keeping the answer")                                                                                                \
    X(VERBOSITY, "verbosity", "a verbosity other than medium")                                                                             \
    X(TIER, "service_tier", "a service tier other than the default")                                                                       \
    X(PREFILL, "continue_final_message", "going on from the assistant's last message")

typedef enum fh_wire_need {
#define FH_WIRE_NEED(name, param, what) FH_NEED_##name,
    FH_WIRE_NEED_LIST(FH_WIRE_NEED)
#undef FH_WIRE_NEED
        FH_NEEDS
} fh_wire_need;
#define FH_NEED_BIT(name) (1u << FH_NEED_##name)
/* What our own engine can do of it. */
#define FH_WIRE_ENGINE_CAN                                                                                                                 \
    (FH_NEED_BIT(CHOICES) | FH_NEED_BIT(PREFILL) | FH_NEED_BIT(ONE_CALL) | FH_NEED_BIT(TOOL_CHOICE) | FH_NEED_BIT(FORMAT) |                \
     FH_NEED_BIT(GRAMMAR))

typedef enum fh_wire_format {
    FH_WIRE_FORMAT_TEXT,   /* anything */
    FH_WIRE_FORMAT_OBJECT, /* a JSON object */
    FH_WIRE_FORMAT_SCHEMA, /* JSON that satisfies a schema */
    FH_WIRE_FORMAT_GRAMMAR /* a text of a grammar */
} fh_wire_format;

typedef struct fh_wire_request {
    enum { FH_WIRE_CHAT, FH_WIRE_COMPLETION } kind;
    fh_json *doc; /* owned: the whole parsed body */
    fh_str model;
    const fh_json *messages;  /* chat: the array, each checked to have a known role and a text (or text parts) content */
    const fh_json *tools;     /* chat: borrowed, NULL when absent or not to be called; passed to the template */
    fh_wire_format format;    /* what the answer is held to */
    const fh_json *schema;    /* FH_WIRE_FORMAT_SCHEMA: an object, or true or false; not looked into */
    fh_str grammar;           /* FH_WIRE_FORMAT_GRAMMAR: GBNF, not looked into */
    const char *format_param; /* where schema or grammar stands in the request; NULL: nowhere */
    bool one_call;            /* chat: parallel_tool_calls is false */
    bool must_call;           /* chat: tool_choice forces a call, */
    fh_str must_name;         /* of this tool; empty: of any */
    fh_str prompt;            /* completion, as text */
    int32_t *prompt_tokens;   /* completion, as ids; owned */
    size_t prompt_token_count;
    bool echo;
    uint32_t choices; /* n, from 1 */
    bool stream, include_usage;
    const fh_json *template_variables; /* chat_template_kwargs: an object, or NULL */
    bool continue_final;               /* chat: the answer goes on from the last message, which is the assistant's */
    bool no_generation_prompt;         /* chat: nor does the prompt end with the beginning of an answer otherwise */
    fh_wire_sampling sampling;
    uint32_t needs;                 /* FH_NEED_BITs */
    char need_params[FH_NEEDS][48]; /* where the first of each stands: "messages[2].content[0]" */
} fh_wire_request;

int fh_wire_chat_parse(fh_wire_request *ret, fh_str body, fh_err **err);
int fh_wire_chat_take(fh_wire_request *ret, fh_json *doc, fh_err **err); /* takes doc, also when it fails */
int fh_wire_completion_parse(fh_wire_request *ret, fh_str body, fh_err **err);
void fh_wire_request_fini(fh_wire_request *r);
/* Refuses by name (FH_E_INVALID) the first need that is not among the bits of can. */
int fh_wire_needs_check(const fh_wire_request *r, uint32_t can, fh_err **err);
/* The text that the answer goes on from; empty where it does not, ptr NULL where that is more than one text. */
fh_str fh_wire_beginning(const fh_wire_request *r);
/* The messages as a template wants them: content always a string (text parts joined), unknown members kept. New reference. */
int fh_wire_template_messages(const fh_wire_request *r, fh_json **ret, fh_err **err);

typedef struct fh_wire_logprob {
    fh_str token; /* its bytes; may be broken UTF-8 on its own */
    float logprob;
    const struct fh_wire_logprob *top;
    size_t top_count;
} fh_wire_logprob;

typedef struct fh_wire_usage {
    uint64_t prompt_tok, completion_tok, cached_tok, reasoning_tok;
    uint64_t predicted_tok, mispredicted_tok; /* tried out of the request's prediction: those that came are of the completion */
} fh_wire_usage;

typedef struct fh_wire_reply { /* what all pieces of one reply say */
    bool chat;
    const char *id, *model; /* borrowed */
    int64_t created_s;
    const char *fingerprint;
} fh_wire_reply;

typedef struct fh_wire_call { /* a tool call of a reply, or a piece of one: id and name in its first piece only */
    uint32_t index;
    fh_str id, name, arguments;
} fh_wire_call;

/* One streamed chunk's JSON (without "data: "). role: the first chat chunk; text may be empty; finish: NULL, "stop", "length",
 * "tool_calls"; usage: only in the last chunk with empty choices. null_usage: write "usage":null (include_usage was asked). */
typedef struct fh_wire_piece {
    uint32_t choice;
    bool role;
    fh_str text;
    const char *finish;
    fh_str stop; /* the stop string that ended it: given as stop_reason, as vLLM does; empty: left out */
    const fh_wire_logprob *logprobs;
    size_t logprob_count;
    bool want_logprobs, null_usage;
    fh_str reasoning;          /* chat: of the thought; a chunk has this, calls or text */
    const fh_wire_call *calls; /* chat */
    size_t call_count;
    uint64_t text_offset; /* completions logprobs: characters before this piece */
} fh_wire_piece;
bool fh_wire_chunk_write(fh_buf *out, const fh_wire_reply *r, const fh_wire_piece *p);
bool fh_wire_usage_chunk_write(fh_buf *out, const fh_wire_reply *r, const fh_wire_usage *u,
                               const char *extra_members); /* extra: ",\"timings\":{...}" or NULL */
/* The whole reply of a request without stream, of its choices one after another. */
bool fh_wire_reply_write(fh_buf *out, const fh_wire_reply *r, const fh_wire_piece *choices, size_t count, const fh_wire_usage *u,
                         const char *extra_members);

/* {"error":{"message","type","param","code"}}; type by HTTP status as OpenAI's (invalid_request_error, authentication_error, ...). */
bool fh_wire_error_write(fh_buf *out, const fh_err *err);
/* Is it the body of an error with these four members, each of the type that it has there? Engines have numbers as code, or fewer members.
 */
bool fh_wire_error_is_whole(fh_str body);
/* RFC 9457 problem details, for /api/v1; status: the reply's. */
bool fh_wire_problem_write(fh_buf *out, const fh_err *err, int status, const char *instance);

typedef struct fh_wire_model {
    const char *id, *owned_by;
    int64_t created_s;
    int64_t context_tok; /* 0: not said */
} fh_wire_model;
bool fh_wire_models_write(fh_buf *out, const fh_wire_model *list, size_t count);
bool fh_wire_model_write(fh_buf *out, const fh_wire_model *m);

#endif
