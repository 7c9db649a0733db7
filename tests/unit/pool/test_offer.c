/* What owners of machines ask and say, written and read. */
#include "cmocka_all.h"

#include "pool/offer.h"
#include <string.h>

static int read(const char *text, fh_node_offer *ret, fh_err **err)
{
    FH_AUTO(json) fh_json *doc = NULL;
    assert_int_equal(fh_json_parse(&doc, fh_str_of(text), 4096, NULL), 0);
    return fh_node_offer_read(doc, ret, err);
}

static void what_is_said_is_read_as_it_was(void **state)
{
    fh_node_offer o = {.mtok = {200000, "EUR"}, .min_s = 3600, .region = "eu-west-1", .watts = 180, .pue_milli = 1300, .wue_ml_kwh = 250},
                  again;
    FH_AUTO(json) fh_json *facts = fh_json_new_object();
    assert_true(fh_json_set(facts, "offer", fh_node_offer_write(&o)));
    assert_int_equal(fh_node_offer_read(facts, &again, NULL), 0);
    assert_int_equal(again.mtok.micro, 200000);
    assert_string_equal(again.mtok.currency, "EUR");
    assert_string_equal(again.region, "eu-west-1");
    assert_true(again.min_s == 3600 && again.watts == 180 && again.pue_milli == 1300 && again.wue_ml_kwh == 250);
}

static void who_says_nothing_offers_nothing(void **state)
{
    fh_node_offer o = {.watts = 7}, none = {.watts = 0};
    FH_AUTO(json) fh_json *doc = fh_node_offer_write(&none);
    assert_int_equal(fh_json_count(doc), 0);
    assert_int_equal(read("{}", &o, NULL), 0);
    assert_true(o.watts == 0 && o.mtok.micro == 0 && !o.region[0]);
    assert_int_equal(read("{\"offer\":{\"new_member\":[1]}}", &o, NULL), 0);
}

static void what_is_no_offer_is_refused_with_its_field(void **state)
{
    static const char *const bad[][2] = {{"{\"offer\":7}", "must be an object"},
                                         {"{\"offer\":{\"watts\":-1}}", "watts"},
                                         {"{\"offer\":{\"watts\":1e9}}", "watts"},
                                         {"{\"offer\":{\"pue_milli\":900}}", "pue_milli"},
                                         {"{\"offer\":{\"wue_ml_kwh\":100001}}", "wue_ml_kwh"},
                                         {"{\"offer\":{\"min_time_s\":\"1h\"}}", "min_time_s"},
                                         {"{\"offer\":{\"ask_micro_per_million\":5}}", "ask_currency"},
                                         {"{\"offer\":{\"ask_micro_per_million\":5,\"ask_currency\":\"usd\"}}", "ask_currency"},
                                         {"{\"offer\":{\"region\":\"Here!\"}}", "region"}};
    for (size_t i = 0; i < FH_COUNT(bad); i++) {
        fh_node_offer o = {.watts = 7};
        fh_err *err = NULL;
        if (read(bad[i][0], &o, &err) != FH_E_INVALID || !strstr(fh_err_message(err), bad[i][1]))
            fail_msg("%s: %s", bad[i][0], err ? fh_err_message(err) : "taken");
        assert_int_equal(o.watts, 7);
        fh_err_free(err);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(what_is_said_is_read_as_it_was), cmocka_unit_test(who_says_nothing_offers_nothing),
                                       cmocka_unit_test(what_is_no_offer_is_refused_with_its_field)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
