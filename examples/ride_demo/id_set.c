/* SPDX-License-Identifier: Apache-2.0 */
/* The ids that were seen (id_set.h): a table with open addressing, at most half full. */
#include "id_set.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_PLACES = 1024 };

typedef struct place {
    char id[EVENT_ID_SIZE]; /* "": free */
} place;

struct id_set {
    size_t count, places; /* places: a power of two */
    place *table;
};

/* Where |id| is, or the free place where it belongs. There is one: the table is never full. */
static place *find(const id_set *in, const char *id)
{
    size_t at = (size_t)event_sum(id, strlen(id)) & (in->places - 1);

    while (in->table[at].id[0] != '\0' && strcmp(in->table[at].id, id) != 0)
        at = (at + 1) & (in->places - 1);
    return &in->table[at];
}

static bool grow(id_set *of, size_t places)
{
    id_set larger = { of->count, places, calloc(places, sizeof(place)) };

    if (larger.table == NULL)
        return false;
    for (size_t i = 0; i < of->places; i++)
        if (of->table[i].id[0] != '\0')
            *find(&larger, of->table[i].id) = of->table[i];
    free(of->table);
    *of = larger;
    return true;
}

id_set *id_set_new(void)
{
    id_set *created = calloc(1, sizeof *created);

    if (created == NULL || grow(created, FIRST_PLACES))
        return created;
    free(created);
    return NULL;
}

void id_set_free(id_set *of)
{
    if (of == NULL)
        return;
    free(of->table);
    free(of);
}

id_set_result id_set_add(id_set *to, const char *id)
{
    place *at = find(to, id);

    if (at->id[0] != '\0')
        return ID_SET_KNOWN;
    if (to->count + 1 > to->places / 2) {
        if (!grow(to, to->places * 2))
            return ID_SET_NO_MEMORY;
        at = find(to, id);
    }
    memcpy(at->id, id, strlen(id) + 1);
    to->count++;
    return ID_SET_NEW;
}

bool id_set_has(const id_set *in, const char *id)
{
    return find(in, id)->id[0] != '\0';
}
