# SPDX-License-Identifier: Apache-2.0
# hsm-gateway.  Whoever links $(LIBHSM) and opens a route adds $(call pkglibs,libnl-genl-3.0).

$(call obj,userspace/lib/genl.c userspace/lib/route_genl.c): CFLAGS += $(shell pkg-config --cflags libnl-genl-3.0)

GATEWAY_SRCS := $(wildcard userspace/gateway/*.c)

$(B)/bin/hsm-gateway: $(call obj,$(GATEWAY_SRCS)) $(LIBHSM)
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) -o $@ $^ $(call pkglibs,liburing libssl libcrypto libnl-genl-3.0) -lpthread

gateway: $(B)/bin/hsm-gateway

.PHONY: gateway
all: gateway

$(B)/tests/unit/test_gateway: $(call obj,userspace/gateway/serve.c userspace/gateway/policy.c)
