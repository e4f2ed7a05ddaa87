# SPDX-License-Identifier: Apache-2.0
# Parts keep their own fragment; this file has what they share.
#
#   make            everything but the kernel module
#   make module     hsm.ko against KDIR
#   make check      native unit tests under ASan and UBSan
#   make SAN=1 ...  the same targets, sanitized, in build/san

ifeq ($(SAN),1)
B      ?= build/san
SANFLAGS := -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
else
B      ?= build
endif

CLANG   ?= clang
KDIR    ?= /lib/modules/$(shell uname -r)/build
WARN    := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla
CFLAGS  += -std=gnu11 -O2 -g $(WARN) -D_GNU_SOURCE -fstack-protector-strong \
           -D_FORTIFY_SOURCE=2 -fPIC -Iuapi $(SANFLAGS) -MMD -MP
LDFLAGS += $(SANFLAGS) -Wl,-z,relro,-z,now

# Objects land beside each other under $(B)/obj, by source path.
$(B)/obj/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -c -o $@ $<

obj = $(patsubst %.c,$(B)/obj/%.o,$(1))

all:

-include qemu-hsm/firmware/firmware.mk
-include qemu-hsm/qemu.mk
-include driver/driver.mk
-include userspace/userspace.mk
-include tests/tests.mk

# All is made anew when a fragment changed: it may be the flags.
.EXTRA_PREREQS := $(filter %Makefile %.mk,$(MAKEFILE_LIST))

# What runs on the appliance, and nothing of the VM.
userspace: $(B)/bin/hsm-kms $(B)/bin/hsm-gateway $(B)/bin/hsmctl

# Every native unit test; run it with SAN=1.
check: check-firmware check-unit

# Rigs hold keys, and are folders with a ca.pem; `./rig reset` forgets one.
.PHONY: all check clean userspace
clean:
	@for m in build/*/mode; do \
		! test -e $$m || { echo "$${m%/mode} is up: ./rig down first" >&2; exit 1; }; done
	@for d in build/*; do test -e $$d/ca.pem || rm -rf $$d; done

-include $(shell find $(B)/obj -name '*.d' 2>/dev/null)
