/* SPDX-License-Identifier: Apache-2.0 */
/* Which process a client belongs to, told without a system call: a page that is zero in every child. */
#ifndef NBJ_DRIVER_PROCESS_H
#define NBJ_DRIVER_PROCESS_H

#include <stdbool.h>

typedef struct nbj__process_mark {
    volatile unsigned char *page; /* NULL: the kernel offers none, and children are not recognised */
} nbj__process_mark;

void nbj__process_mark_set(nbj__process_mark *m);
void nbj__process_mark_free(nbj__process_mark *m);

static inline bool nbj__process_is_other(const nbj__process_mark *m)
{
    return m->page != (void *)0 && *m->page == 0;
}

#endif
