--- What the columns of metrics.csv mean, in the words of those who fill them: a run, an optimizer, a view. They are
-- told where the names are made, and a report shows them beside the curves.
local M = {}

local families = {}

--- Tells of columns that come together. In a file their names may have something in front, which is the same for all:
--- "conv1_", the path of a layer; "critic_", the name of an optimizer.
--- @param family table {heading=(what their curves stand under; nil for those that a reader came for); exact=(whether
---   nothing stands in front); and an array of {name, …; words=(what they are); heading=(nil, or one of its own);
---   title=(nil, or what their curves are called); optional=(whether it may be missing where the others are)};
---   beside=(nil, or array of names of another family that is there, too)}
--- @return table array of the names
function M.define(family)
  local names = {}
  for _, entry in ipairs(family) do table.move(entry, 1, #entry, #names + 1, names) end
  families[#families + 1] = family
  return names
end

--- Whether a family is in a file with something in front of its names.
local function is_whole(family, front, present)
  for _, name in ipairs(family.beside or {}) do
    if not present[front .. name] then return false end
  end
  for _, entry in ipairs(family) do
    for _, name in ipairs(entry) do
      if not entry.optional and not present[front .. name] then return false end
    end
  end
  return true
end

--- What is put in front of a family's names; nil where a column is not the first of such a family.
local function front_of(family, column)
  local first = family[1][1]
  if column == first then return "" end
  if family.exact or column:sub(-#first - 1) ~= "_" .. first then return nil end
  return column:sub(1, -#first - 1)
end

--- What is known of the columns of a file. A name alone does not say what a column is: a person's own may end like one
--- of the library's. So a family is recognised where all of it is there.
--- @param columns table array of names
--- @return table name → {heading=, words=, title=}; nothing for a column that is not known
function M.explain(columns)
  local present, known = {}, {}
  for _, column in ipairs(columns) do present[column] = true end
  for _, family in ipairs(families) do
    for _, column in ipairs(columns) do
      local front = front_of(family, column)
      if front and is_whole(family, front, present) then
        for _, entry in ipairs(family) do
          for _, name in ipairs(entry) do
            known[front .. name] = {
              heading = entry.heading or family.heading, words = entry.words,
              title = entry.title and (front:gsub("_", " ")) .. entry.title,
            }
          end
        end
      end
    end
  end
  return known
end

return M
