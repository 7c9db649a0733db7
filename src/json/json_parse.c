/* Text to values. One scan over the bytes bounds nesting and the number of values before jansson allocates anything: a document of two-byte
 * arrays would otherwise cost sixty times its size. Error texts name line and column and never quote the document, which may be somebody's
 * prompt. */
#include "base/limits.h"
#include "json_private.h"

/* More values than any request or data file holds; at about 100 bytes each. */
#define VALUES_MAX 2000000

typedef struct shape {
    size_t depth, values;
    size_t line, line_start; /* of the byte where the scan stopped */
} shape;

/* Moves i to the closing quote of the string that opens at i (or to the end). */
static size_t skip_string(fh_str text, size_t i)
{
    for (i++; i < text.len && text.ptr[i] != '"'; i++) {
        if (text.ptr[i] == '\\') i++;
    }
    return i;
}

static int check_shape(fh_str text, fh_err **err)
{
    shape s = {.line = 1};
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (c == '"') {
            i = skip_string(text, i);
        } else if (c == '\n') {
            s.line++;
            s.line_start = i + 1;
        } else if (c == '[' || c == '{') {
            s.depth++;
            s.values++;
        } else if (c == ',') {
            s.values++;
        } else if ((c == ']' || c == '}') && s.depth) {
            s.depth--;
        }
        if (s.depth > FH_LIMIT_JSON_DEPTH)
            return fh_err_set(err, FH_E_INVALID, "JSON nests deeper than %d levels at line %zu, column %zu", FH_LIMIT_JSON_DEPTH, s.line,
                              i - s.line_start + 1);
        if (s.values > VALUES_MAX) return fh_err_set(err, FH_E_TOO_LARGE, "JSON holds more than %d values", VALUES_MAX);
    }
    return 0;
}

static const char *fault_text(const json_error_t *e)
{
    switch (json_error_code(e)) {
    case json_error_premature_end_of_input: return "ends too early";
    case json_error_end_of_input_expected: return "has something behind its end";
    case json_error_invalid_utf8: return "has broken UTF-8";
    case json_error_null_character:
    case json_error_null_byte_in_key: return "has a NUL where none may be";
    case json_error_duplicate_key: return "has the same key twice in one object";
    case json_error_numeric_overflow: return "has a number that is too large";
    case json_error_unknown:
    case json_error_out_of_memory:
    case json_error_stack_overflow:
    case json_error_cannot_open_file:
    case json_error_invalid_argument:
    case json_error_invalid_syntax:
    case json_error_invalid_format:
    case json_error_wrong_type:
    case json_error_null_value:
    case json_error_item_not_found:
    case json_error_index_out_of_range: break;
    }
    return "is not well-formed";
}

int fh_json_parse(fh_json **ret, fh_str text, size_t max_bytes, fh_err **err)
{
    if (text.len > max_bytes) return fh_err_set(err, FH_E_TOO_LARGE, "JSON of %zu bytes; at most %zu are taken", text.len, max_bytes);
    if (!text.len) return fh_err_set(err, FH_E_INVALID, "JSON is empty");
    if (memchr(text.ptr, 0, text.len)) return fh_err_set(err, FH_E_INVALID, "JSON has a NUL byte"); /* jansson would stop there */
    int rc = check_shape(text, err);
    if (rc) return rc;
    json_error_t fault;
    json_parse_begin();
    fh_json *v = json_loadb(text.ptr, text.len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_ALLOW_NUL, &fault);
    bool no_memory = json_parse_end();
    if (v) {
        *ret = v;
        return 0;
    }
    if (no_memory) return fh_err_nomem(err);
    return fh_err_set(err, FH_E_INVALID, "JSON %s at line %d, column %d", fault_text(&fault), FH_MAX(fault.line, 1),
                      FH_MAX(fault.column, 1));
}
