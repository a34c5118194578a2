/* SPDX-License-Identifier: Apache-2.0 */
/* For tests of js/batch.h and js/ingest.h on a session between arrays: which transitions were taken, and ids and inboxes
 * that are random, shortened. */
#ifndef NBJ_TEST_JS_BATCHES_H
#define NBJ_TEST_JS_BATCHES_H

#include "conn/fixture.h"

#define INFO_215                                                                                              \
    "INFO {\"server_id\":\"S1\",\"server_name\":\"one\",\"version\":\"2.15.1\",\"proto\":1,\"headers\":true," \
    "\"max_payload\":1048576,\"client_id\":7,\"jetstream\":true}\r\n"

static fixture f;
static bool taken[16][16];

static inline void on_transition(void *ctx, const nbj__machine *machine, int from, int to)
{
    if (machine == ctx)
        taken[from][to] = true;
}

/* All that are legal have happened in the tests before. */
static inline void all_were_taken(const nbj__machine *machine)
{
    for (size_t i = 0; i < machine->count; i++) {
        if (!taken[machine->legal[i].from][machine->legal[i].to])
            TS_FAIL("%s: %d to %d never happened", machine->name, machine->legal[i].from, machine->legal[i].to);
    }
}

/* A connected session whose first seconds are over. */
static inline void begin_session(const char *info, void (*on_event)(fixture *f, const nbj__event *ev))
{
    fix_open(&f, NULL);
    f.on_event = on_event;
    fix_shake(&f, info);
    fix_advance(&f, NBJ_SECONDS(10));
    fix_write(&f, SIZE_MAX);
    f.raw_len = 0;
}

static inline void lose_connection(void)
{
    fix_write(&f, SIZE_MAX);
    f.raw_len = 0;
    fix_lose(&f, NBJ_E_EOF);
}

static inline void come_back(const char *info)
{
    while (nbj__session_phase(f.s) != NBJ__PHASE_DIALING)
        fix_at(&f, nbj__session_deadline(f.s));
    fix_dialed(&f);
    fix_feed(&f, info);
    fix_write(&f, SIZE_MAX);
    f.raw_len = 0;
    fix_feed(&f, "PONG\r\n");
    f.events[0] = '\0';
}

/* Replaces each |n| characters behind |before| in |text| by "@". */
static inline void shorten(char *text, const char *before, size_t n)
{
    for (char *at = strstr(text, before); at != NULL; at = strstr(at + strlen(before), before)) {
        char *from = at + strlen(before);
        if (strlen(from) < n)
            return;
        *from = '@';
        memmove(from + 1, from + n, strlen(from + n) + 1);
    }
}

#endif
