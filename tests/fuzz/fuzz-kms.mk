# SPDX-License-Identifier: Apache-2.0
# Fuzz targets of the KMS, with what they reach instrumented.
# Run one with, for example: build/fuzz/fuzz_json -max_total_time=20 -max_len=4096

KMS_FUZZ := $(B)/fuzz/fuzz_json $(B)/fuzz/fuzz_blob
KMS_FUZZ_FLAGS := -std=gnu11 -O1 -g $(WARN) -D_GNU_SOURCE -Iuapi -iquote userspace/lib -iquote userspace/kms \
	-fsanitize=fuzzer,address,undefined -fno-sanitize-recover=undefined
KMS_FUZZ_SRCS := $(filter-out %/main.c,$(wildcard userspace/kms/*.c)) \
	$(addprefix userspace/lib/,awsops.c base64.c cursor.c http.c uuid.c)

$(KMS_FUZZ): $(B)/fuzz/%: tests/fuzz/%.c $(KMS_FUZZ_SRCS) $(wildcard userspace/kms/*.h userspace/lib/*.h) \
	     $(LIBHSM) $(FW_LIB)
	@mkdir -p $(@D)
	$(CLANG) $(KMS_FUZZ_FLAGS) -o $@ $(filter %.c,$^) $(filter %.a,$^) $(call pkglibs,$(KMS_PKGS)) $(FW_LIBS)

fuzz-kms: $(KMS_FUZZ)
fuzz: fuzz-kms

.PHONY: fuzz-kms
