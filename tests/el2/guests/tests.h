/* SPDX-License-Identifier: MIT */
#ifndef EL2_GUEST_TESTS_H
#define EL2_GUEST_TESTS_H

/* protocol.c: those that end with status 0 if the host does its part. */

void bad_messages(void);
void covered_page(void);
void occupied_slot(void);
void answers_never_taken(void);
void scattered_rings(void);
void other_processors(void);

#endif
