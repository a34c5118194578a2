/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NBJ_CLIENT_OPTIONS_H
#define NBJ_CLIENT_OPTIONS_H

#include "base/options.h"

#endif
