/* Price lists as others publish them, with what is odd about them; and that whatever is wrong is said with its place. */
#include "cmocka_all.h"

#include "base/mem.h"
#include "plan/prices.h"
#include "torture.h"
#include <stdio.h>
#include <string.h>

enum { MOST = 64 };
typedef struct got {
    char place[MOST], name[MOST], region[MOST];
    fh_plan_listing l; /* its strings are gone */
} got;
static got all[MOST];
static size_t count;

static void copy(char *out, fh_str s)
{
    snprintf(out, MOST, "%.*s", (int)s.len, s.len ? s.ptr : "");
}

static int gather(void *arg, const fh_plan_listing *l, fh_err **err)
{
    assert_true(arg == all && err && count < MOST);
    copy(all[count].place, l->place);
    copy(all[count].name, l->name);
    copy(all[count].region, l->region);
    all[count++].l = *l;
    return 0;
}

static fh_plan_prices read_list(const char *file, const char *text)
{
    fh_plan_prices said = {0};
    fh_err *err = NULL;
    count = 0;
    if (fh_plan_prices_read(fh_str_of(text), file, gather, all, &said, &err)) fail_msg("%s", fh_err_message(err));
    assert_int_equal(said.listings, count);
    return said;
}

static void rows_of_a_csv_become_listings_whatever_the_order_of_its_columns(void **state)
{
    (void)state;
    fh_plan_prices said = read_list("a/nowhere_v8.csv", "Region,Price,SpotPrice,AcceleratorCount,Other,AcceleratorName,InstanceType\r\n"
                                                        "\"Here, there\",28.5,11.25,8.0,x,H200,\"8\"\"x\"\r\n"
                                                        "south,,4,2,,B300,two\r\n");
    assert_int_equal(said.rows, 2);
    assert_int_equal(count, 3);
    assert_string_equal(all[0].place, "nowhere");
    assert_string_equal(all[0].name, "8\"x");
    assert_string_equal(all[0].region, "Here, there");
    assert_string_equal(all[0].l.device->id, "h200");
    assert_int_equal(all[0].l.devices, 8);
    assert_int_equal(all[0].l.hour_nusd, 28500000000);
    assert_int_equal(all[0].l.row, 2);
    assert_false(all[0].l.spot);
    assert_true(all[1].l.spot && all[1].l.hour_nusd == 11250000000);
    assert_true(all[2].l.spot && all[2].l.row == 3);
    assert_string_equal(all[2].l.device->id, "b300");
}

static void the_seller_of_a_csv_is_its_file_or_its_folder(void **state)
{
    (void)state;
    static const char *const names[][2] = {{"nowhere.csv", "nowhere"},
                                           {"x/nowhere_v12.csv", "nowhere"},
                                           {"v8/nowhere/vms.csv", "nowhere"},
                                           {"a_b.csv", "a_b"},
                                           {"v1.csv", "v1"}};
    for (size_t i = 0; i < FH_COUNT(names); i++) {
        read_list(names[i][0], "InstanceType,AcceleratorName,AcceleratorCount,Price\na,H200,1,2\n");
        assert_string_equal(all[0].place, names[i][1]);
    }
}

/* Lists give it of one, of all, and of all times their count; in quotes of both kinds. */
static void a_name_of_several_devices_is_told_by_its_memory(void **state)
{
    (void)state;
    static const struct {
        const char *row, *id;
    } rows[] = {
        {"A100,8,\"{'Gpus': [{'Name': 'A100', 'MemoryInfo': {'SizeInMiB': 40960}}]}\"", "a100-40"},
        {"A100,1,\"{'Gpus': [{'Name': 'A100', 'MemoryInfo': {'SizeInMiB': 81920}}]}\"", "a100-80-pcie"},
        {"A100,2,\"{\"\"Gpus\"\":[{\"\"MemoryInfo\"\":{\"\"SizeInMiB\"\":163840}}]}\"", "a100-80-pcie"},
        {"A100-80GB-SXM,4,A100-80GB-SXM", "a100-80-sxm"},
        {"A100,4,", "a100-40"},
        {"H100,8,H100", "h100-pcie"},
        {"H100-SXM,8,", "h100-sxm"},
        {"RTXPRO6000,1,", "rtx-pro-6000"},
        {"RTX6000-Ada,1,\"{'SizeInMiB': }\"", "rtx-6000-ada"},
    };
    for (size_t i = 0; i < FH_COUNT(rows); i++) {
        char text[400];
        snprintf(text, sizeof text, "AcceleratorName,AcceleratorCount,GpuInfo,Price,InstanceType\n%s,9,i\n", rows[i].row);
        read_list("a.csv", text);
        assert_int_equal(count, 1);
        assert_string_equal(all[0].l.device->id, rows[i].id);
    }
}

