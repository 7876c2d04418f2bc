/* This header makes BLAKE2b digests of 16 bytes, without a key, of messages that are in memory: RFC 7693.

With hashlib, the 93 bytes or so that an id is made of would cost a call, an object and a look-up. One block takes one
message; several messages of one block each are hashed side by side, where the processor has registers for that. */

#ifndef PENSTOCK_BLAKE2B_H
#define PENSTOCK_BLAKE2B_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define BLAKE2B_BLOCK 128
#define BLAKE2B_PARAMETERS (0x01010000u ^ 16u) /* a digest of 16 bytes, no key */
#define BLAKE2B_TOGETHER 8

static const uint64_t blake2b_iv[8] = {
    0x6a09e667f3bcc908u, 0xbb67ae8584caa73bu, 0x3c6ef372fe94f82bu, 0xa54ff53a5f1d36f1u,
    0x510e527fade682d1u, 0x9b05688c2b3e6c1fu, 0x1f83d9abfb41bd6bu, 0x5be0cd19137e2179u,
};

#define ROTATED(word, bits) ((word) >> (bits) | (word) << (64 - (bits)))

static inline uint64_t little_endian(const uint8_t *at)
{
    uint64_t word = 0;
    for (int i = 7; i >= 0; i--) /* compilers make one load of it where that is the same */
        word = word << 8 | at[i];
    return word;
}

/* The words may be numbers, or vectors of numbers. */
#define G(a, b, c, d, x, y)          \
    v[a] += v[b] + (x);              \
    v[d] = ROTATED(v[d] ^ v[a], 32); \
    v[c] += v[d];                    \
    v[b] = ROTATED(v[b] ^ v[c], 24); \
    v[a] += v[b] + (y);              \
    v[d] = ROTATED(v[d] ^ v[a], 16); \
    v[c] += v[d];                    \
    v[b] = ROTATED(v[b] ^ v[c], 63);

#define ROUND(s0, s1, s2, s3, s4, s5, s6, s7, s8, s9, s10, s11, s12, s13, s14, s15) \
    G(0, 4, 8, 12, m[s0], m[s1])                                                    \
    G(1, 5, 9, 13, m[s2], m[s3])                                                    \
    G(2, 6, 10, 14, m[s4], m[s5])                                                   \
    G(3, 7, 11, 15, m[s6], m[s7])                                                   \
    G(0, 5, 10, 15, m[s8], m[s9])                                                   \
    G(1, 6, 11, 12, m[s10], m[s11])                                                 \
    G(2, 7, 8, 13, m[s12], m[s13])                                                  \
    G(3, 4, 9, 14, m[s14], m[s15])

#define ALL_ROUNDS                                              \
    ROUND(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15) \
    ROUND(14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3) \
    ROUND(11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4) \
    ROUND(7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8) \
    ROUND(9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13) \
    ROUND(2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9) \
    ROUND(12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11) \
    ROUND(13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10) \
    ROUND(6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5) \
    ROUND(10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0) \
    ROUND(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15) \
    ROUND(14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3)

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
    ALL_ROUNDS
    for (int i = 0; i < 8; i++)
        h[i] ^= v[i] ^ v[i + 8];
}

static void blake2b_128(const uint8_t *data, size_t size, uint8_t digest[16])
{
    uint64_t h[8];
    uint8_t block[BLAKE2B_BLOCK] = {0};
    uint64_t counted = 0;
    memcpy(h, blake2b_iv, sizeof h);
    h[0] ^= BLAKE2B_PARAMETERS;
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

/* A message of one block: its bytes, then zeros. */
typedef struct {
    uint8_t bytes[BLAKE2B_BLOCK];
    size_t size;
} Blake2bBlock;

#if defined(__GNUC__) && defined(__x86_64__)
typedef uint64_t Blake2bVector4 __attribute__((vector_size(32)));
typedef uint64_t Blake2bVector8 __attribute__((vector_size(64)));

/* Defines NAME(blocks, digests), which hashes LANES messages. */
#define BLAKE2B_DEFINE_LANES(NAME, VECTOR, LANES, TARGET)                                              \
    __attribute__((target(TARGET))) static void NAME(const Blake2bBlock *blocks, uint8_t digests[][16]) \
    {                                                                                                  \
        const VECTOR zero = {0};                                                                       \
        VECTOR v[16], m[16], counted;                                                                  \
        for (int lane = 0; lane < LANES; lane++) {                                                     \
            for (int i = 0; i < 16; i++)                                                               \
                m[i][lane] = little_endian(blocks[lane].bytes + 8 * i);                                \
            counted[lane] = blocks[lane].size;                                                         \
        }                                                                                              \
        for (int i = 0; i < 8; i++)                                                                    \
            v[i] = v[i + 8] = zero + blake2b_iv[i];                                                    \
        v[0] ^= BLAKE2B_PARAMETERS;                                                                    \
        v[12] ^= counted;                                                                              \
        v[14] = ~v[14];                                                                                \
        ALL_ROUNDS                                                                                     \
        v[0] ^= v[8] ^ blake2b_iv[0] ^ BLAKE2B_PARAMETERS;                                             \
        v[1] ^= v[9] ^ blake2b_iv[1];                                                                  \
        for (int lane = 0; lane < LANES; lane++) {                                                     \
            uint64_t words[2] = {v[0][lane], v[1][lane]}; /* x86-64 is little-endian */                \
            memcpy(digests[lane], words, 16);                                                          \
        }                                                                                              \
    }

BLAKE2B_DEFINE_LANES(blake2b_lanes4, Blake2bVector4, 4, "avx2")
BLAKE2B_DEFINE_LANES(blake2b_lanes8, Blake2bVector8, 8, "avx512f")
#undef BLAKE2B_DEFINE_LANES
#endif

/* Makes the digests of BLAKE2B_TOGETHER messages. NANOSECONDS */
static inline void blake2b_128_together(const Blake2bBlock blocks[BLAKE2B_TOGETHER],
                                        uint8_t digests[BLAKE2B_TOGETHER][16])
{
#if defined(__GNUC__) && defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f")) {
        blake2b_lanes8(blocks, digests);
        return;
    }
    if (__builtin_cpu_supports("avx2")) {
        blake2b_lanes4(blocks, digests);
        blake2b_lanes4(blocks + 4, digests + 4);
        return;
    }
#endif
    for (int i = 0; i < BLAKE2B_TOGETHER; i++)
        blake2b_128(blocks[i].bytes, blocks[i].size, digests[i]);
}

#undef ALL_ROUNDS
#undef ROUND
#undef G
#undef ROTATED

#endif
