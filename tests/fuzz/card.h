/* SPDX-License-Identifier: Apache-2.0 */
/* The card under a fuzz target: NVRAM in memory, gone when the process ends. */
#ifndef FUZZ_CARD_H
#define FUZZ_CARD_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hsm_cmd.h"
#include "../../qemu-hsm/firmware/hsm_fw.h"

#define CHECK(x)								\
	do {									\
		if (!(x)) {							\
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #x);	\
			abort();						\
		}								\
	} while (0)

static const uint8_t fuzz_part[2][16] = { "\xa0partition-alpha", "\xb0partition-beta!" };

static char fuzz_dir[] = "/dev/shm/hsm-fuzz-XXXXXX";
static char fuzz_nvram[64];

static void fuzz_sweep(void)
{
	char path[80];

	snprintf(path, sizeof(path), "%s.lock", fuzz_nvram);
	unlink(path);
	unlink(fuzz_nvram);
	rmdir(fuzz_dir);
}

static struct hsm_fw *fuzz_card(void)
{
	struct hsm_fw_config cfg = { .nvram = fuzz_nvram };
	struct hsm_fw *fw;

	CHECK(mkdtemp(fuzz_dir));
	snprintf(fuzz_nvram, sizeof(fuzz_nvram), "%s/nvram", fuzz_dir);
	atexit(fuzz_sweep);
	CHECK(!hsm_fw_open(&cfg, &fw));
	for (int i = 0; i < 2; i++) {
		size_t n = 0;

		CHECK(!hsm_fw_exec(fw, NULL, HSM_OP_PARTITION_CREATE, fuzz_part[i], 16, NULL, &n));
	}
	return fw;
}

#endif /* FUZZ_CARD_H */
