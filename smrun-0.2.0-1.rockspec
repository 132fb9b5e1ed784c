-- For LuaRocks, from a checkout: luarocks make --deps-mode none
rockspec_format = "3.0"
package = "smrun"
version = "0.2.0-1"
source = { url = "." } -- there is no place to fetch it from: `luarocks make` takes what is here
description = {
  summary = "Experiments with neural networks, each one Lua file",
  detailed = [[
Tensors, autograd, layers, optimizers, data sets and pictures for Lua 5.4, and the program smrun, which trains what one
Lua file describes. Building takes what `make deps-run` installs on Debian: a C compiler, Lua's headers, cairo, libpng,
zlib, libseccomp, libedit and SQLite.]],
  license = "MIT",
}
supported_platforms = { "linux" }
dependencies = { "lua >= 5.4, < 5.5", "luafilesystem >= 1.8", "argparse >= 0.7.1" }
build = {
  type = "make",
  build_target = "all",
  build_variables = { CFLAGS = "$(CFLAGS)" },
  install_target = "install-rock",
  install_variables = {
    PREFIX = "$(PREFIX)", BINDIR = "$(BINDIR)", LUADIR = "$(LUADIR)", LIBDIR = "$(LIBDIR)",
  },
  copy_directories = {},
}
