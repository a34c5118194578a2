/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * All of the library. */
#ifndef NBJ_NBJ_H
#define NBJ_NBJ_H

#include <nbj/account.h>
#include <nbj/advisory.h>
#include <nbj/alloc.h>
#include <nbj/batch.h>
#include <nbj/bulk.h>
#include <nbj/bytes.h>
#include <nbj/call.h>
#include <nbj/client.h>
#include <nbj/consumer.h>
#include <nbj/export.h>
#include <nbj/headers.h>
#include <nbj/loop.h>
#include <nbj/msg.h>
#include <nbj/options.h>
#include <nbj/publish.h>
#include <nbj/pubsub.h>
#include <nbj/request.h>
#include <nbj/snapshot.h>
#include <nbj/status.h>
#include <nbj/stored.h>
#include <nbj/stream.h>
#include <nbj/time.h>
#include <nbj/version.h>

#endif
