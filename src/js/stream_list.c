/* SPDX-License-Identifier: Apache-2.0 */
#include "js/stream_list.h"

#include "base/heap.h"
#include "base/text.h"
#include "js/stream_op_int.h"
#include "wire/subject.h"

/* --- pages --- */

/* A call whose answers are pages. */
typedef struct pages_op {
    nbj__op op;
    const char *verb;
    char *subject; /* NULL: any */
    bool is_asked;
    uint64_t octets;
} pages_op;

static nbj_status pages_init(pages_op *p, const nbj_allocator *alloc, nbj__op_step *step, void (*free)(nbj__op *op),
                             const char *subject, nbj_error *error)
{
    nbj_status st = NBJ_OK;

    nbj__op_init(&p->op, alloc, step, free);
    if (subject != NULL && !nbj__subject_is_filter(nbj_str(subject)))
        st = NBJ_E_BAD_SUBJECT;
    if (st == NBJ_OK && subject != NULL) {
        p->subject = nbj__copy_text(alloc, nbj_str(subject));
        st = p->subject != NULL ? NBJ_OK : NBJ_E_NOMEM;
    }
    if (st == NBJ_OK)
        return NBJ_OK;
    nbj__op_free(&p->op);
    return nbj__stream_op_fail(st, error);
}

static nbj_status ask_page(pages_op *p, uint64_t offset, nbj_error *error)
{
    p->is_asked = true;
    nbj__op_ask(&p->op, p->verb, NULL, NULL);
    nbj__json_writer w = nbj__op_body(&p->op);
    nbj__json_put_u64(&w, "offset", offset);
    if (p->subject != NULL)
        nbj__json_put_text(&w, "subject", nbj_str(p->subject));
    nbj_status st = nbj__json_end(&w);
    return st == NBJ_OK ? NBJ_MORE : nbj__stream_op_fail(st, error);
}

/* Where the page after |reply| begins; 0: there is none. Streams that did not answer count too, so that it is not by how many
 * came. */
static uint64_t next_offset(const nbj__json *reply, uint64_t offset, size_t here)
{
    uint64_t limit = nbj__json_u64(reply, "limit");
    uint64_t total = nbj__json_u64(reply, "total");
    uint64_t step = limit > 0 ? limit : here;

    return here > 0 && total > offset && total - offset > step ? offset + step : 0;
}

static nbj_status count_octets(pages_op *p, const nbj_msg *answer)
{
    p->octets += answer->payload.len;
    return p->octets > NBJ__ANSWERS_MAX ? NBJ_E_FULL : NBJ_OK;
}

/* --- names --- */

struct nbj_names {
    const nbj_allocator *alloc;
    const char **items;
    size_t count, room;
    nbj__arena arena;
};

nbj_list nbj_names_list(const nbj_names *names)
{
    return (nbj_list){ names->items, names->count };
}

void nbj_names_release(nbj_names *names)
{
    if (names == NULL)
        return;
    nbj__arena_free(&names->arena);
    nbj__free(names->alloc, names->items, names->room * sizeof *names->items);
    nbj__free(names->alloc, names, sizeof *names);
}

static const char *keep_text(nbj__arena *arena, nbj_bytes text)
{
    char *copy = nbj__arena_take(arena, text.len + 1);

    if (copy != NULL && text.len > 0)
        memcpy(copy, text.ptr, text.len);
    return copy;
}

static nbj_status add_names(nbj_names *names, const nbj__json *streams)
{
    size_t room = names->count + nbj__json_length(streams);

    if (room == names->count)
        return NBJ_OK;
    const char **items = nbj__realloc(names->alloc, names->items, names->room * sizeof *items, room * sizeof *items);
    if (items == NULL)
        return NBJ_E_NOMEM;
    names->items = items;
    names->room = room;
    for (size_t i = 0; i < nbj__json_length(streams); i++) {
        const char *name = keep_text(&names->arena, nbj__json_item_text(streams, i));
        if (name == NULL)
            return NBJ_E_NOMEM;
        names->items[names->count++] = name;
    }
    return NBJ_OK;
}

typedef struct names_op {
    pages_op pages;
    nbj_names *names;
    bool is_one; /* the stream that takes a subject is looked for */
    uint64_t offset;
} names_op;

static void names_free(nbj__op *op)
{
    names_op *n = (names_op *)(void *)op;

    nbj__free_text(op->alloc, n->pages.subject);
    nbj_names_release(n->names);
    nbj__free(op->alloc, n, sizeof *n);
}

