-- Loading: what fails half-way is loaded whole the next time.
return function(add)
  -- Lua's own require passes over a file for which it gets no memory to open it, and the loader of shared libraries has
  -- words of its own. OpenBLAS is looked for once, and so is room for its buffers.
  local function more()
    return { cold = true, lasting = { "^cannot load OpenBLAS", "^out of memory: OpenBLAS" }, also = {
      "^[^\n]*module '[%w.]+' not found", "failed to map segment",
      "cannot open shared object", "cannot create shared object" } }
  end

  add("load sm", function()
    local sm = require "sm"
    return { sm.version, sm.zeros(2):totable() }
  end, more())

  add("load rooms", function()
    local sm = require "sm"
    local names = {}
    for name, value in pairs(sm) do names[#names + 1] = name .. " " .. type(value) end
    return { names, tostring(sm), tostring(sm.nn), tostring(sm.optim), tostring(sm.data), tostring(sm.view) }
  end, more())
end
