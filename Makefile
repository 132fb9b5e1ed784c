# smrun. `make help` lists the targets.
#
# Variables: BUILD=dir  REAL=double  SANITIZE=1  CC=clang  LUA=lua5.5  V=1 shows the commands
#            ARGS="steps=300" (for make run)
#            POISON=1 (with SANITIZE: wherever a binding allocates, finalizers run; see tests/lua/poison.lua)
#            PREFIX=/usr/local  DESTDIR=dir (for make install and uninstall)
VERSION := $(shell sed -n 's/^\#define SM_VERSION "\(.*\)"$$/\1/p' runtime/version.h)
PREFIX ?= /usr/local
LUA := lua5.4
CC := $(if $(filter default,$(origin CC)),gcc,$(CC))
REAL ?= float
SANITIZE ?= $(POISON)
BUILD ?= build$(if $(filter double,$(REAL)),/double)$(if $(POISON),/poison,$(if $(SANITIZE),/sanitize))$(if $(filter clang%,$(CC)),/clang)

ifneq ($(words $(BUILD)),1)
$(error BUILD: expected a directory without spaces, got "$(BUILD)")
endif

MACHINE := $(shell $(CC) -dumpmachine 2>/dev/null)
# The core is compiled once per instruction set; the dynamic loader picks the best one that the processor has.
LEVELS ?= $(if $(filter x86_64-%,$(MACHINE)),$(if $(SANITIZE),,x86-64-v3 x86-64-v4))

comma := ,
Q := $(if $(V),,@)
say = @$(if $(V),:,printf '  %-4s %s\n') $(1) $(2)
WARNINGS := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion -Wstrict-prototypes \
            -Wmissing-prototypes -Wvla $(if $(WERROR),-Werror) \
            $(if $(filter clang%,$(CC)),-Wno-pass-failed) # a loop that clang does not vectorise is no mistake
BASE_FLAGS := -std=c11 -g -fPIC -pthread -D_GNU_SOURCE -Iruntime $(WARNINGS) -MMD -MP \
              $(if $(filter double,$(REAL)),-DSM_DOUBLE) \
              $(if $(SANITIZE),-fsanitize=address$(comma)undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer \
              -DSM_EXACT_BLOCKS) $(if $(POISON),-DSM_POISON)
CORE_FLAGS = $(BASE_FLAGS) $(CPPFLAGS) $(CFLAGS) $(if $(SANITIZE),-O1,-O3 -falign-loops=64) -fopenmp-simd \
             -fno-math-errno -fno-trapping-math -ffp-contract=fast
HOST_FLAGS = $(BASE_FLAGS) $(CPPFLAGS) $(CFLAGS) $(if $(SANITIZE),-O1,-O2)
LINK_FLAGS = $(LDFLAGS) $(if $(SANITIZE),-fsanitize=address$(comma)undefined)
LUA_FLAGS := $(shell pkg-config --cflags $(LUA) 2>/dev/null)
LUA_LIBS := $(shell pkg-config --libs $(LUA) 2>/dev/null)
PNG_FLAGS := $(shell pkg-config --cflags libpng 2>/dev/null)
PNG_LIBS := $(shell pkg-config --libs libpng 2>/dev/null)
CAIRO_FLAGS := $(shell pkg-config --cflags cairo 2>/dev/null)
CAIRO_LIBS := $(shell pkg-config --libs cairo 2>/dev/null)
SECCOMP_FLAGS := $(shell pkg-config --cflags libseccomp 2>/dev/null)
SECCOMP_LIBS := $(shell pkg-config --libs libseccomp 2>/dev/null)
EDIT_FLAGS := $(shell pkg-config --cflags libedit 2>/dev/null)
EDIT_LIBS := $(shell pkg-config --libs libedit 2>/dev/null)
SQLITE_FLAGS := $(shell pkg-config --cflags sqlite3 2>/dev/null)
SQLITE_LIBS := $(shell pkg-config --libs sqlite3 2>/dev/null)
# What several ranks of one run need; without it, all but `smrun --mpi` is built. WITHOUT_MPI=1 leaves it out.
MPI_LIBS := $(if $(WITHOUT_MPI),,$(shell pkg-config --libs ompi-c 2>/dev/null))
MPI_FLAGS := $(if $(MPI_LIBS),$(patsubst -I%,-isystem %,$(shell pkg-config --cflags ompi-c 2>/dev/null)))

