/* An error object as the Messages API has it. It has no member for the field at fault, so the field stands before the message, as there. */
#include "messages_private.h"

static const char *type_of(int status)
{
    switch (status) {
    case 401: return "authentication_error";
    case 402: return "billing_error";
    case 403: return "permission_error";
    case 404: return "not_found_error";
    case 409: return "conflict_error";
    case 413: return "request_too_large";
    case 429: return "rate_limit_error";
    case 504: return "timeout_error";
    case 529: return "overloaded_error";
    default: return status < 500 ? "invalid_request_error" : "api_error";
    }
}

int fh_wire_messages_status(const fh_err *err)
{
    int status = fh_code_http(fh_err_code(err));
    return status == 503 ? 529 : status;
}

static void add_message(fh_buf *out, const fh_err *err)
{
    const char *param = fh_err_param_get(err), *hint = fh_err_hint_get(err);
    FH_AUTO(buf) fh_buf text = FH_BUF(65536);
    if (param) fh_buf_addf(&text, "%s: ", param);
    fh_buf_adds(&text, fh_err_message(err));
    if (hint) fh_buf_addf(&text, "; %s", hint);
    if (!fh_buf_ok(&text)) out->failed = true;
    fh_buf_add_json_string(out, fh_buf_cstr(&text), text.len);
}

bool fh_wire_messages_error_write(fh_buf *out, const fh_err *err, const char *request_id)
{
    fh_buf_addf(out, "{\"type\":\"error\",\"error\":{\"type\":\"%s\",\"message\":", type_of(fh_wire_messages_status(err)));
    add_message(out, err);
    fh_buf_adds(out, "},\"request_id\":");
    if (request_id)
        fh_buf_add_json_string(out, request_id, strlen(request_id));
    else
        fh_buf_adds(out, "null");
    return fh_buf_addc(out, '}');
}

static const fh_wire_name names[] = {{"stop", "stop_sequences"},
                                     {"response_format.json_schema.schema", "output_config.format.schema"},
                                     {"response_format", "output_config.format"},
                                     {"reasoning_effort", "output_config.effort"},
                                     {"parallel_tool_calls", "tool_choice.disable_parallel_tool_use"},
                                     {"continue_final_message", "messages"},
                                     {"messages", "messages"}, /* counted another way */
                                     {"user", "metadata.user_id"}};

void fh_wire_messages_param(const char *chat_param, char *ret, size_t size)
{
    fh_wire_name_find(names, FH_COUNT(names), chat_param, ret, size);
}

void fh_wire_messages_err(fh_err **err)
{
    fh_wire_name_err(names, FH_COUNT(names), err);
}

bool fh_wire_messages_count_write(fh_buf *out, uint64_t prompt_tok)
{
    return fh_buf_addf(out, "{\"input_tokens\":%llu}", (unsigned long long)prompt_tok);
}
