/* SPDX-License-Identifier: Apache-2.0 */
/* What publisher and processor tell the supervisor while they work, as lines on their standard output:
 *   progress <events>      rate <nanoseconds> <events> <what>      note <text>
 * Owns: this little language, both ends. It is for showing and for choosing the moment of the kill; no verdict rests
 * on it. */
#ifndef RIDE_DEMO_REPORT_H
#define RIDE_DEMO_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Events per time of work. Pauses longer than METER_PAUSE_NS, as while the server is dead, are left out. */
#define METER_PAUSE_NS 250000000u

typedef struct meter {
    uint64_t events, busy_ns;
    uint64_t last_ns; /* of the last look, 0: none yet */
} meter;

uint64_t report_now_ns(void); /* monotonic */

/* |events| is the count so far. */
void meter_look(meter *of, uint64_t events, uint64_t now_ns);

/* For the parts. Progress is told when it changed, and at most a hundred times a second unless |at_once|. */
void report_progress(uint64_t events, bool at_once);
void report_rate(const meter *of, const char *what);
__attribute__((format(printf, 1, 2))) void report_note(const char *format, ...);

/* For the supervisor. */
enum { REPORT_LINE_MAX = 512 };

typedef struct report_reader {
    size_t length;
    char line[REPORT_LINE_MAX];
} report_reader;

typedef struct report_sink {
    void (*progress)(void *user, uint64_t events);
    void (*rate)(void *user, uint64_t nanoseconds, uint64_t events, const char *what);
    void (*note)(void *user, const char *text);
    void *user;
} report_sink;

/* Reads what is there; false at the end of the pipe. */
bool report_read(report_reader *of, int fd, const report_sink *sink);

#endif
