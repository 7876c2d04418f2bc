/* This header makes BLAKE2b digests of 16 bytes, without a key, of messages that are in memory: RFC 7693.

With hashlib, the 93 bytes or so that an id is made of would cost a call, an object and a look-up. */

#ifndef PENSTOCK_BLAKE2B_H
#define PENSTOCK_BLAKE2B_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define BLAKE2B_BLOCK 128

static const uint64_t blake2b_iv[8] = {
    0x6a09e667f3bcc908u, 0xbb67ae8584caa73bu, 0x3c6ef372fe94f82bu, 0xa54ff53a5f1d36f1u,
    0x510e527fade682d1u, 0x9b05688c2b3e6c1fu, 0x1f83d9abfb41bd6bu, 0x5be0cd19137e2179u,
};

static inline uint64_t rotated(uint64_t word, int bits)
{
    return word >> bits | word << (64 - bits);
}

static inline uint64_t little_endian(const uint8_t *at)
{
    uint64_t word = 0;
    for (int i = 7; i >= 0; i--) /* compilers make one load of it where that is the same */
        word = word << 8 | at[i];
    return word;
}

#define G(a, b, c, d, x, y)       \
    v[a] += v[b] + (x);           \
    v[d] = rotated(v[d] ^ v[a], 32); \
    v[c] += v[d];                 \
    v[b] = rotated(v[b] ^ v[c], 24); \
    v[a] += v[b] + (y);           \
    v[d] = rotated(v[d] ^ v[a], 16); \
    v[c] += v[d];                 \
    v[b] = rotated(v[b] ^ v[c], 63);

#define ROUND(s0, s1, s2, s3, s4, s5, s6, s7, s8, s9, s10, s11, s12, s13, s14, s15) \
    G(0, 4, 8, 12, m[s0], m[s1])                                                    \
    G(1, 5, 9, 13, m[s2], m[s3])                                                    \
    G(2, 6, 10, 14, m[s4], m[s5])                                                   \
    G(3, 7, 11, 15, m[s6], m[s7])                                                   \
    G(0, 5, 10, 15, m[s8], m[s9])                                                   \
    G(1, 6, 11, 12, m[s10], m[s11])                                                 \
    G(2, 7, 8, 13, m[s12], m[s13])                                                  \
    G(3, 4, 9, 14, m[s14], m[s15])

static void blake2b_compress(uint64_t h[8], const uint8_t *block, uint64_t counted, int last)
{
    uint64_t v[16], m[16];
    for (int i = 0; i < 8; i++) {
        v[i] = h[i];
        v[i + 8] = blake2b_iv[i];
    }
    v[12] ^= counted;
    if (last)
        v[14] = ~v[14];
    for (int i = 0; i < 16; i++)
        m[i] = little_endian(block + 8 * i);
    ROUND(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)
    ROUND(14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3)
    ROUND(11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4)
    ROUND(7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8)
    ROUND(9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13)
    ROUND(2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9)
    ROUND(12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11)
    ROUND(13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10)
    ROUND(6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5)
    ROUND(10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0)
    ROUND(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)
    ROUND(14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3)
    for (int i = 0; i < 8; i++)
        h[i] ^= v[i] ^ v[i + 8];
}

#undef ROUND
#undef G

static void blake2b_128(const uint8_t *data, size_t size, uint8_t digest[16])
{
    uint64_t h[8];
    uint8_t block[BLAKE2B_BLOCK] = {0};
    uint64_t counted = 0;
    memcpy(h, blake2b_iv, sizeof h);
    h[0] ^= 0x01010000u ^ 16u;
    while (size > BLAKE2B_BLOCK) {
        counted += BLAKE2B_BLOCK;
        blake2b_compress(h, data, counted, 0);
        data += BLAKE2B_BLOCK;
        size -= BLAKE2B_BLOCK;
    }
    memcpy(block, data, size);
    blake2b_compress(h, block, counted + size, 1);
    for (int i = 0; i < 16; i++)
        digest[i] = (uint8_t)(h[i / 8] >> (8 * (i % 8)));
}

#endif
