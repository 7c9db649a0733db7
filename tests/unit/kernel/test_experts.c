/* Mixtures of experts: what parts give is, bit for bit, what each expert's own matrix gives for its rows. */
#include "kernel_test.h"

enum { EXPERTS = 5, FF = 64, COLS = 256, INPUTS = 40, CHOICES = 89 };

static const fh_expert_part parts_at[] = {{0, 0, 1}, {2, 1, 9}, {3, 10, 70}, {4, 80, 9}}; /* nobody chose 1; 3 takes more than a panel */
static const fh_expert_parts parts = {parts_at, FH_COUNT(parts_at)};

typedef struct mix {
    const fh_kernels *k;
    fh_weight *gate, *up, *down;
    fh_weight *alone[3][EXPERTS]; /* gate, up, down of each */
    fh_act *a;
    uint32_t rows[CHOICES];
    bool floats;
    float x[INPUTS * COLS], h[CHOICES * FF], y[CHOICES * COLS], want_h[CHOICES * FF], want_y[CHOICES * COLS], gathered[CHOICES * COLS];
} mix;

static void mixed(fh_worker *w, void *arg)
{
    mix *m = arg;
    fh_act_set_parts(m->a, m->x, COLS, m->rows, parts, m->floats, w);
    fh_matmul_glu_parts(m->gate, m->up, FF, m->a, parts, m->h, w);
    fh_barrier(w);
    fh_act_set_parts(m->a, m->h, FF, NULL, parts, m->floats, w);
    fh_matmul_parts(m->down, COLS, m->a, parts, m->y, w);
    fh_barrier(w);
}

static void apart(fh_worker *w, void *arg)
{
    mix *m = arg;
    for (size_t i = 0; i < parts.count; i++) {
        const fh_expert_part *p = &parts_at[i];
        fh_act_set_bytes(m->a, m->gathered + (size_t)p->first * COLS, p->count, COLS, COLS, w);
        fh_matmul_glu(m->alone[0][p->expert], m->alone[1][p->expert], m->a, m->want_h + (size_t)p->first * FF, FF, w);
        fh_barrier(w);
        fh_act_set_bytes(m->a, m->want_h + (size_t)p->first * FF, p->count, FF, FF, w);
        fh_matmul(m->alone[2][p->expert], m->a, m->want_y + (size_t)p->first * COLS, COLS, false, w);
        fh_barrier(w);
    }
}

static void make(mix *m, fh_weight **all, fh_weight *alone[EXPERTS], fh_type type, size_t rows, size_t cols, bool exact)
{
    static uint8_t data[3][EXPERTS * FF * COLS * 4];
    static unsigned next;
    uint8_t *d = data[next++ % 3]; /* weights that borrow need theirs until they are freed */
    size_t row_bytes = 0;
    assert_true(fh_type_row_bytes(type, cols, &row_bytes));
    random_blocks(type, d, EXPERTS * rows * row_bytes, 0.02f);
    fh_weight_spec spec = {.type = type, .rows = EXPERTS * rows, .cols = cols, .data = d, .exact = exact, .name = "all"};
    assert_int_equal(fh_weight_new(all, m->k, &spec, NULL), 0);
    for (size_t e = 0; e < EXPERTS; e++) {
        spec.rows = rows;
        spec.data = d + e * rows * row_bytes;
        assert_int_equal(fh_weight_new(&alone[e], m->k, &spec, NULL), 0);
    }
}

static void compare(const fh_kernels *k, fh_type outer, fh_type inner, bool exact, unsigned workers)
{
    static mix m;
    m = (mix){.k = k};
    FH_AUTO(fh_pool) fh_pool *pool = NULL;
    assert_int_equal(fh_pool_new(&pool, workers, NULL), 0);
    make(&m, &m.gate, m.alone[0], outer, FF, COLS, exact);
    make(&m, &m.up, m.alone[1], outer, FF, COLS, exact);
    make(&m, &m.down, m.alone[2], inner, COLS, FF, exact);
    assert_int_equal(fh_act_new(&m.a, k, CHOICES, COLS, NULL), 0);
    m.floats = fh_weight_borrows(m.gate) || fh_weight_borrows(m.down);
    random_floats(m.x, FH_COUNT(m.x), 1);
    for (size_t i = 0; i < CHOICES; i++) {
        m.rows[i] = (uint32_t)(random_u64() >> 16) % INPUTS;
        memcpy(m.gathered + i * COLS, m.x + m.rows[i] * COLS, COLS * sizeof(float));
    }
    fh_pool_run(pool, mixed, &m);
    fh_pool_run(pool, apart, &m);
    assert_memory_equal(m.h, m.want_h, sizeof m.h);
    assert_memory_equal(m.y, m.want_y, sizeof m.y);
    fh_weight *all[] = {m.gate, m.up, m.down};
    for (size_t i = 0; i < 3; i++) {
        fh_weight_free(all[i]);
        for (size_t e = 0; e < EXPERTS; e++) fh_weight_free(m.alone[i][e]);
    }
    fh_act_free(m.a);
}

static void parts_give_what_each_expert_gives_alone(void **state)
{
    (void)state;
    static const fh_type outer[] = {FH_TYPE_F32, FH_TYPE_F16, FH_TYPE_Q4_0, FH_TYPE_Q8_0, FH_TYPE_Q4_K, FH_TYPE_Q6_K};
    static const fh_type inner[] = {FH_TYPE_F32, FH_TYPE_Q8_0, FH_TYPE_Q4_0, FH_TYPE_F16, FH_TYPE_Q5_1, FH_TYPE_Q8_0}; /* of blocks of 32 */
    FOR_EACH_TABLE(k)
    {
        for (size_t i = 0; i < FH_COUNT(outer); i++)
            for (unsigned workers = 1; workers <= 3; workers++)
                for (int exact = 0; exact < 2; exact++) compare(k, outer[i], inner[i], exact, workers);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(parts_give_what_each_expert_gives_alone)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
