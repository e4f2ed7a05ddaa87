// SPDX-License-Identifier: GPL-2.0-or-later
/* Entry of the device when it is built as part of QEMU. */
#include "hsm.h"

type_init(hsm_register_types)
