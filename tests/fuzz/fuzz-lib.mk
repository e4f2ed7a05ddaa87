# SPDX-License-Identifier: Apache-2.0
# Fuzz targets of what the shared library reads from the network.
# Run one with, for example: build/fuzz/fuzz_http -max_total_time=20 -max_len=4096

LIB_FUZZ := $(B)/fuzz/fuzz_http $(B)/fuzz/fuzz_sigv4 $(B)/fuzz/fuzz_base64
LIB_FUZZ_SRCS := $(addprefix userspace/lib/,base64.c cursor.c http.c sigv4.c)
LIB_FUZZ_FLAGS := -std=gnu11 -O1 -g $(WARN) -D_GNU_SOURCE -iquote userspace/lib \
	-fsanitize=fuzzer,address,undefined -fno-sanitize-recover=undefined

$(LIB_FUZZ): $(B)/fuzz/%: tests/fuzz/%.c $(LIB_FUZZ_SRCS) $(wildcard userspace/lib/*.h)
	@mkdir -p $(@D)
	$(CLANG) $(LIB_FUZZ_FLAGS) -o $@ $(filter %.c,$^) -lcrypto

fuzz-lib: $(LIB_FUZZ)
fuzz: fuzz-lib

.PHONY: fuzz-lib