static nbj_status names_step(nbj__op *op, nbj_status status, const nbj_msg *answer, nbj_error *error)
{
    names_op *n = (names_op *)(void *)op;
    nbj__json *reply = NULL;

    if (!n->pages.is_asked)
        return ask_page(&n->pages, 0, error);
    status = nbj__op_answer(status, answer, (nbj__js_about){ NULL, NULL }, &reply, error);
    if (status != NBJ_OK)
        return status;
    const nbj__json *streams = nbj__json_array(reply, "streams");
    n->offset = next_offset(reply, n->offset, nbj__json_length(streams));
    status = add_names(n->names, streams);
    nbj__json_free(reply);
    if (status == NBJ_OK)
        status = count_octets(&n->pages, answer);
    if (status != NBJ_OK)
        return nbj__stream_op_fail(status, error);
    if (n->offset > 0 && !n->is_one)
        return ask_page(&n->pages, n->offset, error);
    if (n->is_one && n->names->count == 0)
        return nbj__error_set(error, NBJ_E_NO_STREAM, "no stream takes ", n->pages.subject, (char *)NULL);
    return NBJ_OK;
}

static nbj_status names_new(const nbj_allocator *alloc, const char *subject, bool is_one, nbj__op **out,
                            nbj_error *error)
{
    names_op *n = nbj__alloc0(alloc, sizeof *n);
    nbj_names *names = n != NULL ? nbj__alloc0(alloc, sizeof *names) : NULL;

    *out = NULL;
    if (names == NULL) {
        nbj__free(alloc, n, sizeof *n);
        return nbj__stream_op_fail(NBJ_E_NOMEM, error);
    }
    names->alloc = alloc;
    nbj__arena_init(&names->arena, alloc);
    n->names = names;
    n->is_one = is_one;
    n->pages.verb = "STREAM.NAMES";
    nbj_status st = pages_init(&n->pages, alloc, names_step, names_free, subject, error);
    if (st == NBJ_OK)
        *out = &n->pages.op;
    return st;
}

nbj_status nbj__stream_names_new(const nbj_allocator *alloc, const char *subject, nbj__op **out, nbj_error *error)
{
    return names_new(alloc, subject, false, out, error);
}

nbj_status nbj__stream_by_subject_new(const nbj_allocator *alloc, const char *subject, nbj__op **out, nbj_error *error)
{
    *out = NULL;
    if (!nbj__subject_is_literal(nbj_str(subject)))
        return nbj__stream_op_fail(NBJ_E_BAD_SUBJECT, error);
    return names_new(alloc, subject, true, out, error);
}

nbj_names *nbj__stream_names_take(nbj__op *op)
{
    names_op *n = (names_op *)(void *)op;
    nbj_names *names = n->names;

    n->names = NULL;
    return names;
}

/* --- list --- */

typedef struct nbj__unavailable {
    nbj_stream_unavailable it;
    struct nbj__unavailable *next;
} nbj__unavailable;

typedef struct list_op {
    pages_op pages;
    bool all;
    nbj__stream_list list;
} list_op;

void nbj__stream_list_clear(nbj__stream_list *list, const nbj_allocator *alloc)
{
    for (size_t i = list->at; i < list->count; i++)
        nbj_stream_info_release(list->infos[i]);
    nbj__free(alloc, list->infos, list->count * sizeof(nbj_stream_info *));
    nbj__arena_free(&list->arena);
    *list = (nbj__stream_list){ 0 };
}

nbj_stream_info *nbj__stream_list_next(nbj__stream_list *list)
{
    return list->at < list->count ? list->infos[list->at++] : NULL;
}

bool nbj__stream_list_unavailable(const nbj__stream_list *list, size_t i, nbj_stream_unavailable *out)
{
    const nbj__unavailable *u = list->first;

    for (; u != NULL && i > 0; i--)
        u = u->next;
    *out = u != NULL ? u->it : (nbj_stream_unavailable){ 0 };
    return u != NULL;
}

static void list_free(nbj__op *op)
{
    list_op *l = (list_op *)(void *)op;

    nbj__free_text(op->alloc, l->pages.subject);
    nbj__stream_list_clear(&l->list, op->alloc);
    nbj__free(op->alloc, l, sizeof *l);
}

static nbj_status add_unavailable(nbj__stream_list *list, nbj_bytes name, nbj_bytes reason)
{
    nbj__unavailable *u = nbj__arena_take(&list->arena, sizeof *u);

    if (u == NULL)
        return NBJ_E_NOMEM;
    u->it = (nbj_stream_unavailable){ keep_text(&list->arena, name), keep_text(&list->arena, reason) };
    if (u->it.name == NULL || u->it.reason == NULL)
        return NBJ_E_NOMEM;
    if (list->last != NULL)
        list->last->next = u;
    else
        list->first = u;
    list->last = u;
    return NBJ_OK;
}

