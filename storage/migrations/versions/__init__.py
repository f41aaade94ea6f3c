"""One module for each version of the schema.  What was released is never edited."""
