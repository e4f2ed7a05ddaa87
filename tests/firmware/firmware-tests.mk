# SPDX-License-Identifier: Apache-2.0
# check-firmware: builds the firmware's unit tests and runs them (SAN=1: sanitized).

FW_TESTS := commands tokens clone nvram crypto threads
FW_TEST_BINS := $(FW_TESTS:%=$(B)/tests/firmware/test_%)

$(B)/tests/firmware/test_%: $(B)/obj/tests/firmware/test_%.o $(B)/obj/tests/firmware/card.o $(FW_LIB)
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) -o $@ $^ -lcmocka $(FW_LIBS)

check-firmware: $(FW_TEST_BINS)
	@failed=; for t in $^; do $$t || failed=1; done; test -z "$$failed"

.PHONY: check-firmware
.SECONDARY: $(FW_TEST_BINS:$(B)/%=$(B)/obj/%.o) $(B)/obj/tests/firmware/card.o
