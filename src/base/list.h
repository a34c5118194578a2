/* SPDX-License-Identifier: Apache-2.0 */
/* A doubly linked list whose links live in the items. An item is in at most one list per link. */
#ifndef NBJ_BASE_LIST_H
#define NBJ_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

typedef struct nbj__node {
    struct nbj__node *prev, *next; /* NULL when in no list */
} nbj__node;

typedef struct nbj__list {
    nbj__node head; /* a ring: empty when it points to itself */
} nbj__list;

/* The item that holds |node| as its |member|. */
#define NBJ__ITEM(node, type, member) ((type *)(void *)((char *)(node)-offsetof(type, member)))

static inline void nbj__list_init(nbj__list *l)
{
    l->head.prev = l->head.next = &l->head;
}

static inline bool nbj__list_is_empty(const nbj__list *l)
{
    return l->head.next == &l->head;
}

static inline void nbj__list_insert_before(nbj__node *place, nbj__node *n)
{
    n->prev = place->prev;
    n->next = place;
    place->prev->next = n;
    place->prev = n;
}

static inline void nbj__list_push(nbj__list *l, nbj__node *n)
{
    nbj__list_insert_before(&l->head, n);
}

/* The first node, or NULL. */
static inline nbj__node *nbj__list_first(const nbj__list *l)
{
    return l->head.next != &l->head ? l->head.next : NULL;
}

/* The node after |n|, or NULL. */
static inline nbj__node *nbj__list_after(const nbj__list *l, const nbj__node *n)
{
    return n->next != &l->head ? n->next : NULL;
}

static inline bool nbj__node_is_linked(const nbj__node *n)
{
    return n->next != NULL;
}

/* Takes |n| out of its list; nothing happens when it is in none. */
static inline void nbj__list_remove(nbj__node *n)
{
    if (n->next == NULL)
        return;
    n->prev->next = n->next;
    n->next->prev = n->prev;
    n->prev = n->next = NULL;
}

static inline nbj__node *nbj__list_pop(nbj__list *l)
{
    nbj__node *n = nbj__list_first(l);

    if (n != NULL)
        nbj__list_remove(n);
    return n;
}

#endif
