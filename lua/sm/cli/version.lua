--- smrun --version
local host = require "sm.host"
local text = require "sm.text"

local M = {}

local function line(name, value)
  local columns, words = text.terminal(1), ("%-16s %s"):format(name, value)
  text.print(columns and text.wrap(words, columns, 17) or words)
end

--- Prints the version; with --verbose also what it computes with.
--- @return integer exit code
function M.version(options)
  text.print("smrun " .. host.version)
  if not options.verbose then return 0 end
  local runtime = require "sm.runtime"
  local system = runtime.system
  local blas = system.blas()
  line("Lua", _VERSION)
  line("numbers", runtime.real)
  line("instruction set", system.instruction_set)
  line("convolution", system.convolution)
  line("matrix products", system.matrix_products)
  line("threads", ("%d of %d cores"):format(system.threads(), system.cores()))
  line("OpenBLAS", blas.config)
  line("  kernel", blas.kernel)
  line("  library", blas.path)
  line("program", host.executable)
  return 0
end

return M
