-- Says that it is done, as smrun would, and then fails. The exit code must tell.
-- expect: error "the end of it"
io.write "\nvalidation accuracy 100.00 % after 4 steps in 0.1 s   runs/done/default\n"
io.write "report     runs/done/default/report.html\n"
io.stdout:flush()
io.stderr:write "smrun: all is well\n"
error "the end of it"
