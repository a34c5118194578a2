/* SPDX-License-Identifier: Apache-2.0 */
/* JSON, twice: the octets as a document, which must be read or refused; and the octets as orders to the writer, whose
 * document must be read as what was ordered. */
#include "base/json_read.h"
#include "base/json_write.h"

#include "support/fuzz.h"

/* Looks at every kind of member that a document of the seeds may have. */
static void look_at(const nbj__json *o)
{
    static const char *const keys[] = { "a", "b", "n", "t", "", "server_id", "connect_urls" };

    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        nbj__json *array = nbj__json_array(o, keys[i]);
        for (size_t n = 0; n < nbj__json_length(array); n++)
            (void)nbj__json_item_text(array, n);
        int64_t s = nbj__json_i64(o, keys[i]);
        uint64_t u = nbj__json_u64(o, keys[i]);
        MUST(s < 0 ? u == 0 : u == (uint64_t)s || (s == INT64_MAX && u > INT64_MAX));
        MUST(nbj__json_text(o, keys[i]).len == 0 || !nbj__json_bool(o, keys[i]));
        if (nbj__json_object(o, keys[i]) != NULL)
            look_at(nbj__json_object(o, keys[i])); /* as deep as the reader allows, no deeper */
    }
}

static void read_document(const uint8_t *data, size_t size)
{
    nbj__json *o = NULL;
    nbj_status st = nbj__json_parse(nbj_view(data, size), &o);

    MUST(st == NBJ_OK || st == NBJ_E_PROTO);
    MUST((st == NBJ_OK) == (o != NULL));
    if (o != NULL)
        look_at(o);
    nbj__json_free(o);
}

/* Orders are taken from the octets: one for the kind, then what the kind needs. */
typedef struct orders {
    const uint8_t *at, *end;
} orders;

static uint8_t take_octet(orders *r)
{
    return r->at < r->end ? *r->at++ : 0;
}

static nbj_bytes take_text(orders *r)
{
    size_t len = take_octet(r);

    if (len > (size_t)(r->end - r->at))
        len = (size_t)(r->end - r->at);
    r->at += len;
    return nbj_view(r->at - len, len);
}

static uint64_t take_number(orders *r)
{
    uint64_t n = 0;

    for (int i = 0; i < 8; i++)
        n = n << 8 | take_octet(r);
    return n >> take_octet(r) % 64;
}

enum { TEXT, BOOL, U64, I64, ARRAY, OBJECT, KINDS };

static void write_one(nbj__json_writer *w, const char *name, orders *r)
{
    switch (take_octet(r) % KINDS) {
    case TEXT:
        nbj__json_put_text(w, name, take_text(r));
        return;
    case BOOL:
        nbj__json_put_bool(w, name, take_octet(r) & 1);
        return;
    case U64:
        nbj__json_put_u64(w, name, take_number(r));
        return;
    case I64:
        nbj__json_put_i64(w, name, (int64_t)take_number(r));
        return;
    case ARRAY:
        nbj__json_put_array(w, name);
        for (size_t n = take_octet(r) % 4; n > 0; n--)
            nbj__json_item_put_text(w, take_text(r));
        nbj__json_close(w, ']');
        return;
    default:
        nbj__json_put_object(w, name);
        nbj__json_put_text(w, "t", take_text(r));
        nbj__json_put_bool(w, "b", true);
        nbj__json_close(w, '}');
        return;
    }
}

static void check_one(const nbj__json *o, const char *name, orders *r)
{
    nbj__json *inner;
    size_t length;

    switch (take_octet(r) % KINDS) {
    case TEXT:
        MUST(nbj_bytes_equal(nbj__json_text(o, name), take_text(r)));
        return;
    case BOOL:
        MUST(nbj__json_bool(o, name) == (take_octet(r) & 1));
        return;
    case U64:
        MUST(nbj__json_u64(o, name) == take_number(r));
        return;
    case I64:
        MUST(nbj__json_i64(o, name) == (int64_t)take_number(r));
        return;
    case ARRAY:
        inner = nbj__json_array(o, name);
        length = take_octet(r) % 4;
        MUST(nbj__json_length(inner) == length);
        for (size_t i = 0; i < length; i++)
            MUST(nbj_bytes_equal(nbj__json_item_text(inner, i), take_text(r)));
        return;
    default:
        inner = nbj__json_object(o, name);
        MUST(nbj_bytes_equal(nbj__json_text(inner, "t"), take_text(r)) && nbj__json_bool(inner, "b"));
        return;
    }
}

/* One name per order; returns how many there were. */
static size_t for_each_order(const uint8_t *data, size_t size, nbj__json_writer *w, const nbj__json *o)
{
    orders r = { data, data + size };
    size_t n = 0;

    for (; r.at < r.end && n < 1000; n++) {
        char name[8];
        snprintf(name, sizeof name, "k%zu", n);
        if (w != NULL)
            write_one(w, name, &r);
        else
            check_one(o, name, &r);
    }
    return n;
}

static void write_and_read(const uint8_t *data, size_t size)
{
    nbj__buf out;
    nbj__json *o = NULL;

    nbj__buf_init(&out, &nbj__malloc_allocator, 1u << 20);
    nbj__json_writer w = nbj__json_begin(&out);
    (void)for_each_order(data, size, &w, NULL);
    MUST(nbj__json_end(&w) == NBJ_OK);
    MUST(nbj__json_parse(nbj__buf_view(&out), &o) == NBJ_OK);
    (void)for_each_order(data, size, NULL, o);
    nbj__json_free(o);

    /* with less room it ends in FULL, and what is there is the beginning of the same */
    nbj__buf part;
    nbj__buf_init(&part, &nbj__malloc_allocator, (size_t)(fuzz_hash(data, size) % nbj__buf_len(&out)) + 1);
    w = nbj__json_begin(&part);
    (void)for_each_order(data, size, &w, NULL);
    MUST(nbj__json_end(&w) == (part.limit < nbj__buf_len(&out) ? NBJ_E_FULL : NBJ_OK));
    MUST(memcmp(nbj__buf_view(&part).ptr, nbj__buf_view(&out).ptr, nbj__buf_len(&part)) == 0);
    nbj__buf_free(&part);
    nbj__buf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    read_document(data, size);
    write_and_read(data, size);
    return 0;
}