static void rows_that_become_nothing_are_counted(void **state)
{
    (void)state;
    fh_plan_prices said =
        read_list("a.csv", "InstanceType,AcceleratorName,AcceleratorCount,Price,SpotPrice\n"
                           "cpu,,,0.1,\ncpu,,0,0.1,\nfree,H200,8,0,0.00\nold,M4000,1,0.2,\nolder,V100,1,0.2,\nhuge,H200,72,200,\n\n");
    assert_int_equal(said.rows, 6);
    assert_int_equal(said.no_device, 2);
    assert_int_equal(said.unpriced, 1);
    assert_int_equal(said.unknown, 3);
    assert_string_equal(said.unknown_first, "M4000");
    assert_int_equal(count, 0);
}

static void machines_in_json_are_read_as_gpuhunt_has_them(void **state)
{
    (void)state;
    fh_plan_prices said =
        read_list("x.json", "[{\"provider\":\"nowhere\",\"instance_name\":\"big\",\"location\":\"north\",\"price\":20.5,\"gpu_count\":8,"
                            "\"gpu_name\":\"H200\",\"gpu_memory\":141,\"spot\":true,\"cpu\":4},"
                            "{\"provider\":\"nowhere\",\"instance_name\":\"cpu\",\"price\":0.5,\"gpu_count\":0}]");
    assert_int_equal(said.rows, 2);
    assert_int_equal(said.no_device, 1);
    assert_int_equal(count, 1);
    assert_true(all[0].l.spot && all[0].l.devices == 8 && all[0].l.hour_nusd == 20500000000);
    assert_string_equal(all[0].place, "nowhere");
    assert_string_equal(all[0].region, "north");
}

static void a_price_of_one_device_is_that_of_several_where_machines_are_made_so(void **state)
{
    (void)state;
    read_list("x.json", "[{\"id\":\"n-h100\",\"provider_id\":\"n\",\"gpu_model\":\"NVIDIA H100\",\"vram_gb\":80,\"interconnect\":\"SXM\","
                        "\"price_usd_hour\":2.5,\"is_spot\":false}]");
    assert_int_equal(count, 4);
    assert_string_equal(all[0].name, "n-h100");
    assert_string_equal(all[3].name, "8 x the price of one: n-h100");
    assert_string_equal(all[3].l.device->id, "h100-sxm");
    assert_int_equal(all[3].l.devices, 8);
    assert_int_equal(all[3].l.hour_nusd, 20000000000);
}

