/* SPDX-License-Identifier: Apache-2.0 */
/* Cost must not grow with size: CPU for each message over payload, threads and subscriptions, and memory. */
#ifndef BENCH_CURVES_H
#define BENCH_CURVES_H

#include "rows.h"

#include <stdio.h>

/* Measures them all on the running server and prints each as it is there. */
void play_curves(bench *b, FILE *out);

#endif
