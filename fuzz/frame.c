/* SPDX-License-Identifier: Apache-2.0 */
/* Octets from a server, cut in some way: at every moment our parser and the reference parser say the same, and the
 * frames are those of the octets in one piece. */
#include "wire/frame.h"

#include "base/random.h"
#include "support/fuzz.h"
#include "support/reference_parser.h"

static const struct {
    nbj__verb op;
    const char *verb;
} ops[] = {
    { NBJ__OP_MSG, "MSG" },   { NBJ__OP_HMSG, "HMSG" }, { NBJ__OP_INFO, "INFO" }, { NBJ__OP_PING, "PING" },
    { NBJ__OP_PONG, "PONG" }, { NBJ__OP_OK, "+OK" },    { NBJ__OP_ERR, "-ERR" },
};

static const char *verb_of(nbj__verb op)
{
    for (size_t i = 0; i < sizeof ops / sizeof ops[0]; i++) {
        if (ops[i].op == op)
            return ops[i].verb;
    }
    return "none";
}

static void must_be(nbj_bytes view, const uint8_t *in, ref_part part)
{
    MUST(view.len == part.len);
    MUST(view.len == 0 || view.ptr == in + part.from);
}

/* Both parsers on the same octets. Returns our status, which the reference's is equal to, and the frame's length. */
static nbj_status parse_both(nbj__parser *p, const uint8_t *in, size_t len, size_t *used)
{
    ref_frame want;
    nbj__frame got = { .op = NBJ__OP_PING };
    ref_result result = ref_parse(in, len, &want);
    nbj_status st = nbj__frame_parse(p, nbj_view(in, len), &got, used);

    MUST((st == NBJ_OK) == (result == REF_FRAME));
    MUST((st == NBJ_MORE) == (result == REF_MORE));
    MUST((st == NBJ_E_PROTO) == (result == REF_BAD));
    if (st == NBJ_MORE)
        MUST(nbj__frame_need(p) > len);
    if (st != NBJ_OK)
        return st;
    MUST(*used == want.size);
    MUST(strcmp(verb_of(got.op), want.verb) == 0);
    MUST(got.sid == want.sid);
    must_be(got.subject, in, want.subject);
    must_be(got.reply, in, want.reply);
    must_be(got.headers, in, want.headers);
    must_be(got.payload, in, want.payload);
    must_be(got.text, in, want.text);
    return NBJ_OK;
}

/* The stream in pieces of up to |most| octets; each state of what was received and not parsed is a block of its own
 * size. Stores up to |size| frame lengths and returns their number; the last status goes to |end|. */
static size_t run(const uint8_t *data, size_t size, uint64_t most, size_t *lengths, nbj_status *end)
{
    nbj__random r = { fuzz_hash(data, size) };
    nbj__parser p = { 0 };
    size_t head = 0;
    size_t tail = 0;
    size_t n = 0;

    *end = NBJ_MORE;
    while (tail < size && *end == NBJ_MORE) {
        size_t piece = (size_t)nbj__random_below(&r, most) + 1;
        tail = piece < size - tail ? tail + piece : size;
        do {
            size_t used = 0;
            size_t needed = nbj__frame_need(&p);
            uint8_t *in = fuzz_alloc(tail - head);
            memcpy(in, data + head, tail - head);
            *end = parse_both(&p, in, tail - head, &used);
            free(in);
            if (*end == NBJ_OK) {
                MUST(needed <= used); /* it never asked for more than the frame */
                lengths[n++] = used;
                head += used;
            }
        } while (*end == NBJ_OK);
    }
    return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t *whole = (size_t *)(void *)fuzz_alloc((size + 1) * sizeof *whole);
    size_t *cut = (size_t *)(void *)fuzz_alloc((size + 1) * sizeof *cut);
    nbj_status whole_end;
    nbj_status cut_end;
    /* Some dozens of pieces, as the cost grows with the square of their number. */
    uint64_t most = size < 256 ? fuzz_hash(data, size) % 16 + 1 : size / 16;
    size_t n = run(data, size, UINT64_MAX, whole, &whole_end);

    MUST(run(data, size, most, cut, &cut_end) == n);
    MUST(cut_end == whole_end);
    MUST(memcmp(whole, cut, n * sizeof *whole) == 0);
    free(cut);
    free(whole);
    return 0;
}
