"""Pure mathematics on closed bars: no I/O, no clock. Time comes in with the bars."""
