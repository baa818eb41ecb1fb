"""Named draws for any Python program: each draw's stream belongs to the block and to the place that asks."""
