# SPDX-License-Identifier: Apache-2.0
# The kernel module, against KDIR; it and its objects land in
# $(B)/module/<release>/, anew when that was made for another KDIR: two kernels
# of one release may differ in all else.  A warning fails the build.  No BTF:
# it would need pahole and the kernel's vmlinux, and nothing here reads it.

module: MODRELEASE = $(shell sed -n "s/.*UTS_RELEASE \"\(.*\)\"/\1/p" $(KDIR)/include/generated/utsrelease.h)
module: MODDIR = $(B)/module/$(MODRELEASE)
module:
	@test -n "$(MODRELEASE)" || { echo "KDIR=$(KDIR): no kernel's build directory" >&2; exit 1; }
	@grep -qsxF "$(realpath $(KDIR))" $(MODDIR)/.kdir || rm -rf $(MODDIR)
	@mkdir -p $(MODDIR)/driver $(MODDIR)/uapi
	@echo "$(realpath $(KDIR))" >$(MODDIR)/.kdir
	@for f in Kbuild driver/*.[ch] uapi/*.h; do \
		cmp -s $$f $(MODDIR)/$$f || cp $$f $(MODDIR)/$$f || exit 1; done
	@for f in $(MODDIR)/driver/*.[ch]; do \
		case $$f in *.mod.c) continue;; esac; \
		test -e driver/$${f##*/} || rm -f $$f; done
	$(MAKE) -C $(KDIR) M=$(abspath $(MODDIR)) W=1 \
		KCFLAGS="$(KCFLAGS) -Werror" CONFIG_DEBUG_INFO_BTF_MODULES= modules
	@echo $(MODDIR)/hsm.ko

.PHONY: module
