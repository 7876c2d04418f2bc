/* This header holds what all document ids are made of: the version, the alphabets, and a hash as text (see identity.py). */

#ifndef PENSTOCK_IDS_H
#define PENSTOCK_IDS_H

#include "_native_blake2b.h"

#define HASH_CHARS 22 /* 128 bits in base64 without padding */
#define VERSION '1'

static const char base64url[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
static const char sorted_alphabet[] = "-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz";

/* Writes a digest as text. */
static inline void digest_text(const uint8_t digest[16], char text[HASH_CHARS])
{
    uint8_t bytes[18] = {0};
    char groups[24], *out = groups;
    memcpy(bytes, digest, 16);
    for (int i = 0; i < 18; i += 3) {
        unsigned bits = (unsigned)bytes[i] << 16 | (unsigned)bytes[i + 1] << 8 | bytes[i + 2];
        for (int shift = 18; shift >= 0; shift -= 6)
            *out++ = base64url[bits >> shift & 63];
    }
    memcpy(text, groups, HASH_CHARS);
}

static void hash_text(const uint8_t *data, size_t size, char text[HASH_CHARS])
{
    uint8_t digest[16];
    blake2b_128(data, size, digest);
    digest_text(digest, text);
}

#endif
