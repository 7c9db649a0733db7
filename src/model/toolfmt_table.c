/* The conventions for tool calls and thoughts that templates of open models use: one row a family, the more special before the more
 * general. Sources: the makers' templates, as their models' files carry them; tests/templates/toolfmt.py holds every row against them. */
#include "toolfmt.h"

#define THINK .think_open = "<think>", .think_close = "</think>"
#define DSML(word)                                                                                                                         \
    .think_open = "<think>", .think_close = "</think>", .section_open = "<｜DSML｜" word ">", .section_close = "</｜DSML｜" word ">",      \
    .call_open = "<｜DSML｜invoke name=\"", .call_close = "</｜DSML｜invoke>", .quote = "\"", .name_end = ">",                             \
    .arg_open = "<｜DSML｜parameter name=\"", .arg_key_end = ">", .arg_close = "</｜DSML｜parameter>"
#define COHERE                                                                                                                             \
    .think_open = "<|START_THINKING|>", .think_close = "<|END_THINKING|>", .call_open = "<|START_ACTION|>", .call_close = "<|END_ACTION|>"
#define FUNCTION_TAGS                                                                                                                      \
    .call_open = "<function=", .call_close = "</function>", .name_end = ">", .arg_open = "<parameter=", .arg_key_end = ">",                \
    .arg_close = "</parameter>"
#define KEY_VALUE_TAGS .arg_open = "<arg_key>", .arg_key_end = "</arg_key>", .arg_value_open = "<arg_value>", .arg_close = "</arg_value>"

