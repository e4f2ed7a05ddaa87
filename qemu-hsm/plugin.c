// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Entry of the device as a plug-in of a packaged QEMU.  No instrumentation is
 * registered: the plug-in loader is only what brings the object in.
 *
 * The device uses QEMU's own structures, so it works with exactly the binary
 * whose sources it was built from: the linker's build id tells.
 */
#include "hsm.h"
#include "hsm-build.h"		/* made by build-plugin.sh: HSM_QEMU_BUILD_ID, HSM_QEMU_PACKAGE */
#if __has_include("plugins/qemu-plugin.h")
#include "plugins/qemu-plugin.h"
#else
#include "qemu/qemu-plugin.h"
#endif

#include <link.h>

/* QEMU's elf.h comes before the system's and lacks it. */
#ifndef NT_GNU_BUILD_ID
#define NT_GNU_BUILD_ID 3
#endif

QEMU_PLUGIN_EXPORT int qemu_plugin_version = QEMU_PLUGIN_VERSION;

static int find_build_id(struct dl_phdr_info *info, size_t size, void *opaque)
{
	GString *id = opaque;
	int i;

	for (i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *ph = &info->dlpi_phdr[i];
		const uint8_t *p = (const uint8_t *)(info->dlpi_addr + ph->p_vaddr);
		const uint8_t *end = p + ph->p_memsz;

		if (ph->p_type != PT_NOTE)
			continue;
		while (end - p >= (ptrdiff_t)sizeof(ElfW(Nhdr))) {
			const ElfW(Nhdr) *note = (const ElfW(Nhdr) *)p;
			const uint8_t *name = p + sizeof(*note);
			const uint8_t *desc = name + ROUND_UP(note->n_namesz, 4);
			uint32_t j;

			if (note->n_type == NT_GNU_BUILD_ID && note->n_namesz == 4 &&
			    !memcmp(name, "GNU", 4)) {
				for (j = 0; j < note->n_descsz; j++)
					g_string_append_printf(id, "%02x", desc[j]);
				return 1;
			}
			p = desc + ROUND_UP(note->n_descsz, 4);
		}
	}
	/* The first object is the program; what follows is libraries. */
	return 1;
}

QEMU_PLUGIN_EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc,
					   char **argv)
{
	g_autoptr(GString) running = g_string_new(NULL);

	dl_iterate_phdr(find_build_id, running);
	if (strcmp(running->str, HSM_QEMU_BUILD_ID)) {
		fprintf(stderr,
			"hsm: built for QEMU %s (build id %s), but this one has build id %s: run make build/hsm.so\n",
			HSM_QEMU_PACKAGE, HSM_QEMU_BUILD_ID,
			running->len ? running->str : "(none)");
		return -1;
	}
	hsm_register_types();
	return 0;
}
