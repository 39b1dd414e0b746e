# bench: shapes as data, the limits of the machine, kernel and model benchmarks.
