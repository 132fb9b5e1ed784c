--- The cases of tests/fault/allocations.lua: between them every public function. A case has
---   name; run() → what must be the same each time; before() ahead of each run; prepare() once;
---   settle() puts in place what the library keeps of the last call, ahead of the first;
---   after(ok) checks what a run has left; cold: what it loads must not be loaded before;
---   loose: with something failing it may give less, and say so;
--   also: patterns of errors that do, too; lasting: of those that stay;
--   file: a pattern that an error of a failed call of the system must have, where the case touches files.
return function(home, support)
  local cases = {}
  local function add(name, run, more)
    local case = more or {}
    case.name, case.run = name, run
    cases[#cases + 1] = case
  end
  for _, part in ipairs { "cold", "tensors", "layers", "optimizers", "files", "pictures", "runs" } do
    local path = ("tests/fault/cases/%s.lua"):format(part)
    dofile(path)(add, home, support)
  end
  return cases
end
