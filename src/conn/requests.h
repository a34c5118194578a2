/* SPDX-License-Identifier: Apache-2.0 */
/* Calls that wait for an answer: requests, requests with many replies, flushes. Each is embedded in its owner's struct
 * and ends exactly once: by its answer, its deadline, a cancellation or the end of the client.
 *
 * Requests share one wildcard inbox. The last token of a reply subject names a slot of a table and the slot's
 * generation, so that finding a request is an index, and a late reply never completes the slot's next request. */
#ifndef NBJ_CONN_REQUESTS_H
#define NBJ_CONN_REQUESTS_H

#include "base/heap.h"
#include "base/list.h"
#include "conn/subs.h"

#define NBJ__INBOX_MAX 128u /* longest inbox prefix of an option */
#define NBJ__INBOX_NAME 22u /* random characters behind it */
#define NBJ__TOKEN_LEN 9u   /* 'R' and 8 characters of 6 bits */

typedef enum nbj__call_kind { NBJ__CALL_REQUEST = 1, NBJ__CALL_MANY, NBJ__CALL_FLUSH } nbj__call_kind;
typedef enum nbj__call_owner { NBJ__CALL_OF_APP = 1, NBJ__CALL_OF_JS, NBJ__CALL_OF_PUBLISHER } nbj__call_owner;

/* How a request with many replies ends, beside its deadline. */
typedef struct nbj__many_options {
    uint64_t max;      /* after so many replies; 0: without a limit */
    uint64_t stall_ns; /* when no reply came for so long after the last one; 0: never */
    bool sentinel;     /* at a reply without a payload, which is not handed out */
    bool until_status; /* at a reply that is a status without a payload, which is handed out */
} nbj__many_options;

typedef struct nbj__call {
    nbj__call_kind kind;
    nbj__call_owner owner;
    bool done;         /* the outcome is |status| */
    nbj_status status; /* once done */
    nbj__node node;    /* in the list of those that wait, then in that of those that are done */
    nbj__timer timer;
    nbj_time started;
    uint32_t slot;    /* REQUEST */
    uint64_t subject; /* REQUEST, MANY: its hash, to find the one that the server had no permission for */
    uint64_t barrier; /* FLUSH: the PONG it waits for; 0 while its PING could not be sent */
    nbj__many_options many;
    nbj_time deadline; /* MANY: of the whole */
    uint64_t replies;  /* MANY */
    nbj__sub inbox;    /* MANY */
} nbj__call;

typedef struct nbj__slot {
    nbj__call *call;     /* NULL: free */
    uint32_t generation; /* of its present or next call */
    uint32_t next_free;
} nbj__slot;

typedef struct nbj__slots {
    const nbj_allocator *alloc;
    nbj__slot *items;
    uint32_t cap, used;
    uint32_t first_free; /* cap: none */
} nbj__slots;

void nbj__slots_init(nbj__slots *t, const nbj_allocator *alloc);
void nbj__slots_free(nbj__slots *t);
nbj_status nbj__slots_add(nbj__slots *t, nbj__call *call); /* sets call->slot; NBJ_E_FULL, NBJ_E_NOMEM */
void nbj__slots_remove(nbj__slots *t, const nbj__call *call);

/* The token of |call|: NBJ__TOKEN_LEN characters. */
void nbj__slots_token(const nbj__slots *t, const nbj__call *call, char *out);

/* The call that a reply's last token names; NULL: late, or not one of ours. */
nbj__call *nbj__slots_find(const nbj__slots *t, nbj_bytes token);

/* Writes |bits| bits of |value|, 6 to a character; and reads them back. */
void nbj__token_write(char *out, uint64_t value, size_t characters);
bool nbj__token_read(const uint8_t *in, size_t characters, uint64_t *value);

#endif
