/* SPDX-License-Identifier: GPL-2.0 */
/* /sys/class/kfd/kfd/proc/<pid>: what a process uses, under amdkfd's names. */
#ifndef KFD_PROCFS_H
#define KFD_PROCFS_H

struct kfd_process;

int kfd_procfs_init(void);
void kfd_procfs_fini(void);
/*
 * Make the process's folder, unless it has one. Without memory there is none, which costs nothing but sight. Context:
 * process, no lock held, since taking another process's folder away waits for its readers.
 */
void kfd_procfs_add(struct kfd_process *p);
/* Take the folder away; nobody reads it afterwards. Context: as kfd_procfs_add(); again is no error. */
void kfd_procfs_remove(struct kfd_process *p);

#endif
