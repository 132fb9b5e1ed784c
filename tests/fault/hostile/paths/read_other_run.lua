-- Reads the runs of others, which lie beside its own. They must be out of reach, but for sm.load_run perhaps.
-- expect: contained
for _, path in ipairs { "runs/other/default/summary.json", "@HERE@/runs/other/default/experiment.lua",
  "../other/default/metrics.csv", "../../other/default/metrics.csv" } do
  local ok, text = pcall(function() return io.open(path):read "a" end)
  if ok then print("BREACH: " .. path, #text) end
end
