# SPDX-License-Identifier: Apache-2.0
# Fuzz targets of the firmware, with the firmware itself instrumented.
# Run one with, for example: build/fuzz/fuzz_fw -max_total_time=20 -max_len=4096

FW_FUZZ := $(B)/fuzz/fuzz_fw $(B)/fuzz/fuzz_token
FW_FUZZ_FLAGS := -std=gnu11 -O1 -g $(WARN) -D_GNU_SOURCE -Iuapi \
	-fsanitize=fuzzer,address,undefined -fno-sanitize-recover=undefined

$(FW_FUZZ): $(B)/fuzz/%: tests/fuzz/%.c tests/fuzz/card.h $(FW_SRCS) \
	    $(wildcard qemu-hsm/firmware/*.h) uapi/hsm_cmd.h
	@mkdir -p $(@D)
	$(CLANG) $(FW_FUZZ_FLAGS) -o $@ $(filter %.c,$^) $(FW_LIBS)

fuzz-fw: $(FW_FUZZ)
fuzz: fuzz-fw

.PHONY: fuzz-fw
