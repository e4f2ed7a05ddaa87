# SPDX-License-Identifier: Apache-2.0
# Benchmarks; ./rig bench runs them.

$(B)/bench/uring_bench: $(call obj,tests/bench/uring_bench.c)
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) -o $@ $^ -luring

$(B)/bench/https_bench: $(call obj,tests/bench/https_bench.c)
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) -o $@ $^ -lssl -lcrypto -lpthread

.PHONY: bench
bench: $(B)/bench/uring_bench $(B)/bench/https_bench
