/* SPDX-License-Identifier: Apache-2.0 */
/* The ids that were seen: what makes the processor idempotent. Kept in memory, because the demo's processor lives as
 * long as the run; a service would keep it where its work is kept, in the same transaction. */
#ifndef RIDE_DEMO_ID_SET_H
#define RIDE_DEMO_ID_SET_H

#include "events.h"

typedef struct id_set id_set;

typedef enum id_set_result {
    ID_SET_NEW = 1,
    ID_SET_KNOWN,
    ID_SET_NO_MEMORY,
} id_set_result;

id_set *id_set_new(void); /* NULL: out of memory */
void id_set_free(id_set *of);

id_set_result id_set_add(id_set *to, const char *id); /* shorter than EVENT_ID_SIZE */
bool id_set_has(const id_set *in, const char *id);

#endif
