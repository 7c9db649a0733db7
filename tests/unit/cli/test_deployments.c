/* Which deployments `ps` shows. */
#include "base/clock.h"
#include "client.h"
#include "cmocka_all.h"

static fh_json *row(const char *name, const char *model, const char *state, int64_t minutes_ago, int64_t restarts)
{
    char when[32];
    fh_json *o = fh_json_new_object();
    fh_clock_format_utc(fh_clock_utc_ns() - minutes_ago * 60 * FH_NS_PER_S, when, sizeof when);
    fh_json_set(o, "name", fh_json_new_cstr(name));
    fh_json_set(o, "model", fh_json_new_cstr(model));
    fh_json_set(o, "state", fh_json_new_cstr(state));
    fh_json_set(o, "changed", fh_json_new_cstr(when));
    fh_json_set(o, "restarts", fh_json_new_int(restarts));
    return o;
}

static void what_is_past_is_not_shown(void **state)
{
    (void)state;
    FH_AUTO(json) fh_json *reply = fh_json_new_object();
    fh_json *items = fh_json_new_array();
    fh_json_append(items, row("again", "m1", "ready", 1, 0));
    fh_json_append(items, row("refused", "m2", "failed", 5, 0));
    fh_json_append(items, row("stopped", "m3", "stopped", 1, 0));
    fh_json_append(items, row("refused", "m4", "failed", 6, 0));    /* its name was tried again */
    fh_json_append(items, row("other-name", "m1", "failed", 7, 3)); /* its model was */
    fh_json_append(items, row("crashed", "m5", "failed", 600, 5));  /* news until somebody does something */
    fh_json_append(items, row("long-ago", "m6", "failed", 61, 0));
    fh_json_append(items, row("lately", "m7", "failed", 59, 0));
    fh_json_set(reply, "items", items);
    FH_AUTO(json) fh_json *now = fh_cli_deployments_now(reply);
    static const char *const shown[] = {"again", "refused", "crashed", "lately"};
    const fh_json *kept = fh_json_get(now, "items");
    assert_int_equal(fh_json_count(kept), FH_COUNT(shown));
    for (size_t i = 0; i < FH_COUNT(shown); i++) assert_string_equal(fh_cli_str_of(fh_json_at(kept, i), "name"), shown[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(what_is_past_is_not_shown)};
    return cmocka_run_group_tests_name("cli/deployments", tests, NULL, NULL);
}
