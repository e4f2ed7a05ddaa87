// SPDX-License-Identifier: GPL-2.0-or-later
/* Surprise removal as the port above sees it. */
#include "hsm.h"
#include "hw/pci/msi.h"
#include "hw/pci/msix.h"
#include "hw/pci/pci_bridge.h"
#include "hw/pci/pci_bus.h"
#include "hw/pci/pcie.h"

/*
 * PCI Express Base 4.0, 6.7.3.  A slot with an attention button, such as QEMU's,
 * has presence detect change disabled by Linux, which relies on data link layer
 * state change instead; QEMU's ports don't implement that one.  So any enabled
 * hot-plug interrupt sends the vector: the host's handler reads all causes.
 */
void hsm_slot_empty(PCIDevice *pci)
{
	PCIDevice *port = pci_bridge_get_device(pci_get_bus(pci));
	uint8_t *cap;
	uint16_t control;

	if (!port || !pci_is_express(port) || !port->exp.exp_cap)
		return;
	cap = port->config + port->exp.exp_cap;
	pci_word_test_and_clear_mask(cap + PCI_EXP_SLTSTA, PCI_EXP_SLTSTA_PDS);
	pci_word_test_and_clear_mask(cap + PCI_EXP_LNKSTA, PCI_EXP_LNKSTA_DLLLA);
	pci_word_test_and_set_mask(cap + PCI_EXP_SLTSTA, PCI_EXP_SLTSTA_PDC);

	control = pci_get_word(cap + PCI_EXP_SLTCTL);
	if (!(control & PCI_EXP_SLTCTL_HPIE))
		return;
	if (msix_enabled(port))
		msix_notify(port, pcie_cap_flags_get_vector(port));
	else if (msi_enabled(port))
		msi_notify(port, pcie_cap_flags_get_vector(port));
}
