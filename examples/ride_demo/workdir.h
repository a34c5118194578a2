/* SPDX-License-Identifier: Apache-2.0 */
/* The directory of one run: server store, log, ledgers. */
#ifndef RIDE_DEMO_WORKDIR_H
#define RIDE_DEMO_WORKDIR_H

#include "problem.h"

#define WORKDIR_PATH_MAX 1024

/* Creates a new one under TMPDIR, else /tmp. On failure |path| is empty. */
bool workdir_create(char path[WORKDIR_PATH_MAX], problem *why);

/* Removes it with all that is in it; links are removed, not followed. */
void workdir_remove(const char *path);

#endif
