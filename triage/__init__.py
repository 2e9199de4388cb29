"""Pure core: arrays and headers in, a decision out. No files, sockets, clocks, queues or environment."""
