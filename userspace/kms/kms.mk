# SPDX-License-Identifier: Apache-2.0
# hsm-kms.  Its tests and fuzz targets link KMS_OBJS: everything but main().

KMS_SRCS := $(wildcard userspace/kms/*.c)
KMS_OBJS := $(call obj,$(filter-out %/main.c,$(KMS_SRCS)))
KMS_PKGS := liburing libssl libcrypto libnl-genl-3.0 sqlite3 jansson

$(B)/bin/hsm-kms: $(call obj,$(KMS_SRCS)) $(LIBHSM) $(FW_LIB)
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) -o $@ $^ $(call pkglibs,$(KMS_PKGS)) $(FW_LIBS)

kms: $(B)/bin/hsm-kms
all: kms

KMS_TESTS := $(patsubst tests/unit/%.c,$(B)/tests/unit/%,$(wildcard tests/unit/test_kms_*.c))
$(KMS_TESTS): $(KMS_OBJS)
$(patsubst %,$(B)/obj/tests/unit/%.o,$(notdir $(KMS_TESTS))): CFLAGS += -iquote userspace/kms

.PHONY: kms