static nbj_status add_all_unavailable(nbj__stream_list *list, const nbj__json *reply)
{
    const nbj__json *missing = nbj__json_array(reply, "missing");
    const nbj__json *offline = nbj__json_object(reply, "offline");
    nbj__json_member m = { 0 };
    nbj_status st = NBJ_OK;

    for (size_t i = 0; i < nbj__json_length(missing) && st == NBJ_OK; i++)
        st = add_unavailable(list, nbj__json_item_text(missing, i), nbj_view(NULL, 0));
    while (st == NBJ_OK && nbj__json_next(offline, &m))
        st = add_unavailable(list, nbj_str(m.name), nbj__json_value_text(m.value));
    return st;
}

static nbj_status add_streams(nbj__stream_list *list, const nbj_allocator *alloc, nbj__json *streams)
{
    size_t n = nbj__json_length(streams);
    nbj_status st = NBJ_OK;

    if (n == 0)
        return NBJ_OK;
    nbj_stream_info **infos = nbj__realloc(alloc, list->infos, list->count * sizeof(nbj_stream_info *),
                                           (list->count + n) * sizeof(nbj_stream_info *));
    if (infos == NULL)
        return NBJ_E_NOMEM;
    list->infos = infos;
    memset(infos + list->count, 0, n * sizeof(nbj_stream_info *));
    list->count += n;
    for (size_t i = 0; i < n && st == NBJ_OK; i++) {
        nbj__json *doc = nbj__json_take_item(streams, i);
        st = nbj__stream_info_new(alloc, doc, &infos[list->count - n + i]);
    }
    return st;
}

/* What the next page begins with is all that is kept of those before. */
static void forget_taken(nbj__stream_list *list, const nbj_allocator *alloc)
{
    if (list->at < list->count)
        return;
    nbj__free(alloc, list->infos, list->count * sizeof(nbj_stream_info *));
    list->infos = NULL;
    list->at = list->count = 0;
}

static nbj_status list_step(nbj__op *op, nbj_status status, const nbj_msg *answer, nbj_error *error)
{
    list_op *l = (list_op *)(void *)op;
    nbj__stream_list *list = &l->list;
    nbj__json *reply = NULL;

    if (!l->pages.is_asked)
        return ask_page(&l->pages, list->offset, error);
    status = nbj__op_answer(status, answer, (nbj__js_about){ NULL, NULL }, &reply, error);
    if (status != NBJ_OK)
        return status;
    nbj__json *streams = nbj__json_array(reply, "streams");
    size_t here = nbj__json_length(streams) + nbj__json_length(nbj__json_array(reply, "missing")) +
                  nbj__json_size(nbj__json_object(reply, "offline"));
    list->offset = next_offset(reply, list->offset, here);
    list->is_whole = list->offset == 0;
    status = add_streams(list, op->alloc, streams);
    if (status == NBJ_OK)
        status = add_all_unavailable(list, reply);
    nbj__json_free(reply);
    if (status == NBJ_OK)
        status = count_octets(&l->pages, answer);
    if (status != NBJ_OK)
        return nbj__stream_op_fail(status, error);
    return l->all && !list->is_whole ? ask_page(&l->pages, list->offset, error) : NBJ_OK;
}

nbj_status nbj__stream_list_new(const nbj_allocator *alloc, const char *subject, bool all, nbj__stream_list *list,
                                nbj__op **out, nbj_error *error)
{
    list_op *l = nbj__alloc0(alloc, sizeof *l);

    *out = NULL;
    if (l == NULL)
        return nbj__stream_op_fail(NBJ_E_NOMEM, error);
    l->all = all;
    l->pages.verb = "STREAM.LIST";
    nbj_status st = pages_init(&l->pages, alloc, list_step, list_free, subject, error);
    if (st != NBJ_OK)
        return st;
    l->list = *list;
    *list = (nbj__stream_list){ 0 };
    forget_taken(&l->list, alloc);
    if (l->list.arena.alloc == NULL)
        nbj__arena_init(&l->list.arena, alloc);
    *out = &l->pages.op;
    return NBJ_OK;
}

void nbj__stream_list_take(nbj__op *op, nbj__stream_list *list)
{
    list_op *l = (list_op *)(void *)op;

    *list = l->list;
    l->list = (nbj__stream_list){ 0 };
}
