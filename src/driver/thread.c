/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "driver/thread.h"

#include "base/text.h"

#include <signal.h>

nbj_status nbj__thread_start(pthread_t *out, const char *name, void *(*main)(void *), void *arg, nbj_error *error)
{
    sigset_t all, before;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* inherited by the thread */
    int failed = pthread_create(out, NULL, main, arg);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed != 0)
        return nbj__error_set(error, NBJ_E_NOMEM, "no thread could be started: raise the limit (ulimit -u)",
                              (char *)NULL);
    (void)pthread_setname_np(*out, name);
    return NBJ_OK;
}
