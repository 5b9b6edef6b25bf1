/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What KVM offers of the CPU, remembered from one run to the next: KVM executes CPUID some 75 times
 * to tell, and in a virtual machine each of them goes to the host below.
 *
 * Logs KVM's refusal, once; all else is silent, as KVM can always be asked. For the main thread,
 * before it is jailed.
 */
#ifndef HUSK_CPUID_H
#define HUSK_CPUID_H

#include <limits.h>
#include <stdbool.h>

/* What each table here has room for. */
#define CPUID_ENTRIES_MAX 256
/* Asking that takes longer is worth a file; where CPUID does not leave a guest, it takes less. */
#define CPUID_SLOW_NS 100000

struct kvm_cpuid2;

/* The table that KVM supports, from KVM. The caller frees it. 0 or -errno. */
int cpuid_ask(int kvm_fd, struct kvm_cpuid2 **ret_table);

/*
 * The same, from the file in `folder` (borrowed) where that has what this KVM would tell on this
 * CPU. If not, and if asking was slow, the folder and the file are made for the next run. NULL: no
 * folder. Leaves no descriptor open. The caller frees the table. 0 or -errno.
 */
int cpuid_recall(int kvm_fd, const char *folder, struct kvm_cpuid2 **ret_table);

/* The folder for the user who runs husk, which need not be there; false: the user has none. */
bool cpuid_folder(char ret_path[PATH_MAX]);

#endif
