#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# https.sh [--workers N] [--connections N] [--seconds S] [--rounds N]
#
# 32-byte Encrypt over HTTPS keep-alive at a dedicated KMS on the soft card,
# against nginx answering a fixed 200-byte JSON over the same TLS.
set -eu
cd "$(dirname "$0")/../.."
export PATH="$PATH:/usr/sbin"
command -v nginx >/dev/null || { echo "https.sh: needs nginx: apt-get install nginx-light" >&2; exit 1; }
make -s build/bench/https_bench
exec /usr/bin/python3 -B tests/bench/https.py "$@"
