# SPDX-License-Identifier: Apache-2.0
# Each part has a fragment of its own, and adds its targets to check and fuzz.

include $(wildcard tests/*/*.mk)

.PHONY: fuzz
