/* Processor features by CPUID, and only those whose registers the operating system saves (XCR0). */
#include "sys/cpu.h"
#include "base/mem.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { XCR0_AVX = 0x6, XCR0_AVX512 = 0xe6, XCR0_AMX = 0x60000 };

static uint64_t enabled_state(void)
{
    unsigned eax, ebx, ecx, edx;
    if (!__get_cpuid(1, &eax, &ebx, &ecx, &edx) || !(ecx & bit_OSXSAVE)) return 0;
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (uint64_t)high << 32 | low;
}

static void read_names(fh_cpu *cpu)
{
    unsigned r[12];
    if (__get_cpuid(0, &r[3], &r[0], &r[2], &r[1])) memcpy(cpu->vendor, r, 12);
    for (unsigned i = 0; i < 3; i++) {
        if (!__get_cpuid(0x80000002 + i, &r[4 * i], &r[4 * i + 1], &r[4 * i + 2], &r[4 * i + 3])) return;
    }
    memcpy(cpu->model, r, 48);
    for (size_t n = strlen(cpu->model); n > 0 && cpu->model[n - 1] == ' '; n--) cpu->model[n - 1] = '\0';
}

static void read_avx512(fh_cpu *cpu, unsigned ebx7, unsigned ecx7, unsigned eax71)
{
    cpu->avx512f = ebx7 & 1u << 16;
    cpu->avx512dq = ebx7 & 1u << 17;
    cpu->avx512bw = ebx7 & 1u << 30;
    cpu->avx512vl = ebx7 & 1u << 31;
    cpu->avx512vnni = ecx7 & 1u << 11;
    cpu->avx512bf16 = eax71 & 1u << 5;
}

static void read_cpu(fh_cpu *cpu)
{
    read_names(cpu);
    uint64_t state = enabled_state();
    unsigned eax = 0, ebx = 0, ecx = 0, edx = 0, ecx1 = 0;
    __get_cpuid(1, &eax, &ebx, &ecx1, &edx);
    if (!__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx)) return;
    unsigned eax1 = 0, ebx1, ecx2, edx1;
    if (eax >= 1) __get_cpuid_count(7, 1, &eax1, &ebx1, &ecx2, &edx1);
    if ((state & XCR0_AVX) == XCR0_AVX) {
        cpu->fma = ecx1 & 1u << 12;
        cpu->f16c = ecx1 & 1u << 29;
        cpu->avx2 = ebx & 1u << 5;
        cpu->avx_vnni = eax1 & 1u << 4;
    }
    if ((state & XCR0_AVX512) == XCR0_AVX512) read_avx512(cpu, ebx, ecx, eax1);
    if ((state & XCR0_AMX) == XCR0_AMX) {
        cpu->amx_bf16 = edx & 1u << 22;
        cpu->amx_int8 = edx & 1u << 25;
    }
}

/* Documentation/arch/x86/xstate.rst of Linux: component 18 is the tiles' data. */
static bool ask_for_amx(void)
{
    enum { REQ_XCOMP_PERM = 0x1023, XTILEDATA = 18 };
    return syscall(SYS_arch_prctl, REQ_XCOMP_PERM, XTILEDATA) == 0;
}

#elif defined(__aarch64__)
#include <asm/hwcap.h>
#include <sys/auxv.h>

static void read_cpu(fh_cpu *cpu)
{
    unsigned long caps = getauxval(AT_HWCAP), caps2 = getauxval(AT_HWCAP2);
    snprintf(cpu->vendor, sizeof cpu->vendor, "arm64");
    cpu->neon = caps & HWCAP_ASIMD;
    cpu->dotprod = caps & HWCAP_ASIMDDP;
    cpu->i8mm = caps2 & HWCAP2_I8MM;
}

static bool ask_for_amx(void)
{
    return false;
}

#else

static void read_cpu(fh_cpu *cpu)
{
    snprintf(cpu->vendor, sizeof cpu->vendor, "unknown");
}

static bool ask_for_amx(void)
{
    return false;
}
#endif

static fh_cpu the_cpu;

static void read_once(void)
{
    read_cpu(&the_cpu);
}

const fh_cpu *fh_cpu_get(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, read_once);
    return &the_cpu;
}

static bool amx_permitted;

static void ask_once(void)
{
    const fh_cpu *cpu = fh_cpu_get();
    amx_permitted = (cpu->amx_int8 || cpu->amx_bf16) && ask_for_amx();
}

bool fh_cpu_permit_amx(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, ask_once);
    return amx_permitted;
}

bool fh_cpu_isa_next(size_t *i, const char **ret_name)
{
    const fh_cpu *cpu = fh_cpu_get();
    const struct {
        bool has;
        const char *name;
    } rows[] = {
        {cpu->avx2, "avx2"},
        {cpu->fma, "fma"},
        {cpu->f16c, "f16c"},
        {cpu->avx512f, "avx512f"},
        {cpu->avx512vnni, "avx512vnni"},
        {cpu->avx512bf16, "avx512bf16"},
        {cpu->avx_vnni, "avxvnni"},
        {cpu->amx_int8, "amx-int8"},
        {cpu->amx_bf16, "amx-bf16"},
        {cpu->neon, "neon"},
        {cpu->dotprod, "dotprod"},
        {cpu->i8mm, "i8mm"},
    };
    while (*i < FH_COUNT(rows) && !rows[*i].has) ++*i;
    if (*i == FH_COUNT(rows)) return false;
    *ret_name = rows[(*i)++].name;
    return true;
}
