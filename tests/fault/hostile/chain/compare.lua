-- Runs that strangers sent are compared, with texts and columns that terminals obey. No text may run, nothing be
-- obeyed.
-- command: compare runs/victim/default runs/other/default
-- terminal
-- expect: contained
-- setup: run("runs/victim/default", "os.execute 'echo BREACH'")
-- setup: write("runs/victim/default/params.json", '{"\\u001b[31mred": "\\u001b]0;title\\u0007"}')
-- setup: write("runs/victim/default/metrics.csv", "step,\27[31mred\n1,\27]0;title\7\n")
error "never run"
