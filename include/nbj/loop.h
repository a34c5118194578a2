/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * Driving a client from any event loop: one descriptor for the client's whole life, a timeout, and a call.
 *
 *     for each turn of the loop:
 *         wait until nbj_loop_fd() is readable, for nbj_loop_timeout_ns() at most
 *         nbj_loop_process()
 *
 * Ask for the timeout again in every turn: whatever is called in between may shorten it. */
#ifndef NBJ_LOOP_H
#define NBJ_LOOP_H

#include <nbj/client.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Opens a client. Connecting begins with the first nbj_loop_process(); NBJ_EVENT_CONNECTED or NBJ_EVENT_CLOSED says what
 *  came of it. Publishing, subscribing and requesting are allowed at once.
 *  @param options  Copied; NULL: all defaults.
 *  @param error    May be NULL.
 *  @retval NBJ_E_BAD_URL  A server URL is not legal; @p error says which and why.
 *  @retval NBJ_E_INVALID  An option is not legal.
 *  @retval NBJ_E_IO       No descriptor could be had.
 *  @retval NBJ_E_NOMEM    On any failure *@p out is NULL and nothing is left behind. */
NBJ_API NBJ_CHECKED nbj_status nbj_loop_open(nbj_client **out, const nbj_client_options *options, nbj_error *error);

/** The descriptor to wait for until it is readable. Never read from it. It stays the same. This and the following are for
 *  clients of nbj_loop_open() only. */
NBJ_API int nbj_loop_fd(const nbj_client *client);

/** How long to wait at most; 0: process now; NBJ_TIME_NEVER: without end. */
NBJ_API uint64_t nbj_loop_timeout_ns(const nbj_client *client);

/** Does all that can be done now; callbacks run inside. A bounded amount of work; never blocks.
 *  @retval NBJ_E_CLOSED  NBJ_EVENT_CLOSED was reported; nothing will happen any more.
 *  @retval NBJ_E_STATE   Called from a callback, or for a client of nbj_client_open(). */
NBJ_API nbj_status nbj_loop_process(nbj_client *client);

/** One turn of a loop that has nothing else to do: waits with poll() for @p max_wait_ns at most, then processes.
 *  @return  As nbj_loop_process(). A signal may end the waiting early. */
NBJ_API nbj_status nbj_loop_turn(nbj_client *client, uint64_t max_wait_ns);

#ifdef __cplusplus
}
#endif
#endif
