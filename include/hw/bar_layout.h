/* SPDX-License-Identifier: MIT */
/*
 * Where everything lies in BAR 2 of the virtual GPU's PCI function.
 *
 * BAR 2 is a sparse shared-memory file of power-of-two size. The launcher creates it, QEMU maps it into the
 * guest as a 64-bit prefetchable BAR, and kfdlab-gpu maps the same file. It is ordinary write-back memory:
 * a store by either side is seen by the other without a trap, so a "register" is a word with one writer and
 * an event is a doorbell (guest to host) or an MSI-X vector (host to guest). docs/device.md is the manual.
 *
 *   0x000000  identity page     written by the launcher before the VM starts, constant afterwards
 *   0x001000  device page       written by kfdlab-gpu; by the launcher only while no device process exists
 *   0x002000  driver page       written by the guest driver
 *   0x010000  control ring      driver -> device, 64-byte entries
 *   0x020000  copy ring         driver -> device, SDMA packets
 *   0x060000  IH ring           device -> driver, 32-byte entries
 *   0x100000  doorbell pages    user space -> device
 *   0x200000  VRAM              2 MiB aligned because memremap_pages() wants whole subsections
 */
#ifndef KFDLAB_HW_BAR_LAYOUT_H
#define KFDLAB_HW_BAR_LAYOUT_H

#define KFDLAB_BAR_IDENTITY	0x000000u
#define KFDLAB_BAR_DEVICE_REGS	0x001000u
#define KFDLAB_BAR_DRIVER_REGS	0x002000u
#define KFDLAB_BAR_CONTROL_RING	0x010000u
#define KFDLAB_BAR_COPY_RING	0x020000u
#define KFDLAB_BAR_IH_RING	0x060000u
#define KFDLAB_BAR_DOORBELLS	0x100000u
#define KFDLAB_BAR_VRAM		0x200000u

/* Ring sizes in bytes; all powers of two. */
#define KFDLAB_CONTROL_RING_SIZE	0x10000u
#define KFDLAB_COPY_RING_SIZE		0x40000u
#define KFDLAB_IH_RING_SIZE		0x20000u
#define KFDLAB_DOORBELL_SIZE		0x100000u

/* PCI identity of QEMU's ivshmem-doorbell, the function the virtual GPU lives in. */
#define KFDLAB_PCI_VENDOR_ID	0x1af4u
#define KFDLAB_PCI_DEVICE_ID	0x1110u
/* BAR 0 of ivshmem-doorbell: a 32-bit store of (peer << 16 | vector) here rings that peer. */
#define KFDLAB_IVSHMEM_DOORBELL	0x0cu
/* ivshmem peer numbers that the launcher hands out. */
#define KFDLAB_PEER_DEVICE	0u
#define KFDLAB_PEER_GUEST	1u

/* Doorbell vectors of KFDLAB_PEER_DEVICE (guest -> host). */
enum kfdlab_kick {
	KFDLAB_KICK_CONTROL = 0,	/* control ring has entries */
	KFDLAB_KICK_COPY = 1,		/* copy ring has packets */
	KFDLAB_KICK_QUEUE = 2,		/* queue_armed was cleared: somebody wants to write a doorbell */
	KFDLAB_KICK_RESET = 3,		/* reset_request was written; the launcher listens, not the device */
	KFDLAB_KICK_COUNT
};

/* MSI-X vectors of KFDLAB_PEER_GUEST (host -> guest). */
enum kfdlab_irq {
	KFDLAB_IRQ_IH = 0,		/* IH ring has entries */
	KFDLAB_IRQ_CONTROL = 1,		/* control_done advanced */
	KFDLAB_IRQ_STATE = 2,		/* the state register changed */
	KFDLAB_IRQ_QUEUE_IDLE = 3,	/* queue_idle became non-zero */
	KFDLAB_IRQ_COUNT
};

#endif
