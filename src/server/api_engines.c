/* The engines that there are, and which of them can be started here. */
#include "engines.h"
#include "server_private.h"

static fh_json *words_json(const char *const *words)
{
    fh_json *list = fh_json_new_array();
    for (size_t i = 0; words[i]; i++) fh_json_append(list, fh_json_new_cstr(words[i]));
    return list;
}

static fh_json *text_or_null(const char *s)
{
    return s && s[0] ? fh_json_new_cstr(s) : fh_json_new_null();
}

static fh_json *engine_json(const fh_server *s, const fh_catalog_engine *e)
{
    FH_AUTO(fh_err) fh_err *why = NULL;
    fh_fleet_config here = {.program = s->program, .engines = s->config->engines};
    bool there = fh_fleet_engine_here(&here, e, &why) == 0;
    fh_json *o = fh_json_new_object();
    fh_json_set(o, "id", fh_json_new_cstr(e->id));
    fh_json_set(o, "name", fh_json_new_cstr(e->name));
    fh_json_set(o, "licence", fh_json_new_cstr(e->licence));
    fh_json_set(o, "formats", words_json(e->formats));
    fh_json_set(o, "kv_types", words_json(e->kv_types));
    fh_json_set(o, "architectures", words_json(e->architectures));
    fh_json_set(o, "least_version", text_or_null(e->version_least));
    fh_json_set(o, "below_version", text_or_null(e->version_below));
    fh_json_set(o, "tested_version", text_or_null(e->version_tested));
    fh_json_set(o, "installed", fh_json_new_bool(there));
    fh_json_set(o, "why", there ? fh_json_new_null() : fh_json_new_cstr(fh_err_message(why)));
    fh_json_set(o, "hint", there ? fh_json_new_null() : text_or_null(fh_err_hint_get(why)));
    return o;
}

void api_engines_list(api_call *c)
{
    fh_json *items = fh_json_new_array();
    for (size_t i = 0; i < fh_catalog_engine_count(); i++) fh_json_append(items, engine_json(c->server, fh_catalog_engine_at(i)));
    api_reply(c, 200, api_list(items, fh_json_new_null()));
}
