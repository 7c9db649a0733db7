/* The integer peak of tiles: four sums of 16 x 16 from two tiles of 16 x 64 each way, as a blocked product would keep them. */
#include "../peak.h"
#include "tiles.h"

#include <string.h>

uint32_t fh_peak_loop_amx(uint64_t turns)
{
    _Alignas(64) uint8_t ones[16 * 64], twos[16 * 64];
    _Alignas(64) uint32_t sums[4][16 * 16];
    uint32_t total = 0;
    memset(ones, 1, sizeof ones);
    memset(twos, 2, sizeof twos);
    _tile_loadconfig(&fh_tile_whole);
    fh_tile_settle();
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
    fh_tile_settle();
    for (size_t i = 0; i < 4 * 16 * 16; i++) total += sums[i / 256][i % 256];
    return total;
}
