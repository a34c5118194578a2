/* SPDX-License-Identifier: Apache-2.0 */
/* Starting the library's own threads. */
#ifndef NBJ_DRIVER_THREAD_H
#define NBJ_DRIVER_THREAD_H

#include <nbj/status.h>
#include <pthread.h>

/* A thread named |name| that takes no signals: those are the program's. NBJ_E_NOMEM: none could be had. */
nbj_status nbj__thread_start(pthread_t *out, const char *name, void *(*main)(void *), void *arg, nbj_error *error);

#endif
