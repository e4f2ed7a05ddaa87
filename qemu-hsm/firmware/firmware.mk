# SPDX-License-Identifier: Apache-2.0
# libhsmfw.a: the card's firmware.  Link it with $(FW_LIBS).

FW_SRCS := $(addprefix qemu-hsm/firmware/,cache.c card.c clone.c crypto.c data.c ecdh.c nvram.c \
	     partition.c selftest.c token.c)
FW_LIB  := $(B)/libhsmfw.a
FW_LIBS := -lcrypto -lpthread

$(FW_LIB): $(call obj,$(FW_SRCS))
	@mkdir -p $(@D)
	rm -f $@
	$(AR) rcs $@ $^

firmware: $(FW_LIB)
all: firmware

.PHONY: firmware
