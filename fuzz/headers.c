/* SPDX-License-Identifier: Apache-2.0 */
/* A header block: what is read lies inside it, is found by its name, and comes back the same when written and read
 * again. And a header made of any octets: what passes as legal smuggles nothing in. */
#include "wire/headers.h"

#include "support/fuzz.h"
#include "wire/words.h"

/* Reads a block into |h| (room for one header per two octets); returns what ended it. */
static nbj_status read_all(nbj_bytes block, nbj_header *h, size_t *n)
{
    nbj__header_reader r;
    nbj_status st = nbj__headers_open(&r, block);

    *n = 0;
    if (st != NBJ_OK)
        return st;
    MUST(r.status == 0 || (r.status >= 100 && r.status <= 999));
    MUST(fuzz_is_within(r.description, block.ptr, block.len));
    MUST(r.status != 0 || r.description.len == 0);
    while ((st = nbj__headers_next(&r, &h[*n])) == NBJ_OK) {
        MUST(h[*n].name.len > 0 && fuzz_is_within(h[*n].name, block.ptr, block.len));
        MUST(fuzz_is_within(h[*n].value, block.ptr, block.len));
        MUST(memchr(h[*n].name.ptr, ':', h[*n].name.len) == NULL);
        ++*n;
    }
    MUST(st == NBJ_MORE || st == NBJ_E_PROTO);
    return st;
}

static int is_equal(const nbj_header *a, const nbj_header *b)
{
    return nbj_bytes_equal(a->name, b->name) && nbj_bytes_equal(a->value, b->value);
}

/* The first header of each name is the one that is found. */
static void find_each(nbj_bytes block, const nbj_header *h, size_t n)
{
    for (size_t i = 0; i < n && i < 20; i++) {
        nbj_bytes value;
        size_t first = 0;
        while (!nbj_bytes_equal(h[first].name, h[i].name))
            first++;
        MUST(nbj__headers_find(block, h[i].name, &value) == NBJ_OK);
        MUST(nbj_bytes_equal(value, h[first].value));
    }
}

/* Those that may be sent, written and read again. */
static void write_and_read(const nbj_header *h, size_t n, size_t room)
{
    nbj_header *out = (nbj_header *)(void *)fuzz_alloc(room * sizeof *out);
    nbj_header *back = (nbj_header *)(void *)fuzz_alloc(room * sizeof *back);
    size_t legal = 0;
    size_t count = 0;

    for (size_t i = 0; i < n; i++) {
        if (nbj__header_is_legal(&h[i]))
            out[legal++] = h[i];
    }
    size_t size = nbj__headers_size(out, legal);
    uint8_t *block = fuzz_alloc(size);
    MUST(nbj__headers_write(block, out, legal) == block + size);
    if (legal > 0) {
        MUST(read_all(nbj_view(block, size), back, &count) == NBJ_MORE);
        MUST(count == legal);
    }
    for (size_t i = 0; i < legal; i++)
        MUST(is_equal(&out[i], &back[i]));
    free(block);
    free(back);
    free(out);
}

/* Name and value are what stands before and behind the first ':' of the input. */
static void write_anything(const uint8_t *data, size_t size)
{
    const uint8_t *colon = size > 0 ? memchr(data, ':', size) : NULL;
    nbj_header h = { nbj_view(data, colon != NULL ? (size_t)(colon - data) : size), { NULL, 0 } };
    nbj_header back[2];
    size_t count = 0;

    if (colon != NULL)
        h.value = nbj_view(colon + 1, size - h.name.len - 1);
    if (!nbj__header_is_legal(&h))
        return;
    size_t block_len = nbj__headers_size(&h, 1);
    uint8_t *block = fuzz_alloc(block_len);
    MUST(nbj__headers_write(block, &h, 1) == block + block_len);
    MUST(read_all(nbj_view(block, block_len), back, &count) == NBJ_MORE && count == 1);
    h.value = nbj__trim(h.value); /* blanks at its ends are lost on the way */
    MUST(is_equal(&h, back));
    free(block);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t room = size / 2 + 2;
    nbj_header *h = (nbj_header *)(void *)fuzz_alloc(room * sizeof *h);
    size_t n = 0;

    (void)read_all(nbj_view(data, size), h, &n);
    MUST(n < room);
    find_each(nbj_view(data, size), h, n);
    write_and_read(h, n, room);
    write_anything(data, size);
    free(h);
    return 0;
}
