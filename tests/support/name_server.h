/* SPDX-License-Identifier: Apache-2.0 */
/* A name server on a loopback port, UDP and TCP, in a thread of its own. What it does depends on the name that is asked
 * for; any other name does not exist. Addresses are 127.0.0.1, 127.0.0.2 … and ::1, ::2 ….
 *
 *   one.test      one A                         silent.test   is never answered
 *   both.test     two A, one AAAA               lost.test     one A, to the second question of each type
 *   v6.test       one AAAA                      late.test     one A, after 150 ms
 *   many.test     twenty A                      tcp.test      three A, over TCP only
 *   crowd.test    forty A                       reset.test    truncated, and reset over TCP
 *   same.test     the same A and AAAA repeated  short.test    answers are half a message
 *   empty.test    exists without addresses      broken.test   SERVFAIL
 *   dual.test     one A, one AAAA               refused.test  REFUSED
 *   private.test  one A, AAAA fd00::1
 *
 * One A and one AAAA, but of which one
 *   soon6.test  comes 15 ms late (AAAA)         hole6.test, hole4.test  never comes
 *   late6.test, late4.test  comes 300 ms late   fail6.test, fail4.test  is SERVFAIL
 * odd.test has no A, and SERVFAIL for AAAA. For search domains: pod.sub.test has an A, pod.other.test an AAAA and
 * far.other.test an A. */
#ifndef NBJ_TEST_NAME_SERVER_H
#define NBJ_TEST_NAME_SERVER_H

#include <stdbool.h>

typedef struct ts_name_server ts_name_server;

ts_name_server *ts_name_server_start(void);
void ts_name_server_free(ts_name_server *s);

const char *ts_name_server_address(const ts_name_server *s); /* "127.0.0.1:port" */
int ts_name_server_asked(ts_name_server *s);                 /* questions so far */
void ts_name_server_move(ts_name_server *s, int by);         /* the last number of each address grows by that much */
void ts_name_server_mute(ts_name_server *s, bool mute);      /* nobody is answered over UDP */

#endif