# What cannot be built with names its Debian packages. Of pairs, the first is pkg-config's name.
BUILT_WITH := $(LUA):lib$(LUA)-dev cairo:libcairo2-dev libpng:libpng-dev zlib:zlib1g-dev libseccomp:libseccomp-dev \
              libedit:libedit-dev sqlite3:libsqlite3-dev
TESTED_WITH := cmocka:libcmocka-dev
pairs_missing = $(foreach pair,$(1),$(shell pkg-config --exists $(firstword $(subst :, ,$(pair))) 2>/dev/null || \
                  echo $(lastword $(subst :, ,$(pair)))))
MISSING := $(if $(MACHINE),,$(firstword $(CC))) \
           $(if $(shell command -v pkg-config 2>/dev/null),$(call pairs_missing,$(BUILT_WITH)),pkg-config)
require = $(if $(strip $(2)),$(error packages are missing: $(strip $(2)). 'make $(1)' installs them))

# A string for C, as an argument in the shell.
c_string = '"$(subst ','\'',$(subst ",\",$(subst \,\\,$(1))))"'
CHECKOUT_BUILD := $(if $(filter /%,$(BUILD)),,$(CURDIR)/)$(BUILD)

CORE := $(patsubst runtime/%.c,%,$(wildcard runtime/core/*.c runtime/core/conv/*.c))
IO := $(filter-out io/canvas,$(patsubst runtime/%.c,%,$(wildcard runtime/io/*.c)))
BIND := $(filter-out bind/canvas bind/sqlite,$(patsubst runtime/%.c,%,$(wildcard runtime/bind/*.c))) mpi/ring
WIRE := mpi/ring mpi/sum mpi/wire host/wire_module
HOST := $(filter-out host/prompt host/wire_module,$(patsubst runtime/%.c,%,$(wildcard runtime/host/*.c)))
LIBRARIES := $(BUILD)/lib/libsmrun.so $(LEVELS:%=$(BUILD)/lib/glibc-hwcaps/%/libsmrun.so)
MODULES := $(BUILD)/lib/sm/runtime.so $(BUILD)/lib/sm/canvas.so $(BUILD)/lib/sm/prompt.so $(BUILD)/lib/sm/sqlite.so \
           $(if $(MPI_LIBS),$(BUILD)/lib/sm/mpi.so)

# Jobs of a make within make, unless the outer one was told how many.
JOBS = $(if $(filter -j%,$(MAKEFLAGS)),,-j$$(nproc))

.PHONY: all objects help deps deps-run deps-test deps-check deps-cluster data run test test-cluster check torture check-debian \
        check-package check-kernel docs install uninstall install-rock clean
.DELETE_ON_ERROR:

all: $(BUILD)/smrun $(MODULES) ## build smrun and the Lua modules (the default)
	@:

objects: # says what the library and its Lua module are made of, for other programs that are linked with it
	@echo $(patsubst %,$(BUILD)/base/%.o,$(CORE) $(IO) $(BIND) host/frame)

help: ## this list
	@sed -n 's/^\([a-z-]*\)[a-z -]*:.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

deps-run: ## install the packages that building and running need
	@third_party/install.sh run
deps-test: ## those and what testing needs
	@third_party/install.sh run test
deps deps-check: ## those and what checking needs (1.2 GB)
	@third_party/install.sh run test check
deps-cluster: ## those of testing, and Slurm and GNU parallel
	@third_party/install.sh run test cluster
deps-bench: ## install what the benchmark compares with (large: PyTorch)
	@third_party/install.sh run test bench

data: all ## fetch and verify MNIST
	@$(BUILD)/smrun data mnist

# The data sets that `make run` has to fetch: those of data=… in ARGS, but for the one that comes with the source.
RUN_DATA = $(filter-out mnist_mini,$(subst $(comma), ,$(or $(patsubst data=%,%,$(filter data=%,$(ARGS))),mnist)))

run: deps-run ## install what is missing, build, fetch MNIST, train experiments/softmax_groups.lua
	@$(MAKE) --no-print-directory $(JOBS) all
	@$(if $(RUN_DATA),$(BUILD)/smrun data $(RUN_DATA))
	@$(BUILD)/smrun experiments/softmax_groups.lua $(ARGS)

# That which the loader picks here, of those above the baseline.
OWN_LEVEL = $(shell /lib64/ld-linux-x86-64.so.2 --help 2>/dev/null | awk '/x86-64-v[34] .supported/ {print $$1; exit}')

test: deps-test ## install what is missing, build, run every test at this processor's instruction-set level
	@$(MAKE) --no-print-directory $(JOBS) all c-tests
	@$(MAKE) --no-print-directory $(JOBS) all c-tests REAL=double LEVELS="$(OWN_LEVEL)"
	@lua5.4 tests/run.lua build build/double

test-cluster: deps-cluster ## a sweep through a Slurm of one node and GNU parallel, one run by several ranks: four minutes
	@$(MAKE) --no-print-directory $(JOBS) all cluster
	@tests/cluster/run.sh $(BUILD)

check: deps-check deps-cluster ## every level and kernel, sanitizers, valgrind, luacheck, warnings as errors, the reference
	@tests/check.sh

torture: deps-check ## fuzzers, failing allocations, hostile finalizers, malformed files: hours
	@tests/torture.sh

check-debian: ## the README's commands and every level in bare Debians (needs root and debootstrap)
	@tests/debian.sh

check-package: ## the Debian package and the rock, built and tried in bare Debians (needs root and debootstrap)
	@tests/package.sh

check-kernel: all c-tests ## confinement under the kernel of Debian 12, emulated (needs root, debootstrap and QEMU)
	@BUILD=$(BUILD) tests/kernel.sh

# The libraries. One object directory per instruction set.
$(BUILD)/base/%.o: runtime/%.c
	$(call require,deps-run,$(MISSING))
	@mkdir -p $(@D)
	$(call say,CC,$@)
	$(Q)$(CC) $(if $(filter core/% mpi/%,$*),$(CORE_FLAGS),$(HOST_FLAGS)) $(if $(filter bind/% host/%,$*),$(LUA_FLAGS)) \
	  $(if $(filter %/canvas,$*),$(CAIRO_FLAGS)) $(if $(filter io/png%,$*),$(PNG_FLAGS)) \
	  $(if $(filter host/confine%,$*),$(SECCOMP_FLAGS)) $(if $(filter host/prompt,$*),$(EDIT_FLAGS)) \
	  $(if $(filter bind/sqlite,$*),$(SQLITE_FLAGS)) $(if $(filter mpi/%,$*),$(MPI_FLAGS)) \
	  -DSM_INSTRUCTION_SET='"base ($(firstword $(subst -, ,$(MACHINE))))"' \
	  $(if $(filter host/%,$*),-DSM_SOURCE_LUA=$(call c_string,$(CURDIR)/lua) \
	  -DSM_BUILD_DIR=$(call c_string,$(CHECKOUT_BUILD))) -c $< -o $@

define level_rule
$(BUILD)/$(1)/%.o: runtime/%.c
	@mkdir -p $$(@D)
	$$(call say,CC,$$@)
	$$(Q)$$(CC) $$(CORE_FLAGS) -march=$(1) -mtune=generic -mprefer-vector-width=$(if $(filter %v4,$(1)),512,256) \
	  -DSM_INSTRUCTION_SET='"$(1)"' -c $$< -o $$@

$(BUILD)/lib/glibc-hwcaps/$(1)/libsmrun.so: $(CORE:%=$(BUILD)/$(1)/%.o) $(IO:%=$(BUILD)/base/%.o)
	@mkdir -p $$(@D)
	$$(call say,LINK,$$@)
	$$(Q)$$(CC) -shared $$(LINK_FLAGS) -pthread -Wl,-soname,libsmrun.so $$^ -o $$@ $$(PNG_LIBS) -lz -ldl -lm
endef
$(foreach level,$(LEVELS),$(eval $(call level_rule,$(level))))

$(BUILD)/lib/libsmrun.so: $(CORE:%=$(BUILD)/base/%.o) $(IO:%=$(BUILD)/base/%.o)
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) -shared $(LINK_FLAGS) -pthread -Wl,-soname,libsmrun.so $^ -o $@ $(PNG_LIBS) -lz -ldl -lm

# nodelete: a Lua state that closes unloads its modules, but the core's threads live on in its code, and cairo
# keeps what it has loaded.
$(BUILD)/lib/sm/runtime.so: $(BIND:%=$(BUILD)/base/%.o) $(LIBRARIES)
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) -shared $(LINK_FLAGS) -Wl,-z,nodelete -Wl,-soname,runtime.so -Wl,-rpath,'$$ORIGIN:$$ORIGIN/..' \
	  $(BIND:%=$(BUILD)/base/%.o) -o $@ -L$(BUILD)/lib -lsmrun

$(BUILD)/lib/sm/canvas.so: $(BUILD)/base/bind/canvas.o $(BUILD)/base/io/canvas.o $(BUILD)/lib/sm/runtime.so
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) -shared $(LINK_FLAGS) -Wl,-z,nodelete -Wl,-rpath,'$$ORIGIN:$$ORIGIN/..' $(filter %.o,$^) -o $@ \
	  -L$(BUILD)/lib/sm -l:runtime.so -L$(BUILD)/lib -lsmrun $(CAIRO_LIBS)

# What reads an index of runs loads it.
$(BUILD)/lib/sm/sqlite.so: $(BUILD)/base/bind/sqlite.o $(BUILD)/lib/sm/runtime.so
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) -shared $(LINK_FLAGS) -Wl,-z,nodelete -Wl,-rpath,'$$ORIGIN:$$ORIGIN/..' $(filter %.o,$^) -o $@ \
	  -L$(BUILD)/lib/sm -l:runtime.so -L$(BUILD)/lib -lsmrun $(SQLITE_LIBS)

# smrun loads it at a prompt alone, and has itself what it needs of the host.
$(BUILD)/lib/sm/prompt.so: $(BUILD)/base/host/prompt.o
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) -shared $(LINK_FLAGS) -Wl,-z,nodelete $^ -o $@ $(EDIT_LIBS)

# MPI is linked to this module alone.
$(BUILD)/lib/sm/mpi.so: $(WIRE:%=$(BUILD)/base/%.o)
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) -shared $(LINK_FLAGS) -pthread -Wl,-z,nodelete -Wl,-soname,mpi.so $^ -o $@ $(MPI_LIBS) -lm

$(BUILD)/smrun: $(HOST:%=$(BUILD)/base/%.o)
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) -rdynamic $(LINK_FLAGS) $^ -o $@ $(LUA_LIBS) $(SECCOMP_LIBS) -lm

# C tests, linked against the library, so that they test the variant that the loader picks.
C_TESTS := $(patsubst tests/c/%.c,$(BUILD)/tests/%,$(wildcard tests/c/test_*.c))
.PHONY: c-tests
c-tests: $(C_TESTS)
	@:

$(BUILD)/tests/test_canvas: EXTRA_OBJECTS = $(BUILD)/base/io/canvas.o
$(BUILD)/tests/test_canvas: $(BUILD)/base/io/canvas.o
CONFINEMENT := $(patsubst %,$(BUILD)/base/host/%.o,confine confine_calls restrict)
CONFINED_TESTS := $(patsubst tests/c/%.c,$(BUILD)/tests/%,$(wildcard tests/c/test_confine*.c))
$(CONFINED_TESTS): EXTRA_OBJECTS = $(CONFINEMENT) $(SECCOMP_LIBS)
$(CONFINED_TESTS): $(CONFINEMENT)
$(BUILD)/tests/%: tests/c/%.c $(LIBRARIES)
	$(call require,deps-test,$(call pairs_missing,$(TESTED_WITH)))
	@mkdir -p $(@D)
	$(call say,CC,$@)
	$(Q)$(CC) $(HOST_FLAGS) -Itests/c $(if $(filter test_canvas,$*),$(CAIRO_FLAGS)) $(LINK_FLAGS) \
	  -Wl,-rpath,'$$ORIGIN/../lib' $< $(EXTRA_OBJECTS) -o $@ -L$(BUILD)/lib -lsmrun -lcmocka -lm -lz \
	  $(if $(filter test_canvas,$*),$(CAIRO_LIBS))

# A program that mpirun starts, for tests/cluster/mpi_spec.lua.
.PHONY: cluster
cluster: $(if $(MPI_LIBS),$(BUILD)/cluster/mpi_sum)
	@:
$(BUILD)/cluster/mpi_sum: tests/cluster/mpi_sum.c $(patsubst %,$(BUILD)/base/%.o,mpi/ring mpi/sum mpi/wire)
	@mkdir -p $(@D)
	$(call say,CC,$@)
	$(Q)$(CC) $(HOST_FLAGS) $(LINK_FLAGS) $^ -o $@ $(MPI_LIBS) -lm

# The benchmark. Without oneDNN, or PyTorch, its part is left out, and the report says so.
CXX_FLAGS := -std=c++17 -Wall -Wextra -Wpedantic -fno-math-errno -fno-trapping-math -MMD -MP -O3 -march=native -fopenmp
ONEDNN = $(shell $(CXX) -std=c++17 -fsyntax-only -x c++ bench/onednn.hpp 2>/dev/null && echo $(BUILD)/bench/onednn_step)
.PHONY: deps-bench bench bench-quick bench-accuracy bench-operations bench-convolution bench-scale
bench: deps-test ## train networks against PyTorch and oneDNN (see deps-bench): docs/results/bench.md; ARGS="resnet"
	@$(MAKE) --no-print-directory $(JOBS) all $(ONEDNN)
	@lua5.4 bench/run.lua $(BUILD) $(ARGS)

bench-quick: deps-test ## the same in five minutes, with fewer rounds, to the terminal
	@$(MAKE) --no-print-directory bench ARGS="quick $(ARGS)"

bench-accuracy: deps-test ## seconds of training to 98 %, 99 % and 99.2 %, also in PyTorch: docs/results/accuracy.md
	@$(MAKE) --no-print-directory $(JOBS) all
	@lua5.4 bench/run.lua $(BUILD) accuracy $(ARGS)

bench-operations: deps-test ## time single operations, forward and back, against PyTorch; ARGS="gelu rounds=5"
	@$(MAKE) --no-print-directory $(JOBS) all
	@lua5.4 bench/operations.lua $(BUILD) $(ARGS)

bench-scale: deps-test deps-cluster ## one run by two processes, and a model of many: docs/results/scale.md
	@$(MAKE) --no-print-directory $(JOBS) all cluster
	@lua5.4 bench/scaling.lua $(BUILD) $(ARGS)

bench-convolution: deps-test ## errors of each method of convolution against double: docs/results/convolution.md
	@$(MAKE) --no-print-directory $(JOBS) all $(BUILD)/bench/convolution
	@$(BUILD)/bench/convolution $(ARGS) >$(BUILD)/bench/convolution.md
	@cp $(BUILD)/bench/convolution.md docs/results/convolution.md

$(BUILD)/bench/convolution: bench/convolution.c $(LIBRARIES)
	@mkdir -p $(@D)
	$(call say,CC,$@)
	$(Q)$(CC) $(HOST_FLAGS) -O3 $(LINK_FLAGS) -Wl,-rpath,'$$ORIGIN/../lib' $< -o $@ -L$(BUILD)/lib -lsmrun -lm

$(BUILD)/bench/onednn_step: bench/onednn_step.cpp
	@mkdir -p $(@D)
	$(call say,CXX,$@)
	$(Q)$(CXX) $(CXX_FLAGS) $< -o $@ -ldnnl

docs: deps-test ## the reference of all that is public, to build/docs/index.html; operations to docs, types to library
	@$(MAKE) --no-print-directory $(JOBS) all
	@lua5.4 docs/reference/make.lua $(BUILD)

install uninstall install-rock: export PREFIX := $(PREFIX)
install install-rock: export LUA := $(LUA)
install uninstall: export DESTDIR := $(DESTDIR)
install: export VERSION := $(VERSION)
install-rock: export BINDIR := $(BINDIR)
install-rock: export LUADIR := $(LUADIR)
install-rock: export LIBDIR := $(LIBDIR)
install: all ## install to PREFIX (default /usr/local)
	@runtime/host/install.sh install $(BUILD)

uninstall: ## remove what install wrote to PREFIX
	@runtime/host/install.sh uninstall

install-rock: all # for LuaRocks, which then moves it to where it belongs
	@runtime/host/install.sh rock $(BUILD)

clean: ## remove everything that was built
	rm -rf build

-include $(shell find $(addprefix $(BUILD)/,base tests cluster bench $(LEVELS)) -name '*.d' -type f 2>/dev/null)
