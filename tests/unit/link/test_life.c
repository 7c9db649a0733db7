/* How a link comes up, whom it lets in, how its loss is noticed, and how it comes again. */
#include "link_fixture.h"

static void test_both_ends_come_up_and_know_each_other(void **state)
{
    world w = {0};
    fh_link_digest server, node;
    begin_linked(&w, false);
    assert_int_equal(fh_link_digest_of_file(&server, w.certs.server.cert, NULL), 0);
    assert_int_equal(fh_link_digest_of_file(&node, w.certs.node, NULL), 0);
    assert_true(w.peer.certified);
    assert_string_equal(w.peer.name, "node-7");
    assert_memory_equal(&w.peer.cert, &node, sizeof node);
    assert_memory_equal(&fh_link_peer_get(atomic_load(&w.far_link))->cert, &server, sizeof server);
    assert_true(w.peer.expires_s > fh_clock_utc_ns() / FH_NS_PER_S);
    assert_int_equal(strncmp(w.peer.address, "127.0.0.1:", 10), 0);
    finish(&w);
}

static void test_a_node_without_a_certificate_comes_in_uncertified(void **state)
{
    world w = {0};
    begin(&w);
    on_loop(&w, dial_it, &(dialled){0});
    reach(&w.ups, 1);
    assert_false(w.peer.certified);
    assert_string_equal(w.peer.name, "");
    finish(&w);
}

static void test_an_uncertified_link_does_not_last(void **state)
{
    world w = {.times = {.uncertified_ns = 50 * FH_NS_PER_MS, .ping_ns = 20 * FH_NS_PER_MS}};
    begin(&w);
    on_loop(&w, dial_it, &(dialled){0});
    reach(&w.far_gones, 1);
    assert_int_equal(atomic_load(&w.far_gone_code), FH_E_FORBIDDEN);
    finish(&w);
}

/* The node is told that it is forbidden, and goes on trying. */
static void refused(const char *cert, bool other_pin)
{
    world w = {0};
    begin(&w);
    on_loop(&w, dial_it, &(dialled){.cert = cert ? cert : w.certs.node, .other_pin = other_pin});
    reach(&w.failures, 2);
    if (atomic_load(&w.failed_code) != FH_E_FORBIDDEN) fail_msg("%s", w.why);
    assert_int_equal(atomic_load(&w.ups), 0);
    assert_int_equal(atomic_load(&w.far_ups), 0);
    finish(&w);
}

static void refused_with(size_t offset)
{
    world w = {0};
    begin(&w);
    on_loop(&w, dial_it, &(dialled){.cert = (const char *)&w.certs + offset});
    reach(&w.failures, 2);
    if (atomic_load(&w.failed_code) != FH_E_FORBIDDEN) fail_msg("%s", w.why);
    assert_int_equal(atomic_load(&w.admits), 0);
    assert_int_equal(atomic_load(&w.far_ups), 0);
    finish(&w);
}

static void test_an_expired_certificate_is_refused(void **state)
{
    refused_with(offsetof(link_certs, old));
}

static void test_a_certificate_of_another_ca_is_refused(void **state)
{
    refused_with(offsetof(link_certs, foreign));
}

static void test_a_server_that_is_not_the_pinned_one_is_refused(void **state)
{
    refused(NULL, true);
}

static void test_the_caller_can_refuse_a_node_and_it_hears_why(void **state)
{
    world w = {0};
    begin(&w);
    atomic_store(&w.refuse, true);
    on_loop(&w, dial_it, &(dialled){.cert = w.certs.node});
    reach(&w.failures, 1);
    assert_int_equal(atomic_load(&w.failed_code), FH_E_FORBIDDEN);
    if (!strstr(w.why, "node node-7 is revoked")) fail_msg("%s", w.why);
    assert_int_equal(atomic_load(&w.ups), 0);
    assert_int_equal(atomic_load(&w.far_ups), 0);
    atomic_store(&w.refuse, false); /* and is let in when the caller changes its mind */
    reach(&w.ups, 1);
    finish(&w);
}

static void close_link(world *w, void *arg)
{
    fh_link_close(atomic_load(&w->link), FH_E_BUSY, "come again");
    fh_link_close(atomic_load(&w->link), FH_E_FORBIDDEN, "never");
}

static void test_a_link_that_is_closed_says_why_and_comes_again(void **state)
{
    world w = {0};
    begin_linked(&w, false);
    on_loop(&w, close_link, NULL);
    reach(&w.far_gones, 1);
    assert_int_equal(atomic_load(&w.gone_code), FH_E_BUSY);
    assert_int_equal(atomic_load(&w.far_gone_code), FH_E_BUSY);
    if (!strstr(w.why, "come again")) fail_msg("%s", w.why);
    reach(&w.ups, 2);
    reach(&w.far_ups, 2);
    finish(&w);
}

