# SPDX-License-Identifier: GPL-2.0
# The driver's tests: one program each, to be run in a VM by tests/driver/run.sh.

DRIVER_TESTS := $(filter-out hsmlib tap,$(basename $(notdir $(wildcard tests/driver/*.c))))
DRIVER_TEST_BINS := $(DRIVER_TESTS:%=$(B)/driver-tests/%)
DRIVER_TEST_OBJS := $(call obj,tests/driver/hsmlib.c tests/driver/tap.c)

driver-tests: $(DRIVER_TEST_BINS)
all: driver-tests

$(DRIVER_TEST_BINS): $(B)/driver-tests/%: $(B)/obj/tests/driver/%.o $(DRIVER_TEST_OBJS)
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) -o $@ $^ -luring -lpthread

.PHONY: driver-tests
