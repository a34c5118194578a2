/* SPDX-License-Identifier: Apache-2.0 */
/* The driver's state, shared by the files that make it up:
 *   driver.c  beginning and end, the epoll set, deadlines, a turn of everything, a turn of the socket alone
 *   obey.c    what the session's events ask for: connecting, TLS, credentials, hanging up
 *   octets.c  reading and writing */
#ifndef NBJ_DRIVER_DRIVER_INT_H
#define NBJ_DRIVER_DRIVER_INT_H

#include "driver/channel.h"
#include "driver/driver.h"

#define NBJ__TAG_SOCKET 1u
#define NBJ__TAG_WAKE 2u
#define NBJ__TAG_RESOLVER ((uint64_t)2 << 32) /* + descriptor */
#define NBJ__TAG_RACER ((uint64_t)3 << 32)    /* + descriptor */

struct nbj__driver {
    nbj__driver_config cfg;
    nbj__session *session;
    nbj__dialer dialer;
    char *credentials_file, *nkey_seed_file;
    int epoll_fd;
    int wake_fd;  /* in the epoll set; -1: there are no threads */
    int nudge_fd; /* for nbj__driver_read */
    bool is_woken;
    bool is_waiting;                 /* nbj__driver_read does, without the lock */
    bool is_nudged;                  /* … and is to end it */
    nbj__channel channel;            /* the connected socket */
    nbj__tls_options tls;            /* for all connections; without a host */
    char *first_name;                /* whose certificate to expect before anything else; NULL: INFO comes first */
    nbj_time first_begun, first_due; /* of that handshake */
    uint32_t watched;                /* what the epoll set watches it for; 0: it is disarmed */
    bool readable;                   /* the socket may have something */
    bool ending;                     /* it will end: it is read until it says so */
    bool writable;                   /* the socket may take something */
    bool write_failed;               /* nothing more is written; reading will tell why */
    bool writing;                    /* some thread does, without the lock */
    bool closed;                     /* the last event was given out */
    pthread_cond_t written;
};

/* A read: begun and ended with the lock, received without. */
typedef struct nbj__reading {
    uint8_t *at;
    size_t room;
    bool was_shaking;
    nbj__received got;
} nbj__reading;

/* driver.c */
void nbj__driver_close_socket(nbj__driver *d);
void nbj__driver_await_writer(nbj__driver *d);
void nbj__driver_forget_names(nbj__driver *d); /* of files with credentials */

/* obey.c */
void nbj__driver_watch(nbj__driver *d, uint32_t events); /* the socket, in the epoll set */
void nbj__driver_after_dialer(nbj__driver *d, nbj_status st, nbj_time now);
void nbj__driver_first_on_time(nbj__driver *d, nbj_time now); /* of TLS that comes first */
void nbj__driver_pump(nbj__driver *d, nbj_time now);          /* hands out all events */
void nbj__driver_lose(nbj__driver *d, nbj_status st, const char *text, nbj_time now);

/* octets.c */
bool nbj__driver_begin_read(nbj__driver *d, nbj__reading *r, nbj_time now); /* false: the connection is given up */
void nbj__driver_receive(nbj__driver *d, nbj__reading *r);
void nbj__driver_end_read(nbj__driver *d, const nbj__reading *r, nbj_time now);
void nbj__driver_read_all(nbj__driver *d);
void nbj__driver_write_all(nbj__driver *d);

#endif
