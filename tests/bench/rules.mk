# SPDX-License-Identifier: MIT
# KMCL is measured between two processors that do no more than they have to.
$(BUILD)/bench/kmcl_bench: $(BUILD)/bench/tests/unit/processors/machine.o
