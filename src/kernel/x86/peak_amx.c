/* The integer peak of tiles: four sums of 16 x 16 from two tiles of 16 x 64 each way, as a blocked product would keep them.
 * Sources: Intel SDM volume 1 chapter 18 (palette 1, the configuration's layout); Linux Documentation/arch/x86/xstate.rst (permission). */
#include "../peak.h"

#include <immintrin.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { ARCH_REQ_XCOMP_PERM = 0x1023, XFEATURE_XTILE_DATA = 18 };

typedef struct tile_config {
    uint8_t palette, start_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
} tile_config;

bool fh_peak_amx_allowed(void)
{
    return syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILE_DATA) == 0;
}

static void configure(void)
{
    tile_config c = {.palette = 1};
    for (int i = 0; i < 8; i++) {
        c.row_bytes[i] = 64;
        c.rows[i] = 16;
    }
    _tile_loadconfig(&c);
}

uint32_t fh_peak_loop_amx(uint64_t turns)
{
    _Alignas(64) uint8_t ones[16 * 64], twos[16 * 64];
    _Alignas(64) uint32_t sums[4][16 * 16];
    uint32_t total = 0;
    memset(ones, 1, sizeof ones);
    memset(twos, 2, sizeof twos);
    configure();
    _tile_loadd(4, ones, 64);
    _tile_loadd(5, ones, 64);
    _tile_loadd(6, twos, 64);
    _tile_loadd(7, twos, 64);
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    for (uint64_t t = 0; t < turns; t++) {
        _tile_dpbssd(0, 4, 6);
        _tile_dpbssd(1, 4, 7);
        _tile_dpbssd(2, 5, 6);
        _tile_dpbssd(3, 5, 7);
    }
    _tile_stored(0, sums[0], 64);
    _tile_stored(1, sums[1], 64);
    _tile_stored(2, sums[2], 64);
    _tile_stored(3, sums[3], 64);
    _tile_release();
    for (size_t i = 0; i < 4 * 16 * 16; i++) total += sums[i / 256][i % 256];
    return total;
}
