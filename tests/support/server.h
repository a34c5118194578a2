/* SPDX-License-Identifier: Apache-2.0 */
/* A real nats-server for a test: started, tormented and removed. Every call that cannot do its work fails the test and
 * shows the end of the server's log; a missing binary fails it too, nothing is ever skipped. All servers and their
 * files are gone when the program ends, however it ends, but for the files of a server of a failed test.
 *
 * The binary: $NBJ_TEST_SERVER, else $NBJ_NATS_SERVER, else nats-server on $PATH (and in /usr/sbin).
 * A server dies with the thread that started it, so start servers from the test's main thread. */
#ifndef NBJ_TEST_SERVER_H
#define NBJ_TEST_SERVER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define TS_CLUSTER_MAX 8

typedef struct ts_server ts_server;

typedef struct ts_server_options {
    bool tls_first;     /* it says nothing in clear: it is up when its log says so */
    bool jetstream;     /* with a store directory of its own, kept until ts_server_free */
    const char *domain; /* JetStream's; NULL: none */
    const char *config; /* more of the configuration file, or NULL. Not: listen, port, server_name, cluster. Copied. */
    const char *max_file; /* of JetStream's files. NULL: 1GB */
    int start_ms;         /* how long a start may take, as with a large store. 0: 10 s */
} ts_server_options;

/* Starts one on a free port of 127.0.0.1 and returns when it has answered with INFO. |options| NULL: all default. */
ts_server *ts_server_start(const ts_server_options *options);
void ts_server_free(ts_server *s); /* kills it, removes its files. NULL is allowed */

uint16_t ts_server_port(const ts_server *s);
const char *ts_server_url(const ts_server *s);     /* nats://127.0.0.1:port */
const char *ts_server_version(const ts_server *s); /* as its INFO says: "2.10.27" */
bool ts_server_is_at_least(const ts_server *s, int major, int minor, int patch);
const char *ts_server_log(const ts_server *s); /* path of its log, one file over all restarts */
pid_t ts_server_pid(const ts_server *s);       /* 0: not running */

void ts_server_kill9(ts_server *s);   /* SIGKILL; gone when it returns */
void ts_server_stop(ts_server *s);    /* SIGTERM; gone when it returns */
void ts_server_restart(ts_server *s); /* same port and store. Kills it first when it runs */
void ts_server_pause(ts_server *s);   /* SIGSTOP; stopped when it returns */
void ts_server_cont(ts_server *s);    /* SIGCONT */
/* SIGUSR2; returns when its log says so. Clients are closed after the configured lame_duck_grace_period (10 s). */
void ts_server_lame_duck(ts_server *s);

/* SIGHUP with a new |config| in place of the former one (NULL: the same); returns when it is in force. */
void ts_server_reload(ts_server *s, const char *config);

/* Waits until the server ends by itself, as after lame duck. */
void ts_server_wait_gone(ts_server *s, int ms);

/* Waits until |text| is in what was logged since the last start. */
void ts_server_wait_log(ts_server *s, const char *text, int ms);

typedef struct ts_cluster {
    int count;
    ts_server *server[TS_CLUSTER_MAX];
} ts_cluster;

/* |count| servers with routes among them; returns when each names all of them in connect_urls and, with JetStream, the
 * JetStream cluster has a leader. Members are stopped, restarted and so on as single servers are. */
ts_cluster ts_cluster_start(int count, const ts_server_options *options);
void ts_cluster_free(ts_cluster *c);

#endif
