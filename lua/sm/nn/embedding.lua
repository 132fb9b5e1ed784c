--- The table of a vector for each token.
local initialise = require "sm.nn.initialise"
local layer = require "sm.nn.layer"

local M = {}

--- nn.embedding { count, size }: tokens {N, …}, int32 or uint8 from 0 to count − 1, become the rows of a table that
--- they name, {N, …, size}. The parameter is `weight` {count, size}. A model that begins with it is built for tokens,
--- int32 ones where nothing is said: model:build { T }.
M.embedding = layer.define("embedding", {
  input_dtype = "int32",
  options = {
    { type = "integer", required = true, min = 1, doc = "how many tokens there are" },
    { type = "integer", required = true, min = 1, doc = "numbers for each" },
    init = { type = "function", default = initialise.normal(1), doc = "of the table; normal with deviation 1" },
  },

  build_values = function(self)
    local count, size = self.options[1], self.options[2]
    self:make_parameter("weight", { count, size }, self.options.init, count, size)
  end,

  forward = function(self, x) return self.weight:embedding(x) end,

  describe = function(self) return ("%d of %d"):format(self.options[1], self.options[2]) end,
})

return M
