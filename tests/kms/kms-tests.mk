# SPDX-License-Identifier: Apache-2.0
# hsm-kms end to end, natively, with boto3 (python3-boto3).

check-kms: $(B)/bin/hsm-kms $(B)/bin/hsm-gateway
	/usr/bin/python3 tests/kms/e2e.py $(B)

.PHONY: check-kms
