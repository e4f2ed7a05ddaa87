# SPDX-License-Identifier: Apache-2.0
# check-unit: one program per tests/unit/test_*.c.  A test that needs objects
# beyond the libraries gets them as further prerequisites.

UNIT_TESTS := $(patsubst tests/unit/%.c,$(B)/tests/unit/%,$(wildcard tests/unit/test_*.c))
UNIT_LIBS   = -lcmocka $(call pkglibs,libssl libcrypto liburing libnl-genl-3.0 sqlite3 jansson)

$(B)/tests/unit/%: $(B)/obj/tests/unit/%.o $(LIBHSM) $(FW_LIB)
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) -o $@ $(filter %.o,$^) $(filter %.a,$^) $(UNIT_LIBS) $(FW_LIBS)

$(B)/tests/unit/test_httpd $(B)/tests/unit/test_httpd_limits: $(call obj,tests/unit/httpd_fixture.c)

check-unit: $(UNIT_TESTS)
	@failed=; for t in $^; do echo "== $$t"; $$t || failed=1; done; test -z "$$failed"

.PHONY: check-unit
.SECONDARY: $(UNIT_TESTS:$(B)/%=$(B)/obj/%.o)
