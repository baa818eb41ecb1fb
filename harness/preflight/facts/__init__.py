"""Facts that need no training, from the networks of a study."""
