/* As much of cmocka as the kernels' tests use, on nothing but the C library: for processors that no cmocka is installed for. One program
 * includes it once. A test that fails leaves by a jump, and what it holds is not freed. */
#ifndef FH_CROSS_CMOCKA_H
#define FH_CROSS_CMOCKA_H

#include <setjmp.h>
#include <stdio.h>
#include <string.h>

struct CMUnitTest {
    const char *name;
    void (*test)(void **state);
};
#define cmocka_unit_test(test)                                                                                                             \
    {                                                                                                                                      \
#test, test                                                                                                                        \
    }

enum { CROSS_FAILED = 1, CROSS_SKIPPED };
static jmp_buf cross_out;

__attribute__((noreturn, format(printf, 3, 4))) static inline void cross_fail(const char *file, int line, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    printf("# %s:%d: ", file, line);
    vprintf(format, args);
    printf("\n");
    va_end(args);
    longjmp(cross_out, CROSS_FAILED);
}

__attribute__((format(printf, 1, 2))) static inline void print_message(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
}

static inline void cross_equal(intmax_t a, intmax_t b, const char *file, int line)
{
    if (a != b) cross_fail(file, line, "%jd is not %jd", a, b);
}

#define fail_msg(...)                   cross_fail(__FILE__, __LINE__, __VA_ARGS__)
#define skip()                          longjmp(cross_out, CROSS_SKIPPED)
#define cross_true(is, text)            ((is) ? (void)0 : cross_fail(__FILE__, __LINE__, "not so: %s", text))
#define assert_true(x)                  cross_true((x), #x)
#define assert_false(x)                 cross_true(!(x), "not " #x)
#define assert_null(p)                  cross_true((p) == NULL, #p " is NULL")
#define assert_non_null(p)              cross_true((p) != NULL, #p " is not NULL")
#define assert_int_equal(a, b)          cross_equal((intmax_t)(a), (intmax_t)(b), __FILE__, __LINE__)
#define assert_string_equal(a, b)       cross_true(strcmp((a), (b)) == 0, #a " is " #b)
#define assert_memory_equal(a, b, size) cross_true(memcmp((a), (b), (size)) == 0, #a " is " #b)

/* TAP; the exit status. */
static inline int cross_run(const struct CMUnitTest *tests, size_t count)
{
    static size_t i, failed;
    printf("1..%zu\n", count);
    for (i = 0; i < count; i++) {
        int out = setjmp(cross_out);
        if (out == 0) tests[i].test(&(void *){NULL});
        printf("%s %zu - %s%s\n", out == CROSS_FAILED ? "not ok" : "ok", i + 1, tests[i].name,
               out == CROSS_SKIPPED ? " # SKIP this processor lacks it" : "");
        fflush(stdout);
        failed += out == CROSS_FAILED;
    }
    return failed > 0;
}
#define cmocka_run_group_tests(tests, setup, teardown) cross_run((tests), sizeof(tests) / sizeof(tests)[0])

#endif