static const tf_family families[] = {
    {.name = "harmony", /* gpt-oss */
     .signs = {"<|channel|>", "<|message|>", "<|call|>"},
     .style = TF_NAMED,
     .flags = TF_HARMONY,
     .header_open = "<|start|>",
     .header_close = "<|message|>",
     .id_mark = "<|channel|>",
     .id_end = "<|constrain|>",
     .drops = {"<|end|>", "<|call|>", "<|return|>"}},
    {.name = "atem", /* Muse */
     .signs = {"<atem:function_calls>", "<|eom|>"},
     .style = TF_TAGS,
     .flags = TF_RECIPIENT | TF_ENDS_THOUGHT,
     .section_open = "<atem:function_calls>",
     .section_close = "</atem:function_calls>",
     .call_open = "<atem:invoke name=\"",
     .call_close = "</atem:invoke>",
     .quote = "\"",
     .name_end = ">",
     .arg_open = "<atem:parameter name=\"",
     .arg_key_end = ">",
     .arg_close = "</atem:parameter>",
     .header_open = "<|start|>",
     .header_close = "<|message|>",
     .drops = {"<|eom|>", "<|eot|>"}},
    {.name = "kimi-k3",
     .signs = {"<|open|>", "<|close|>", "<|end_of_msg|>"},
     .style = TF_TAGS,
     .flags = TF_ENTITIES | TF_ENDS_THOUGHT | TF_THINK_ANYWHERE,
     .think_open = "<|open|>think<|sep|>",
     .think_close = "<|close|>think<|sep|>",
     .section_open = "<|open|>tools<|sep|>",
     .section_close = "<|close|>tools<|sep|>",
     .call_open = "<|open|>call tool=\"",
     .call_close = "<|close|>call<|sep|>",
     .quote = "\"",
     .name_end = "<|sep|>",
     .arg_open = "<|open|>argument key=\"",
     .arg_key_end = "<|sep|>",
     .arg_close = "<|close|>argument<|sep|>",
     .answer_open = "<|open|>response<|sep|>",
     .drops = {"<|close|>response<|sep|>", "<|close|>message<|sep|>", "<|end_of_msg|>"}},
    {.name = "kimi-k2",
     .signs = {"<|tool_calls_section_begin|>", "<|tool_call_begin|>"},
     .style = TF_NAMED,
     .flags = TF_KIMI_ID | TF_ENDS_THOUGHT,
     THINK,
     .section_open = "<|tool_calls_section_begin|>",
     .section_close = "<|tool_calls_section_end|>",
     .call_open = "<|tool_call_begin|>",
     .call_close = "<|tool_call_end|>",
     .name_end = "<|tool_call_argument_begin|>"},
    {.name = "deepseek-dsml-calls", /* V4 */
     .signs = {"｜DSML｜", "DSML｜tool_calls"},
     .style = TF_TAGS,
     .flags = TF_ENDS_THOUGHT,
     DSML("tool_calls")},
    {.name = "deepseek-dsml", /* V3.2 */
     .signs = {"｜DSML｜", "DSML｜function_calls"},
     .style = TF_TAGS,
     .flags = TF_ENDS_THOUGHT,
     DSML("function_calls")},
    {.name = "deepseek-fenced", /* V3, R1 */
     .signs = {"<｜tool▁calls▁begin｜>", "```json"},
     .style = TF_NAMED,
     .flags = TF_ENDS_THOUGHT,
     THINK,
     .section_open = "<｜tool▁calls▁begin｜>",
     .section_close = "<｜tool▁calls▁end｜>",
     .call_open = "<｜tool▁call▁begin｜>function<｜tool▁sep｜>",
     .call_close = "```<｜tool▁call▁end｜>",
     .name_end = "\n```json\n"},
    {.name = "deepseek", /* V3.1 */
     .signs = {"<｜tool▁calls▁begin｜>", "<｜tool▁sep｜>"},
     .style = TF_NAMED,
     .flags = TF_ENDS_THOUGHT,
     THINK,
     .section_open = "<｜tool▁calls▁begin｜>",
     .section_close = "<｜tool▁calls▁end｜>",
     .call_open = "<｜tool▁call▁begin｜>",
     .call_close = "<｜tool▁call▁end｜>",
     .name_end = "<｜tool▁sep｜>"},
    {.name = "hunyuan", /* Hy3, Hy4 */
     .signs = {"<tool_calls%>", "<tool_sep%>", "<arg_key%>"},
     .style = TF_TAGS,
     .flags = TF_ENDS_THOUGHT,
     .think_open = "<think%>",
     .think_close = "</think%>",
     .section_open = "<tool_calls%>",
     .section_close = "</tool_calls%>",
     .call_open = "<tool_call%>",
     .call_close = "</tool_call%>",
     .name_end = "<tool_sep%>",
     .arg_open = "<arg_key%>",
     .arg_key_end = "</arg_key%>",
     .arg_value_open = "<arg_value%>",
     .arg_close = "</arg_value%>"},
    {.name = "minimax-nested", /* M3 */
     .signs = {"]<]minimax[>[", "<mm:think>"},
     .style = TF_NESTED,
     .flags = TF_ENDS_THOUGHT,
     .think_open = "<mm:think>",
     .think_close = "</mm:think>",
     .call_open = "]<]minimax[>[<tool_call>",
     .call_close = "]<]minimax[>[</tool_call>",
     .quote = "]<]minimax[>["},
    {.name = "minimax", /* M2 */
     .signs = {"<minimax:tool_call>", "<invoke name="},
     .style = TF_TAGS,
     THINK,
     .section_open = "<minimax:tool_call>",
     .section_close = "</minimax:tool_call>",
     .call_open = "<invoke name=\"",
     .call_close = "</invoke>",
     .quote = "\"",
     .name_end = ">",
     .arg_open = "<parameter name=\"",
     .arg_key_end = ">",
     .arg_close = "</parameter>"},
    {.name = "gemma", /* Gemma 4 */
     .signs = {"<|tool_call>call:", "<tool_call|>"},
     .style = TF_BRACES,
     .flags = TF_ENDS_THOUGHT | TF_THINK_ANYWHERE,
     .think_open = "<|channel>thought\n",
     .think_close = "<channel|>",
     .call_open = "<|tool_call>call:",
     .call_close = "<tool_call|>",
     .quote = "<|\"|>",
     .drops = {"<|tool_response>"}},
    {.name = "seed",
     .signs = {"<seed:tool_call>", "<function="},
     .style = TF_TAGS,
     .think_open = "<seed:think>",
     .think_close = "</seed:think>",
     .section_open = "<seed:tool_call>",
     .section_close = "</seed:tool_call>",
     FUNCTION_TAGS},
    {.name = "solar",
     .signs = {"<|tool_call:begin|>", "<|tool_call:args|>", "<|think|>"},
     .style = TF_NAMED,
     .flags = TF_ROLE_HEADERS | TF_ENDS_THOUGHT | TF_THINK_ANYWHERE,
     .think_open = "<|think|>",
     .think_close = "<|end|>",
     .section_open = "<|tool_calls|>",
     .section_close = "<|calls|>",
     .call_open = "<|tool_call:begin|>",
     .call_close = "<|tool_call:end|>",
     .id_end = "<|tool_call:name|>",
     .name_end = "<|tool_call:args|>",
     .answer_open = "<|content|>",
     .header_open = "<|begin|>"},
    {.name = "cohere-text", /* Command A Reasoning and later */
     .signs = {"<|START_ACTION|>", "<|START_TEXT|>"},
     .style = TF_JSON,
     .name_key = "tool_name",
     .args_key = "parameters",
     .flags = TF_LIST | TF_ENDS_THOUGHT | TF_THINK_ANYWHERE,
     COHERE,
     .answer_open = "<|START_TEXT|>",
     .drops = {"<|END_TEXT|>", "<|START_RESPONSE|>", "<|END_RESPONSE|>", "<|END_OF_TURN_TOKEN|>"}},
    {.name = "cohere", /* Command R7B */
     .signs = {"<|START_ACTION|>"},
     .style = TF_JSON,
     .name_key = "tool_name",
     .args_key = "parameters",
     .flags = TF_LIST | TF_ENDS_THOUGHT | TF_THINK_ANYWHERE,
     COHERE,
     .answer_open = "<|START_RESPONSE|>",
     .drops = {"<|END_RESPONSE|>", "<|END_OF_TURN_TOKEN|>"}},
    {.name = "cohere-action", /* Command R and R+ */
     .signs = {"Action:", "```json", "directly-answer"},
     .style = TF_JSON,
     .name_key = "tool_name",
     .args_key = "parameters",
     .flags = TF_LIST,
     .call_open = "Action:\n```json\n",
     .call_close = "```"},
    {.name = "mistral", /* from Mistral Small 3.2 and Devstral on */
     .signs = {"[TOOL_CALLS]", "[ARGS]"},
     .style = TF_NAMED,
     .flags = TF_OR_JSON | TF_ENDS_THOUGHT | TF_THINK_ANYWHERE,
     .think_open = "[THINK]",
     .think_close = "[/THINK]",
     .call_open = "[TOOL_CALLS]",
     .id_mark = "[CALL_ID]",
     .name_end = "[ARGS]"},
    {.name = "mistral-list", /* Mistral Nemo, Mixtral */
     .signs = {"[TOOL_CALLS]"},
     .style = TF_JSON,
     .flags = TF_LIST | TF_ENDS_THOUGHT | TF_THINK_ANYWHERE,
     .think_open = "[THINK]",
     .think_close = "[/THINK]",
     .call_open = "[TOOL_CALLS]"},
    {.name = "gigachat-call", /* 3.1 */
     .signs = {"<|function_call|>", "<|role_sep|>", "<|message_sep|>"},
     .style = TF_JSON,
     .call_open = "<|function_call|>",
     .drops = {"<|message_sep|>"}},
    {.name = "gigachat",
     .signs = {"function call<|role_sep|>", "<|message_sep|>"},
     .style = TF_JSON,
     .call_open = "<|message_sep|>\n\nfunction call<|role_sep|>\n",
     .drops = {"<|message_sep|>"}},
    {.name = "apertus",
     .signs = {"<|tools_prefix|>", "<|tools_suffix|>"},
     .style = TF_KEYED,
     .flags = TF_ENDS_THOUGHT | TF_THINK_ANYWHERE,
     .think_open = "<|inner_prefix|>",
     .think_close = "<|inner_suffix|>",
     .call_open = "<|tools_prefix|>",
     .call_close = "<|tools_suffix|>"},
    {.name = "lfm2",
     .signs = {"<|tool_call_start|>", "<|tool_call_end|>"},
     .style = TF_PYTHON,
     .flags = TF_OR_JSON | TF_ENDS_THOUGHT,
     THINK,
     .call_open = "<|tool_call_start|>",
     .call_close = "<|tool_call_end|>"},
    {.name = "lfm2", /* templates that write no call leave the markers to the vocabulary */
     .signs = {"List of tools: ["},
     .style = TF_PYTHON,
     .flags = TF_OR_JSON | TF_ENDS_THOUGHT,
     THINK,
     .call_open = "<|tool_call_start|>",
     .call_close = "<|tool_call_end|>"},
    {.name = "lfm2", /* LFM2 8B */
     .signs = {"<|tool_list_start|>"},
     .style = TF_PYTHON,
     .flags = TF_OR_JSON | TF_ENDS_THOUGHT,
     THINK,
     .call_open = "<|tool_call_start|>",
     .call_close = "<|tool_call_end|>"},
    {.name = "llama4",
     .signs = {"<|python_start|>", "<|python_end|>"},
     .style = TF_PYTHON,
     .flags = TF_OR_JSON | TF_BARE | TF_KNOWN_ONLY,
     .call_open = "<|python_start|>",
     .call_close = "<|python_end|>"},
    {.name = "firefunction", .signs = {"functools["}, .style = TF_JSON, .flags = TF_LIST | TF_KNOWN_ONLY, .call_open = "functools"},
    {.name = "functionary-names", /* 3.2 */
     .signs = {">>>all", ">>>"},
     .style = TF_NAMED,
     .flags = TF_KNOWN_ONLY | TF_FUNCTIONARY,
     .call_open = ">>>",
     .name_end = "\n"},
    {.name = "functionary", /* 3.1; Llama 3.2's own form for user-defined tools */
     .signs = {"<function=", "</function>"},
     .unlike = {"<parameter=", "<tool_call>"},
     .style = TF_NAMED,
     .flags = TF_KNOWN_ONLY,
     .call_open = "<function=",
     .call_close = "</function>",
     .name_end = ">"},
    {.name = "function-params", /* MiniCPM 5 */
     .signs = {"<function name=\"", "<param name=\""},
     .style = TF_TAGS,
     .flags = TF_KNOWN_ONLY,
     THINK,
     .call_open = "<function name=\"",
     .call_close = "</function>",
     .quote = "\"",
     .name_end = ">",
     .arg_open = "<param name=\"",
     .arg_key_end = ">",
     .arg_close = "</param>",
     .cdata_close = "]]></param>"},
    {.name = "nemotron", /* Nano v2 */
     .signs = {"<TOOLCALL>", "</TOOLCALL>"},
     .style = TF_JSON,
     .flags = TF_LIST,
     THINK,
     .call_open = "<TOOLCALL>",
     .call_close = "</TOOLCALL>"},
    {.name = "apriel", /* 1.6 */
     .signs = {"<tool_calls>", "[BEGIN FINAL RESPONSE]", "Here are my reasoning steps:\n"},
     .style = TF_JSON,
     .flags = TF_LIST,
     .think_open = "Here are my reasoning steps:\n",
     .think_close = "[BEGIN FINAL RESPONSE]",
     .call_open = "<tool_calls>",
     .call_close = "</tool_calls>",
     .drops = {"[END FINAL RESPONSE]"}},
    {.name = "tool-calls", /* MiniMax M1, Apriel 1.5, Hunyuan A13B */
     .signs = {"<tool_calls>", "</tool_calls>"},
     .style = TF_JSON,
     .flags = TF_LIST,
     THINK,
     .call_open = "<tool_calls>",
     .call_close = "</tool_calls>"},
    {.name = "function-tags", /* Qwen3-Coder, Qwen3.5 and later, Nemotron 3, Step, MiMo V2 */
     .signs = {"<tool_call>", "<function=", "<parameter="},
     .style = TF_TAGS,
     .flags = TF_NEWLINES,
     THINK,
     .section_open = "<tool_call>",
     .section_close = "</tool_call>",
     FUNCTION_TAGS},
    {.name = "arg-tags", /* GLM 4.5 and later, Spark, Laguna, Ling */
     .signs = {"<tool_call>", "<arg_key>", "<arg_value>"},
     .style = TF_TAGS,
     THINK,
     .call_open = "<tool_call>",
     .call_close = "</tool_call>",
     KEY_VALUE_TAGS},
    {.name = "phi", /* Phi 4 mini */
     .signs = {"<|tool_call|>", "<|/tool_call|>"},
     .style = TF_JSON,
     .flags = TF_LIST | TF_ENDS_THOUGHT,
     .call_open = "<|tool_call|>",
     .call_close = "<|/tool_call|>"},
    {.name = "granite", /* 3 */
     .signs = {"<|tool_call|>"},
     .style = TF_JSON,
     .flags = TF_LIST | TF_ENDS_THOUGHT,
     THINK,
     .call_open = "<|tool_call|>",
     .answer_open = "<response>",
     .drops = {"</response>"}},
    {.name = "hermes", /* Hermes, Qwen 2.5 and 3, SmolLM3, Granite 4, MiMo VL, Bielik, Reka */
     .signs = {"<tool_call>", "</tool_call>"},
     .style = TF_JSON,
     THINK,
     .call_open = "<tool_call>",
     .call_close = "</tool_call>"},
    {.name = "llama3",
     .signs = {"\"parameters\":", "ipython"},
     .style = TF_JSON,
     .args_key = "parameters",
     .flags = TF_BARE | TF_KNOWN_ONLY | TF_OR_PYTHON,
     .call_open = "<|python_tag|>"},
    {.name = "generic", /* templates without tools: what fh_toolfmt_messages asks for, and what models write instead */
     .style = TF_JSON,
     .flags = TF_BARE | TF_KNOWN_ONLY,
     THINK,
     .call_open = "<tool_call>",
     .call_close = "</tool_call>"},
};

