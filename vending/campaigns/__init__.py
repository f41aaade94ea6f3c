"""Key changes of whole supply groups."""