#define HEAD "InstanceType,AcceleratorName,AcceleratorCount,Price\n"
static void what_is_wrong_is_said_with_its_place(void **state)
{
    (void)state;
    static const struct {
        const char *text, *says;
    } rows[] = {
        {"", "no column InstanceType"},
        {"Region,Zone\n,\n", "line 1: there is no column InstanceType"},
        {"InstanceType,AcceleratorName,AcceleratorCount,Price,Price\n", "line 1, column 5: Price stands there twice"},
        {HEAD "a,H200,8,dear\n", "line 2, column 4 (Price): \"dear\" is no number"},
        {HEAD "\na,H200,8,-1\n", "line 3, column 4 (Price): \"-1\" is out of range"},
        {HEAD "a,H200,8,1e300\n", "out of range"},
        {HEAD "a,H200,8.5,1\n", "line 2, column 3 (AcceleratorCount): \"8.5\" is no count"},
        {HEAD "a,H200,nan,1\n", "is no number"},
        {HEAD "a,H200,8\n", "line 2, column 4: 3 fields, and the header has 4"},
        {HEAD "a,H200,8,1,2\n", "line 2, column 5: 5 fields, and the header has 4"},
        {HEAD "\"a,H200,8,1\n", "the quote is not closed"},
        {HEAD "\"a\"b,H200,8,1\n", "line 2, column 4: text behind the closing quote"},
        {HEAD "a\"b,H200,8,1\n", "line 2, column 2: a quote inside a field"},
        {HEAD "a,H200,8,1\nb,H\x01,8,1\n", "line 3, column 4: a control character"},
        {"[", "line 1"},
        {"{}", "a price list in JSON is a list"},
        {"[7]", "entry 0"},
        {"[{\"provider\":\"a\",\"instance_name\":\"b\",\"price\":1},{\"provider\":7}]", "entry 1: 'provider'"},
        {"[{\"provider_id\":\"a\",\"gpu_model\":\"H200\",\"price_usd_hour\":-1}]", "entry 0: 'price_usd_hour'"},
    };
    for (size_t i = 0; i < FH_COUNT(rows); i++) {
        fh_plan_prices said;
        fh_err *err = NULL;
        count = 0;
        assert_int_equal(fh_plan_prices_read(fh_str_of(rows[i].text), "of/bad.csv", gather, all, &said, &err), FH_E_INVALID);
        if (!strstr(fh_err_message(err), rows[i].says) || !strstr(fh_err_message(err), "bad.csv"))
            fail_msg("%s: %s", rows[i].text, fh_err_message(err));
        fh_err_free(err);
    }
}

static void a_row_takes_no_more_memory_than_it_may(void **state)
{
    (void)state;
    FH_AUTO(buf) fh_buf text = FH_BUF(1 << 20);
    fh_plan_prices said;
    fh_err *err = NULL;
    fh_buf_adds(&text, HEAD);
    for (int i = 0; i < 70000; i++) fh_buf_addc(&text, 'a');
    assert_int_equal(fh_plan_prices_read((fh_str){text.data, text.len}, "a.csv", gather, all, &said, &err), FH_E_INVALID);
    assert_non_null(strstr(fh_err_message(err), "longer than 65,536 bytes"));
    fh_buf_clear(&text);
    for (int i = 0; i < 65; i++) fh_buf_adds(&text, "a,");
    assert_int_equal(fh_plan_prices_read((fh_str){text.data, text.len}, "a.csv", gather, all, &said, &err), FH_E_INVALID);
    assert_non_null(strstr(fh_err_message(err), "more than 64 fields"));
    fh_err_free(err);
}

static int add(void *arg, const fh_plan_listing *l, fh_err **err)
{
    return fh_plan_book_add(arg, l, err);
}

static int read_once(void *arg)
{
    (void)arg;
    FH_AUTO(fh_plan_book) fh_plan_book *b = NULL;
    fh_plan_prices said;
    fh_err *err = NULL;
    int rc = fh_plan_book_new(&b, &err);
    if (!rc) rc = fh_plan_prices_read(FH_STR(HEAD "a,H200,8,20\nb,B300,8,50\n"), "a.csv", add, b, &said, &err);
    if (!rc)
        rc = fh_plan_prices_read(
            FH_STR("[{\"provider\":\"a\",\"instance_name\":\"b\",\"location\":\"c\",\"price\":1,\"gpu_count\":1,\"gpu_name\":\"H200\"}]"),
            "a.json", add, b, &said, &err);
    assert_true((rc == 0) == (err == NULL));
    fh_err_free(err);
    return rc;
}

static void reading_survives_every_failed_allocation(void **state)
{
    (void)state;
    assert_true(fh_torture(FH_FAULT_ALLOC, read_once, NULL, 1000) > 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_of_a_csv_become_listings_whatever_the_order_of_its_columns),
        cmocka_unit_test(the_seller_of_a_csv_is_its_file_or_its_folder),
        cmocka_unit_test(a_name_of_several_devices_is_told_by_its_memory),
        cmocka_unit_test(rows_that_become_nothing_are_counted),
        cmocka_unit_test(machines_in_json_are_read_as_gpuhunt_has_them),
        cmocka_unit_test(a_price_of_one_device_is_that_of_several_where_machines_are_made_so),
        cmocka_unit_test(what_is_wrong_is_said_with_its_place),
        cmocka_unit_test(a_row_takes_no_more_memory_than_it_may),
        cmocka_unit_test(reading_survives_every_failed_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