size_t tf_family_count(void)
{
    return FH_COUNT(families);
}

const tf_family *tf_family_at(size_t i)
{
    return &families[i];
}

/* ---- a family with its template's suffix ---- */

enum { MARKERS = 18 + TF_DROPS };

static void markers_of(tf_family *f, const char **ret[MARKERS])
{
    const char **all[MARKERS] = {&f->think_open, &f->think_close, &f->section_open, &f->section_close, &f->call_open,   &f->call_close,
                                 &f->id_end,     &f->name_end,    &f->id_mark,      &f->arg_open,      &f->arg_key_end, &f->arg_value_open,
                                 &f->arg_close,  &f->cdata_close, &f->quote,        &f->answer_open,   &f->header_open, &f->header_close};
    for (size_t i = 0; i < TF_DROPS; i++) all[MARKERS - TF_DROPS + i] = &f->drops[i];
    memcpy(ret, all, sizeof all);
}

static int fill(fh_arena *a, const char **marker, fh_str suffix)
{
    const char *hole = *marker ? strchr(*marker, '%') : NULL;
    if (!hole) return 0;
    *marker = fh_arena_printf(a, "%.*s%.*s%s", (int)(hole - *marker), *marker, (int)suffix.len, suffix.len ? suffix.ptr : "", hole + 1);
    return *marker ? 0 : FH_E_NOMEM;
}

