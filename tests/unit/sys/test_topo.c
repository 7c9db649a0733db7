/* What is read of the machine agrees with itself and with the affinity mask. */
#include "cmocka_all.h"
#include "sys/cpu.h"

#include <sched.h>

static void the_layout_is_consistent(void **state)
{
    fh_topo t;
    assert_int_equal(fh_topo_read(&t), 0);
    assert_true(t.cores >= 1 && t.cores <= t.logical);
    assert_true(t.packages >= 1 && t.numa_nodes >= 1);
    assert_true(t.memory_bytes > 0 && t.memory_available_bytes <= t.memory_bytes);
    assert_true(fh_topo_threads() >= 1 && fh_topo_threads() <= t.cores);
}

static void listed_processors_are_those_of_the_mask(void **state)
{
    cpu_set_t mask;
    assert_int_equal(sched_getaffinity(0, sizeof mask, &mask), 0);
    unsigned cpus[CPU_SETSIZE];
    size_t n = fh_topo_cpus(cpus, CPU_SETSIZE);
    assert_int_equal(n, CPU_COUNT(&mask));
    for (size_t i = 0; i < n; i++) {
        assert_true(CPU_ISSET(cpus[i], &mask));
        CPU_CLR(cpus[i], &mask); /* none twice */
    }
}

static void a_narrower_mask_leaves_fewer_threads(void **state)
{
    cpu_set_t before, one;
    assert_int_equal(sched_getaffinity(0, sizeof before, &before), 0);
    unsigned cpu;
    assert_true(fh_topo_cpus(&cpu, 1) >= 1);
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
    assert_int_equal(fh_topo_threads(), 1);
    assert_int_equal(fh_topo_cpus(&cpu, 1), 1);
    assert_int_equal(sched_setaffinity(0, sizeof before, &before), 0);
}

static void features_imply_one_another(void **state)
{
    const fh_cpu *c = fh_cpu_get();
    assert_true(c->vendor[0] != '\0');
    assert_true(!c->avx512vnni || c->avx512f);
    assert_true(!c->avx512bw || c->avx512f);
    assert_true(!c->amx_int8 || c->avx512f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_layout_is_consistent),
        cmocka_unit_test(listed_processors_are_those_of_the_mask),
        cmocka_unit_test(a_narrower_mask_leaves_fewer_threads),
        cmocka_unit_test(features_imply_one_another),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
