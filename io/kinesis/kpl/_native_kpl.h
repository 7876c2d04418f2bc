/* This header holds what KPL's two kernels share: an aggregated record's frame, and checksums without the GIL. */

#ifndef PENSTOCK_KPL_H
#define PENSTOCK_KPL_H

#include "../../../transforms/kernels/_native_kernel.h"

#include "_native_md5.h"

#define MAGIC "\xf3\x89\x9a\xc2"
#define MAGIC_SIZE 4
#define OVERHEAD (MAGIC_SIZE + MD5_DIGEST)
#define RELEASE_FROM (16 << 10) /* bytes: to give up the GIL and get it back costs as much as hashing a few KB */

/* Makes the digests of all jobs, which have so many bytes together. Nobody else may know the buffers. */
static inline void hash_all(const Md5Job *jobs, size_t count, size_t bytes)
{
    if (bytes >= RELEASE_FROM) {
        Py_BEGIN_ALLOW_THREADS
        md5_many(jobs, count);
        Py_END_ALLOW_THREADS
    } else {
        md5_many(jobs, count);
    }
}

#endif