enum { ARENA_BYTES = 1 << 16 };

int tf_instance(fh_toolfmt **ret, const tf_family *family, fh_str suffix, fh_err **err)
{
    FH_AUTO(fh_toolfmt) fh_toolfmt *f = fh_calloc(1, sizeof *f);
    if (!f) return fh_err_nomem(err);
    f->f = *family;
    f->arena = fh_arena_new(ARENA_BYTES);
    if (!f->arena) return fh_err_nomem(err);
    const char **markers[MARKERS];
    markers_of(&f->f, markers);
    for (size_t i = 0; i < MARKERS; i++)
        if (fill(f->arena, markers[i], suffix)) return fh_err_nomem(err);
    *ret = fh_take(f);
    return 0;
}

void fh_toolfmt_free(fh_toolfmt *f)
{
    if (!f) return;
    fh_arena_free(f->arena);
    fh_free(f);
}

int fh_toolfmt_named(fh_toolfmt **ret, fh_str family, fh_err **err)
{
    for (size_t i = 0; i < FH_COUNT(families); i++)
        if (fh_str_eqs(family, families[i].name)) return tf_instance(ret, &families[i], (fh_str){"", 0}, err);
    return fh_err_set(err, FH_E_NOT_FOUND, "no tool format is called '%.*s'", (int)FH_MIN(family.len, (size_t)64), family.ptr);
}

size_t fh_toolfmt_families(void)
{
    return FH_COUNT(families);
}

const char *fh_toolfmt_family_at(size_t i)
{
    return families[i].name;
}

const char *fh_toolfmt_family(const fh_toolfmt *f)
{
    return f->f.name;
}

bool fh_toolfmt_shows_tools(const fh_toolfmt *f)
{
    return f->shows_tools;
}

bool fh_toolfmt_has_markers(const fh_toolfmt *f)
{
    return f->f.think_close || f->f.answer_open || f->f.header_open || f->f.drops[0] || (f->f.flags & TF_FUNCTIONARY);
}

bool fh_toolfmt_wants(const fh_toolfmt *f, fh_str token)
{
    tf_family copy = f->f;
    const char **markers[MARKERS];
    markers_of(&copy, markers);
    for (size_t i = 0; token.len && i < MARKERS; i++) {
        fh_str marker = fh_str_of(*markers[i]);
        if (token.len <= marker.len && fh_str_find(marker, token) < marker.len) return true;
    }
    return false;
}