static void test_a_broken_connection_is_noticed_at_once_on_both_ends_and_dialled_again(void **state)
{
    world w = {0};
    begin_linked(&w, true);
    int64_t begun = fh_clock_mono_ns();
    atomic_store(&w.wire.cut, true);
    reach(&w.gones, 1);
    reach(&w.far_gones, 1);
    assert_true(fh_clock_mono_ns() - begun < 3 * FH_NS_PER_S);
    assert_int_equal(atomic_load(&w.gone_code), FH_E_UNAVAILABLE);
    assert_int_equal(atomic_load(&w.far_gone_code), FH_E_UNAVAILABLE);
    reach(&w.ups, 2);
    finish(&w);
}

static void test_a_silent_connection_is_noticed_on_both_ends(void **state)
{
    world w = {.times = {.ping_ns = 50 * FH_NS_PER_MS, .silence_ns = 400 * FH_NS_PER_MS}};
    begin_linked(&w, true);
    fh_sleep_ns(FH_NS_PER_S); /* idle is not silent: it is asked whether it is there */
    assert_int_equal(atomic_load(&w.gones), 0);
    atomic_store(&w.wire.frozen, true);
    reach(&w.gones, 1);
    reach(&w.far_gones, 1);
    assert_int_equal(atomic_load(&w.gone_code), FH_E_UNAVAILABLE);
    atomic_store(&w.wire.frozen, false);
    reach(&w.ups, 2);
    finish(&w);
}

static void test_the_defaults_notice_silence_within_ten_seconds(void **state)
{
    assert_true(FH_LIMIT_LINK_SILENCE_MS + FH_LIMIT_LINK_PING_MS / 2 < 10000);
    assert_true(FH_LIMIT_LINK_PING_MS * 3 <= FH_LIMIT_LINK_SILENCE_MS);
}

static void test_a_server_that_comes_back_on_its_address_gets_its_nodes_back(void **state)
{
    world w = {0};
    char address[64];
    begin_linked(&w, false);
    snprintf(address, sizeof address, "127.0.0.1:%d", w.port);
    on_loop(&w, free_listener, NULL);
    reach(&w.far_gones, 1);
    reach(&w.failures, 1);
    assert_int_equal(atomic_load(&w.failed_code), FH_E_UNAVAILABLE);
    on_loop(&w, listen_on, address);
    reach(&w.ups, 2);
    finish(&w);
}

static void test_a_server_at_every_address_takes_nodes_over_ipv4_too(void **state)
{
    world w = {0};
    char address[] = "[::]:0";
    begin(&w);
    on_loop(&w, free_listener, NULL);
    on_loop(&w, listen_on, address);
    on_loop(&w, dial_it, &(dialled){.cert = w.certs.node});
    reach(&w.ups, 1);
    assert_int_equal(strncmp(w.peer.address, "127.0.0.1:", 10), 0);
    finish(&w);
}

static void test_a_node_that_leaves_is_gone_for_the_server(void **state)
{
    world w = {0};
    begin_linked(&w, false);
    on_loop(&w, free_dial, NULL);
    reach(&w.gones, 1);
    assert_int_equal(atomic_load(&w.gone_code), FH_E_UNAVAILABLE);
    finish(&w);
}

static void test_who_connects_and_says_nothing_is_closed_in_time(void **state)
{
    world w = {.times = {.handshake_ns = 100 * FH_NS_PER_MS}};
    char byte;
    begin(&w);
    int fd = connect_to(w.port);
    struct timeval patience = {.tv_sec = 20};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    assert_true(recv(fd, &byte, 1, 0) <= 0 && errno != EAGAIN);
    close(fd);
    fd = connect_to(w.port);
    send(fd, "GET / HTTP/1.1\r\n\r\n", 18, MSG_NOSIGNAL);
    while (recv(fd, &byte, 1, 0) > 0) {
    }
    close(fd);
    assert_int_equal(atomic_load(&w.ups), 0);
    finish(&w);
}

static void test_many_who_only_connect_keep_a_node_out_for_no_longer_than_their_time(void **state)
{
    world w = {0};
    int fds[FH_LIMIT_LINK_HANDSHAKES + 20];
    begin(&w);
    for (size_t i = 0; i < FH_COUNT(fds); i++) fds[i] = connect_to(w.port);
    on_loop(&w, dial_it, &(dialled){.cert = w.certs.node});
    reach(&w.ups, 1);
    for (size_t i = 0; i < FH_COUNT(fds); i++) close(fds[i]);
    finish(&w);
}

static void change_files(world *w, void *arg)
{
    fh_err *err = NULL;
    assert_int_equal(fh_link_listener_files(w->listener, w->certs.ca, w->certs.server.key, w->certs.ca, &err), FH_E_INVALID);
    fh_err_free(err);
    assert_int_equal(fh_link_listener_files(w->listener, w->certs.other.cert, w->certs.other.key, w->certs.ca, NULL), 0);
}

