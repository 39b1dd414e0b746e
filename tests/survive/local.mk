# survive: dying processes, full disks, missing memory, signals, unusual surroundings. `make check` runs a sample of
# each; `make check-survive` every case, `make check-memory` every failing allocation. The shims are libraries to
# preload; nothing of them is in the product.
.PHONY: check-survive check-memory
if TESTS_BUILT
SURVIVE_COMMON = tests/survive/drive.h tests/survive/drive.c tests/conditions.h
SURVIVE_LIBS = libtsr_all.la -lm
SURVIVE_TESTS = tests/survive/test_files tests/survive/test_signals
check_PROGRAMS += $(SURVIVE_TESTS)
TESTS += $(SURVIVE_TESTS)

tests_survive_test_files_SOURCES = tests/survive/test_files.c $(SURVIVE_COMMON)
tests_survive_test_files_CFLAGS = $(AM_CFLAGS)
tests_survive_test_files_LDADD = $(SURVIVE_LIBS)

tests_survive_test_signals_SOURCES = tests/survive/test_signals.c $(SURVIVE_COMMON)
tests_survive_test_signals_CFLAGS = $(AM_CFLAGS)
tests_survive_test_signals_LDADD = $(SURVIVE_LIBS)

# A rpath makes libtool build a convenience module as a shared object.
SHIM_LDFLAGS = -module -avoid-version -shared -rpath /nonexistent
check_LTLIBRARIES += tests/survive/io_shim.la
tests_survive_io_shim_la_SOURCES = tests/survive/io_shim.c
tests_survive_io_shim_la_CFLAGS = $(AM_CFLAGS) -fvisibility=default -fno-sanitize=all
tests_survive_io_shim_la_LDFLAGS = $(SHIM_LDFLAGS)

# A sanitizer brings an allocator of its own; this test counts and refuses allocations itself.
if !SANITIZED
check_PROGRAMS += tests/survive/test_memory
TESTS += tests/survive/test_memory
check_LTLIBRARIES += tests/survive/heap_shim.la
tests_survive_test_memory_SOURCES = tests/survive/test_memory.c tests/survive/heap.h tests/survive/heap.c $(SURVIVE_COMMON)
tests_survive_test_memory_CFLAGS = $(AM_CFLAGS) -fno-builtin -fvisibility=default
tests_survive_test_memory_LDADD = $(SURVIVE_LIBS)
tests_survive_heap_shim_la_SOURCES = tests/survive/heap_shim.c tests/survive/heap.h tests/survive/heap.c
tests_survive_heap_shim_la_CFLAGS = $(AM_CFLAGS) -fvisibility=default -fno-sanitize=all -fno-builtin
tests_survive_heap_shim_la_LDFLAGS = $(SHIM_LDFLAGS)
endif

check-survive:
	TSR_SURVIVE=full $(MAKE) $(AM_MAKEFLAGS) check TESTS='$(SURVIVE_TESTS)'

check-memory:
	TSR_SURVIVE=full $(MAKE) $(AM_MAKEFLAGS) check TESTS='tests/survive/test_memory'
endif

