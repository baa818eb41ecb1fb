"""Where trials are computed: executors turn tasks into events; they write no table and know no study."""
