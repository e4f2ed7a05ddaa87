# SPDX-License-Identifier: Apache-2.0
# Fuzz target of the messages between gateway and KMS.  The ring's functions are
# linked in, never run.

CARRIER_FUZZ_SRCS := tests/fuzz/fuzz_callmsg.c \
	$(addprefix userspace/lib/,callmsg.c awsops.c cursor.c http.c usersock.c ring.c log.c)

$(B)/fuzz/fuzz_callmsg: $(CARRIER_FUZZ_SRCS) $(wildcard userspace/lib/*.h)
	@mkdir -p $(@D)
	$(CLANG) -std=gnu11 -O1 -g $(WARN) -D_GNU_SOURCE -Iuapi -iquote userspace/lib \
		-fsanitize=fuzzer,address,undefined -fno-sanitize-recover=undefined \
		-o $@ $(filter %.c,$^) -luring

fuzz-carrier: $(B)/fuzz/fuzz_callmsg
fuzz: fuzz-carrier

.PHONY: fuzz fuzz-carrier
