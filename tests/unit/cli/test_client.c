/* Where the default key may go. */
#include "client.h"
#include "cmocka_all.h"

static void the_default_key_goes_to_loopback_and_https_alone(void **state)
{
    (void)state;
    static const char *const yes[] = {"http://127.0.0.1:8470", "http://127.1.2.3", "http://localhost:1/x", "http://[::1]:8470",
                                      "https://example.org"};
    static const char *const no[] = {"http://example.org",   "http://127.0.0.1.example.org", "http://localhost.example.org",
                                     "http://10.0.0.1:8470", "http://127.0.0.1@example.org", "http://127.0.0.1:1@example.org",
                                     "http://[::1",          "http://[::1]@example.org",     "http://"};
    for (size_t i = 0; i < FH_COUNT(yes); i++) assert_true(fh_client_is_private(yes[i]));
    for (size_t i = 0; i < FH_COUNT(no); i++) assert_false(fh_client_is_private(no[i]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_default_key_goes_to_loopback_and_https_alone)};
    return cmocka_run_group_tests_name("cli/client", tests, NULL, NULL);
}
