"""The tables of a study: their schema, and the only reading and writing of Parquet."""
