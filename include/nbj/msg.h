/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * A received message. A callback gets it as a borrowed view: valid until the callback returns, unless it is retained. A
 * call that waits gives it to be released. Reading one is thread-safe; nothing here blocks; all of it is callable from
 * callbacks. */
#ifndef NBJ_MSG_H
#define NBJ_MSG_H

#include <nbj/export.h>
#include <nbj/headers.h>
#include <nbj/status.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct nbj_msg nbj_msg; /**< Opaque. */

/** The subject it was published to. Views that a message gives live as long as the message. */
NBJ_API nbj_bytes nbj_msg_subject(const nbj_msg *msg);
/** The reply subject; empty when there is none. */
NBJ_API nbj_bytes nbj_msg_reply(const nbj_msg *msg);
/** The payload; may be empty. */
NBJ_API nbj_bytes nbj_msg_data(const nbj_msg *msg);
/** The status in the header block of a control message (503, 404, …), or 0. */
NBJ_API uint16_t nbj_msg_status(const nbj_msg *msg);

/** The first header of that name; case counts (ADR-4).
 *  @retval NBJ_E_NOT_FOUND   There is none; *@p value is empty.
 *  @retval NBJ_E_BAD_HEADER  The block is broken before such a header; *@p value is empty. */
NBJ_API NBJ_CHECKED nbj_status nbj_msg_header(const nbj_msg *msg, const char *name, nbj_bytes *value);

/** Walks all headers in their order: start with *@p cursor 0.
 *  @retval NBJ_OK            @p out is filled.
 *  @retval NBJ_MORE          That was the last one.
 *  @retval NBJ_E_BAD_HEADER  The block is broken here. */
NBJ_API NBJ_CHECKED nbj_status nbj_msg_header_next(const nbj_msg *msg, size_t *cursor, nbj_header *out);

/** Keeps a message beyond its callback; it may hold up to 32 KiB of others that came with it. The message to keep is the
 *  one returned, which may be another object than @p msg. NULL: out of memory. Each retain wants one nbj_msg_release(). */
NBJ_API NBJ_CHECKED nbj_msg *nbj_msg_retain(const nbj_msg *msg);
/** Gives a retained message back, from any thread, also after its client is gone. NULL is allowed. */
NBJ_API void nbj_msg_release(nbj_msg *msg);

#ifdef __cplusplus
}
#endif
#endif
