/* This header holds what all document ids are made of: the version, the alphabets, and a hash as text (see identity.py). */

#ifndef PENSTOCK_IDS_H
#define PENSTOCK_IDS_H

#include "_native_blake2b.h"

#define HASH_CHARS 22 /* 128 bits in base64 without padding */
#define VERSION '1'

static const char base64url[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
static const char sorted_alphabet[] = "-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz";

static void hash_text(const uint8_t *data, size_t size, char text[HASH_CHARS])
{
    uint8_t digest[18] = {0};
    blake2b_128(data, size, digest);
    char *out = text;
    for (int i = 0; i < 18; i += 3) {
        unsigned bits = (unsigned)digest[i] << 16 | (unsigned)digest[i + 1] << 8 | digest[i + 2];
        for (int shift = 18; shift >= 0 && out < text + HASH_CHARS; shift -= 6)
            *out++ = base64url[bits >> shift & 63];
    }
}

#endif
