/* SPDX-License-Identifier: Apache-2.0 */
/* A backup.json, which anybody may have written, and what servers say while a stream is transferred: the same octets as
 * each of these. */
#define _GNU_SOURCE
#include "js/snapshot.h"

#include "support/fuzz.h"

static void check_request(nbj__backup *b)
{
    nbj__buf request;
    nbj__json *again = NULL;

    nbj__buf_init(&request, &nbj__malloc_allocator, NBJ__BACKUP_MAX);
    nbj_status st = nbj__backup_request(b, NULL, (uint32_t)(b->bytes % 4), &request);
    MUST(st == NBJ_OK || st == NBJ_E_FULL);
    if (st == NBJ_OK && nbj__buf_len(&request) < 65536)
        MUST(nbj__json_parse(nbj__buf_view(&request), &again) == NBJ_OK);
    nbj__json_free(again);
    nbj__buf_free(&request);
}

static void try_backup(const uint8_t *data, size_t size)
{
    nbj__backup b;
    const char *why = NULL;
    nbj_status st = nbj__backup_read(nbj_view(data, size), &b, &why);

    MUST(st == NBJ_OK || (st == NBJ_E_DAMAGED && why != NULL && b.json == NULL));
    if (st == NBJ_OK) {
        MUST(b.described < size && strlen(b.stream) > 0 && strlen(b.stream) < sizeof b.stream);
        MUST(b.has_sum || b.sha256[0] == 0);
        check_request(&b);
    }
    nbj__backup_free(&b);
    (void)nbj__backup_is_new_format(nbj_view(data, size));
}

/* A message: its reply up to the first line, headers up to the first empty one, and its payload. */
static nbj_msg message(const uint8_t *data, size_t size)
{
    const uint8_t *line = size > 0 ? memchr(data, '\n', size) : NULL;
    size_t reply = line != NULL ? (size_t)(line - data) : 0;
    nbj_bytes rest = nbj_view(data + reply, size - reply);
    const uint8_t *end = rest.len > 0 ? memmem(rest.ptr, rest.len, "\r\n\r\n", 4) : NULL;
    size_t headers = end != NULL ? (size_t)(end - rest.ptr) + 4 : 0;
    size_t skip = rest.len > 0 && headers > 0 ? 1 : 0; /* the line's end */

    return (nbj_msg){ .reply = nbj_view(data, reply),
                      .headers = nbj_view(rest.ptr + skip, headers - skip),
                      .payload = nbj_view(rest.ptr + headers, rest.len - headers) };
}

static void try_message(const uint8_t *data, size_t size)
{
    nbj__snapshot_in in = { 0 };
    nbj__restore_out out = { .sent = fuzz_hash(data, size) % 5 };
    nbj__stream_state state = { 0 };
    nbj_error error;
    nbj_msg m = message(data, size);

    nbj_status st = nbj__snapshot_take(&in, &m, "S", &error);
    MUST(st == NBJ_OK || st == NBJ_MORE || error.status == st);
    MUST(in.bytes == m.payload.len);
    out.answered = out.sent / 2;
    for (int i = 0; i < 2; i++) {
        st = nbj__restore_take(&out, &m, "S", &state, &error);
        MUST(st == NBJ_OK || st == NBJ_MORE || error.status == st);
        MUST(st != NBJ_OK || out.is_ending);
        MUST(out.answered <= out.sent || out.is_unheard);
        out = (nbj__restore_out){ .is_ending = true };
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    try_backup(data, size);
    try_message(data, size);
    return 0;
}
