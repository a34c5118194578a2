/* SPDX-License-Identifier: Apache-2.0 */
/* A TCP proxy that misbehaves on command, in a thread of its own. What the controls say holds for all connections,
 * present and future, until it is taken back; each is in force when its call returns, and may be called from any
 * thread. While the server cannot be reached, clients are reset right after they were accepted. */
#ifndef NBJ_TEST_PROXY_H
#define NBJ_TEST_PROXY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct ts_proxy ts_proxy;

typedef enum ts_way { TS_TO_SERVER, TS_TO_CLIENT } ts_way;

typedef enum ts_ending {
    TS_FIN, /* orderly: what was sent before still arrives */
    TS_RST, /* a reset */
} ts_ending;

/* Listens on a free port of 127.0.0.1 and forwards to |server_port| there. */
ts_proxy *ts_proxy_start(uint16_t server_port);
void ts_proxy_free(ts_proxy *p); /* closes everything; NULL is allowed */
uint16_t ts_proxy_port(const ts_proxy *p);

/* After |octets| more have been forwarded that way, over whatever connection, the one that brought the last of them is
 * ended on both sides. Once; a further call sets it anew. */
void ts_proxy_cut_after(ts_proxy *p, ts_way way, uint64_t octets, ts_ending how);
void ts_proxy_cancel_cut(ts_proxy *p, ts_way way);
void ts_proxy_cut_now(ts_proxy *p, ts_ending how); /* all connections there are */

void ts_proxy_stall(ts_proxy *p, ts_way way, bool on);      /* reads nothing: the sender's buffers fill up */
void ts_proxy_black_hole(ts_proxy *p, ts_way way, bool on); /* reads and drops, also FIN and RST: a dead peer */
void ts_proxy_refuse(ts_proxy *p, bool on);                 /* the port refuses connections; those there are stay */
void ts_proxy_delay(ts_proxy *p, ts_way way, uint64_t delay_ns); /* octets arrive that much later. 0: at once */

/* Octets |from|, where they come in one read, become |to|, which is as long; both live as long as the proxy. For an INFO
 * that lies about the server. */
void ts_proxy_replace(ts_proxy *p, ts_way way, const char *from, const char *to);

/* Forwards at most |octets| at a time, each piece |gap_ns| after the former one, so that the receiver has a chance to
 * read them one by one. 0 octets: whatever comes. */
void ts_proxy_split(ts_proxy *p, ts_way way, size_t octets, uint64_t gap_ns);

unsigned ts_proxy_accepted(ts_proxy *p);              /* connections so far */
unsigned ts_proxy_live(ts_proxy *p);                  /* connections now */
uint64_t ts_proxy_forwarded(ts_proxy *p, ts_way way); /* octets so far */

#endif
