-- Asks for the rooms that belong to the program: host, runtime, command line, jobs, fetching. None may be handed out.
-- expect: contained
for _, name in ipairs { "sm.host", "sm.runtime", "sm.cli", "sm.cli.init", "sm.cli.host", "sm.study.jobs", "sm.canvas",
  "sm.data.fetch", "sm.data.shell", "sm.experiment.directory", "sm.cli.globals", "sm.modules", "sm.check" } do
  local ok, module = pcall(require, name)
  if ok and type(module) ~= "nil" then print("BREACH: require gives " .. name) end
  ok, module = pcall(function() return package.loaded[name] end)
  if ok and module ~= nil then print("BREACH: package.loaded has " .. name) end
end