static void pin_other_too(world *w, void *arg)
{
    fh_link_digest pins[2];
    fh_err *err = NULL;
    fh_link_digest_of_file(&pins[0], w->certs.server.cert, NULL);
    fh_link_digest_of_file(&pins[1], w->certs.other.cert, NULL);
    assert_int_equal(fh_link_dial_pins(w->dial, pins, 0, &err), FH_E_INVALID);
    fh_err_free(err);
    assert_int_equal(fh_link_dial_pins(w->dial, pins, 2, NULL), 0);
    assert_int_equal(fh_link_dial_files(w->dial, w->certs.node, w->certs.node_key, NULL), 0);
    assert_ptr_equal(fh_link_dial_link(w->dial), atomic_load(&w->far_link));
}

static void test_a_new_server_certificate_holds_for_new_links_of_those_who_pin_it(void **state)
{
    world w = {0};
    begin_linked(&w, false);
    on_loop(&w, change_files, NULL);
    assert_int_equal(atomic_load(&w.gones), 0);
    on_loop(&w, close_link, NULL);
    reach(&w.failures, 1);
    assert_int_equal(atomic_load(&w.failed_code), FH_E_FORBIDDEN);
    on_loop(&w, pin_other_too, NULL);
    reach(&w.ups, 2);
    finish(&w);
}

static void test_what_cannot_be_configured_says_what_is_wrong(void **state)
{
    fh_loop *loop = NULL;
    fh_link_dial *d = NULL;
    fh_link_digest pin = {{1}};
    char text[FH_LINK_DIGEST_TEXT];
    assert_int_equal(fh_loop_new(&loop, NULL), 0);
    const fh_link_dial_config bad[] = {
        {.host = "node.example", .port = 1, .pins = &pin, .pin_count = 1},
        {.host = "127.0.0.1", .port = 0, .pins = &pin, .pin_count = 1},
        {.host = "127.0.0.1", .port = 65536, .pins = &pin, .pin_count = 1},
        {.host = "127.0.0.1", .port = 1},
        {.host = "127.0.0.1", .port = 1, .pins = &pin, .pin_count = FH_LIMIT_LINK_PINS + 1},
        {.host = "127.0.0.1", .port = 1, .pins = &pin, .pin_count = 1, .cert_file = "/nonexistent", .key_file = "/nonexistent"},
    };
    for (size_t i = 0; i < FH_COUNT(bad); i++) {
        fh_err *err = NULL;
        assert_int_equal(fh_link_dial_new(&d, loop, &bad[i], &err), FH_E_INVALID);
        assert_non_null(err);
        fh_err_free(err);
    }
    fh_link_digest_write(&pin, text);
    assert_int_equal(strlen(text), 64);
    fh_link_digest back = {{0}};
    assert_true(fh_link_digest_parse(fh_str_of(text), &back));
    assert_memory_equal(&back, &pin, sizeof pin);
    assert_false(fh_link_digest_parse(FH_STR("01"), &back));
    fh_err *err = NULL;
    assert_int_equal(fh_link_digest_of_file(&back, "/nonexistent", &err), FH_E_INVALID);
    fh_err_free(err);
    fh_loop_free(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_both_ends_come_up_and_know_each_other),
        cmocka_unit_test(test_a_node_without_a_certificate_comes_in_uncertified),
        cmocka_unit_test(test_an_uncertified_link_does_not_last),
        cmocka_unit_test(test_an_expired_certificate_is_refused),
        cmocka_unit_test(test_a_certificate_of_another_ca_is_refused),
        cmocka_unit_test(test_a_server_that_is_not_the_pinned_one_is_refused),
        cmocka_unit_test(test_the_caller_can_refuse_a_node_and_it_hears_why),
        cmocka_unit_test(test_a_link_that_is_closed_says_why_and_comes_again),
        cmocka_unit_test(test_a_broken_connection_is_noticed_at_once_on_both_ends_and_dialled_again),
        cmocka_unit_test(test_a_silent_connection_is_noticed_on_both_ends),
        cmocka_unit_test(test_the_defaults_notice_silence_within_ten_seconds),
        cmocka_unit_test(test_a_server_that_comes_back_on_its_address_gets_its_nodes_back),
        cmocka_unit_test(test_a_server_at_every_address_takes_nodes_over_ipv4_too),
        cmocka_unit_test(test_a_node_that_leaves_is_gone_for_the_server),
        cmocka_unit_test(test_who_connects_and_says_nothing_is_closed_in_time),
        cmocka_unit_test(test_many_who_only_connect_keep_a_node_out_for_no_longer_than_their_time),
        cmocka_unit_test(test_a_new_server_certificate_holds_for_new_links_of_those_who_pin_it),
        cmocka_unit_test(test_what_cannot_be_configured_says_what_is_wrong),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
