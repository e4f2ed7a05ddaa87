# SPDX-License-Identifier: Apache-2.0
# libhsm.a: what the daemons and hsmctl share.  A program links it with the
# libraries it needs itself: $(LIBHSM) $(call pkglibs,liburing libssl libcrypto).

CFLAGS  += -iquote userspace/lib

LIBHSM  := $(B)/libhsm.a
LIBHSM_SRCS := $(wildcard userspace/lib/*.c)

# The soft card is the only part of userspace that sees the firmware's interface.
# A program that links it adds $(FW_LIB) $(FW_LIBS).
$(B)/obj/userspace/lib/pool_soft.o: CFLAGS += -Iqemu-hsm/firmware

pkglibs = $(shell pkg-config --libs $(1))

$(LIBHSM): $(call obj,$(LIBHSM_SRCS))
	@mkdir -p $(@D)
	rm -f $@
	$(AR) rcs $@ $^

libhsm: $(LIBHSM)
all: libhsm

.PHONY: libhsm

-include $(wildcard userspace/*/*.mk)
