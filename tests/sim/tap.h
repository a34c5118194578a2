/* SPDX-License-Identifier: Apache-2.0 */
/* Listens to what a client writes, operation by operation, whether it will arrive or not. */
#ifndef SIM_TAP_H
#define SIM_TAP_H

#include "model_int.h"

typedef struct tap {
    buf in;
    size_t seen;       /* octets of a line that were searched for its end */
    const char *error; /* the first deviation from the grammar; the rest is not listened to */
    void (*heard)(void *user, const client_op *op, str header, str data);
    void *user;
} tap;

void tap_write(tap *t, const void *data, size_t len);
bool tap_is_between(const tap *t); /* the last operation is complete */
void tap_reset(tap *t);            /* a new connection */
void tap_free(tap *t);

#endif
