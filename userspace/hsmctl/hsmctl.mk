# SPDX-License-Identifier: Apache-2.0
# hsmctl.

HSMCTL_OBJS := $(call obj,$(wildcard userspace/hsmctl/*.c))

$(HSMCTL_OBJS): CFLAGS += $(shell pkg-config --cflags libnl-genl-3.0)

$(B)/bin/hsmctl: $(HSMCTL_OBJS) $(LIBHSM)
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) -o $@ $^ $(call pkglibs,liburing libnl-genl-3.0 jansson)

hsmctl: $(B)/bin/hsmctl
all: hsmctl

.PHONY: hsmctl
