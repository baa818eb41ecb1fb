"""What can be known before any training: which arms differ at all, what they cost, how long a study will take."""
