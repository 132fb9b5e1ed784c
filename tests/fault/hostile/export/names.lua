-- Weights whose checkpoint names them as paths, and names that terminals obey. Nothing may be written but the one file.
-- terminal
-- command: export sent/model.safetensors --format npz --out runs/made/x.npz
-- expect: contained
-- setup: trained("sent/run") mkdir("runs/made")
-- setup: checkpoint("sent/run/checkpoints/step-000003.safetensors", "sent/model.safetensors", [==[
-- setup: tensors["model.../../../outside/new"] = sm.ones(2) tensors["model.\27[31m"] = sm.ones(2)]==])
error "never run"
