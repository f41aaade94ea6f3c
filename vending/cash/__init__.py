"""Cash and credit: vendors, shifts, batches, the bank."""
