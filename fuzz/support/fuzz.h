/* SPDX-License-Identifier: Apache-2.0 */
/* What the fuzz targets share. A target takes any octets; what must hold and does not ends the program. */
#ifndef NBJ_FUZZ_FUZZ_H
#define NBJ_FUZZ_FUZZ_H

#include <nbj/bytes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* As assert, but in every build. */
#define MUST(cond)                                                               \
    do {                                                                         \
        if (!(cond)) {                                                           \
            fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #cond); \
            abort();                                                             \
        }                                                                        \
    } while (0)

/* Choices that the input itself decides (FNV-1a), so that seeds can stay plain text. */
static inline uint64_t fuzz_hash(const uint8_t *data, size_t size)
{
    uint64_t h = 0xcbf29ce484222325u;

    for (size_t i = 0; i < size; i++)
        h = (h ^ data[i]) * 0x100000001b3u;
    return h;
}

/* |len| octets, at least one, that nobody has written to. */
static inline uint8_t *fuzz_alloc(size_t len)
{
    uint8_t *p = malloc(len > 0 ? len : 1);

    MUST(p != NULL);
    return p;
}

static inline int fuzz_is_within(nbj_bytes view, const uint8_t *data, size_t size)
{
    return view.len == 0 || (view.ptr >= data && view.len <= size && view.ptr <= data + (size - view.len));
}

#endif
