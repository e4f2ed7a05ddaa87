# SPDX-License-Identifier: GPL-2.0-or-later
# hsm.so: the card as a plug-in of the installed QEMU.  The script knows whether
# anything is to be done: the installed QEMU may have changed under us.

$(B)/hsm.so: $(B)/libhsmfw.a FORCE
	@qemu-hsm/build-plugin.sh $@ $<

plugin: $(B)/hsm.so
all: plugin

FORCE:
.PHONY: plugin FORCE
