-- Requires a compiled module beside it. It must be refused.
-- expect: contained
-- setup: write("exp/compiled.lua", dump(load "print 'BREACH: a compiled module ran'"))
pcall(require, "compiled")
