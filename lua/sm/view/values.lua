--- The numbers that are drawn: filters, or patches like them, on one symmetric scale.
-- @module sm.view.values

--- @param weight real {rows, columns, in, out}
-- @param sizes array of group sizes (their sum is out), whose means are removed; nil: nothing is removed
-- @return an array of out tensors {rows, columns} (one input channel) or {rows, columns, in}; the largest
--   absolute value is 1
-- @return what 1 stands for, in units of the weights; 1 when every weight is 0
return function(weight, sizes)
  local height, width, channels, filters = table.unpack(weight.shape)
  local rows = weight:detach():reshape(height * width * channels, filters):transpose()
  local groups, first, peak = {}, 1, 0
  for index, size in ipairs(sizes or { filters }) do
    local group = rows:slice(first, first + size - 1)
    if sizes then group = group - group:mean(1) end
    peak = math.max(peak, group:abs():max():item())
    groups[index], first = group, first + size
  end
  if peak == 0 then peak = 1 end
  local shape = channels == 1 and { height, width } or { height, width, channels }
  local pictures = {}
  for _, group in ipairs(groups) do
    group = group / peak
    for i = 1, #group do pictures[#pictures + 1] = group[i]:reshape(shape) end
  end
  return pictures, peak
end
