--- Shannon's measures of tables of counts, in bits.
-- @module sm.view.information
local M = {}

local function plogp(count, total)
  return count > 0 and -count / total * math.log(count / total, 2) or 0
end

--- The entropy of an array of counts.
function M.entropy(counts)
  local total, sum = 0, 0
  for _, count in ipairs(counts) do total = total + count end
  for _, count in ipairs(counts) do sum = sum + plogp(count, total) end
  return sum
end

--- The mutual information of row and column of a table of counts (an array of rows), and both entropies.
function M.mutual(joint)
  local rows, columns, all = {}, {}, {}
  for r, row in ipairs(joint) do
    rows[r] = 0
    for c, count in ipairs(row) do
      rows[r], columns[c] = rows[r] + count, (columns[c] or 0) + count
      all[#all + 1] = count
    end
  end
  local row_entropy, column_entropy = M.entropy(rows), M.entropy(columns)
  return math.max(0, row_entropy + column_entropy - M.entropy(all)), row_entropy, column_entropy
end

--- Mutual information over the mean of the two entropies: 0 independent, 1 each tells the other. 0 where
-- neither varies.
function M.normalised(joint)
  local shared, one, other = M.mutual(joint)
  return one + other > 0 and 2 * shared / (one + other) or 0
end

return M
