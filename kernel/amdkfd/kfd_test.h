/* SPDX-License-Identifier: GPL-2.0 */
/* What the files behind /dev/kfdlab_test share. */
#ifndef KFD_TEST_H
#define KFD_TEST_H

/* kfd_test_hold.c: KFDLAB_TEST_HOLD */
long kfd_test_hold(void __user *argp);

/* kfd_test_translate.c: KFDLAB_TEST_TRANSLATE */
long kfd_test_translate(void __user *argp);

#endif
