/*
 * random.c: random numbers that are a function of where they are used: Philox 4x32-10 (Salmon et
 * al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011). A seed gives the same picture on
 * every machine, for any number of threads and of pictures drawn at once.
 */
#include "run/run.h"

float tsr_random(uint64_t seed, uint32_t position, uint32_t draw)
{
    uint32_t c[4] = {position, draw, 0, 0};
    uint32_t key[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)};

    for (int round = 0; round < 10; round++) {
        const uint64_t a = (uint64_t)0xD2511F53u * c[0];
        const uint64_t b = (uint64_t)0xCD9E8D57u * c[2];
        const uint32_t next[4] = {(uint32_t)(b >> 32) ^ c[1] ^ key[0], (uint32_t)b,
                                  (uint32_t)(a >> 32) ^ c[3] ^ key[1], (uint32_t)a};
        for (int i = 0; i < 4; i++)
            c[i] = next[i];
        key[0] += 0x9E3779B9u; /* the golden ratio and sqrt(3) - 1, as Weyl sequences */
        key[1] += 0xBB67AE85u;
    }
    return (float)(c[0] >> 8) * 0x1p-24f;
}
