--- What comments do not tell, as lua-language-server writes it: the types of functions that are no records, and the
--- fields of what they give. A spec compares names with what the library really has.
local M = {}

local TENSORS <const> = "sm.Tensor|sm.Tensor[]"
local SIZES <const> = "(size?: integer|integer[], second?: integer|sm.Dtype, ...: integer): sm.Tensor"
local REAL_SIZES <const> = SIZES:gsub("sm%.Dtype", "\"float32\"|\"float64\"")

--- Of each function what it takes and gives. OPTIONS is the class of its table of options. There is one way to call
--- each: of several LuaLS takes the wrong one where they differ in more than how many arguments there are.
M.functions = {
  ["sm.arange"] = "(first: number, limit?: number|sm.Dtype, step?: number|sm.Dtype, dtype?: sm.Dtype): sm.Tensor",
  ["sm.export"] = "(path: string, model: sm.Layer, options?: OPTIONS): string",
  ["sm.full"] = "(shape: integer[], value: number, dtype?: sm.Dtype): sm.Tensor",
  ["sm.is_tensor"] = "(x: any): boolean",
  ["sm.load"] = "(path: string): any, table<string, string>, table<string, string>",
  ["sm.ones"] = SIZES,
  ["sm.rand"] = REAL_SIZES,
  ["sm.randn"] = REAL_SIZES,
  ["sm.save"] = "(path: string, x: sm.Tensor|table<string, sm.Tensor>, metadata?: table<string, string>)",
  ["sm.seed"] = "(n: integer)",
  ["sm.tensor"] = "(values: number|table, dtype?: sm.Dtype): sm.Tensor",
  ["sm.zeros"] = SIZES,
  ["x:accuracy"] = "(labels: sm.Tensor, options?: OPTIONS): number",
  ["x:copy_"] = "(y: sm.Tensor): sm.Tensor",
  ["x:item"] = "(): number",
  ["x:totable"] = "(): any",
  ["sm.enable_grad"] = "(f: function|sm.Layer, ...: any): any",
  ["sm.no_grad"] = "(f: function|sm.Layer, ...: any): any",
  ["sm.grad"] = "(y: sm.Tensor, inputs: " .. TENSORS .. ", options?: OPTIONS): sm.Tensor[]",
  ["sm.gradcheck"] = "(f: function, inputs: " .. TENSORS .. ", options?: OPTIONS): number",
  ["sm.op"] = "(definition: OPTIONS): fun(...: any): sm.Tensor",
  ["sm.pointwise"] = "(f: function): fun(...: sm.Tensor|number): sm.Tensor",
  ["x:backward"] = "(given?: sm.Tensor|OPTIONS)",
  ["x:detach"] = "(): sm.Tensor",
  ["x:requires_grad"] = "(wanted?: boolean): sm.Tensor",
  ["x:tracks"] = "(): boolean",

  ["nn.layer"] = "(given: OPTIONS): fun(options?: any): sm.Layer",
  ["nn.fn"] = "(f: function|OPTIONS): sm.Layer",
  ["nn.init.constant"] = "(value: number): sm.Initialiser",
  ["nn.init.normal"] = "(std: number): sm.Initialiser",
  ["nn.init.truncated_normal"] = "(std: number): sm.Initialiser",
  ["nn.init.glorot_normal"] = "(): sm.Initialiser",
  ["nn.init.glorot_uniform"] = "(): sm.Initialiser",
  ["nn.init.he_normal"] = "(): sm.Initialiser",
  ["nn.init.he_uniform"] = "(): sm.Initialiser",
  ["nn.init.zeros"] = "(): sm.Initialiser",
  ["model:build"] = "(shape: table, dtype?: sm.Dtype|table): sm.Layer",
  ["model:activations"] = "(...: any): table<string, sm.Tensor>",
  ["model:parameters"] = "(): table<string, sm.Tensor>",
  ["model:buffers"] = "(): table<string, sm.Tensor>",
  ["model:train"] = "(): sm.Layer",
  ["model:eval"] = "(): sm.Layer",
  ["model:layer"] = "(path: string): sm.Layer",
  ["model:summary"] = "(): string",
  ["model:load"] = "(given: string|table<string, sm.Tensor>, options?: OPTIONS): sm.Layer, table",
  ["model:freeze"] = "(pattern?: string, frozen?: boolean): sm.Layer",

  ["optim.define"] = "(given: OPTIONS): fun(options: table): sm.Optimizer",
  ["optim.constant"] = "(lr: number): sm.Schedule",
  ["optim.cosine"] = "(given: OPTIONS): sm.Schedule",
  ["optim.step"] = "(given: OPTIONS): sm.Schedule",
  ["optim.warmup"] = "(given: OPTIONS): sm.Schedule",
  ["opt:add"] = "(parameters: sm.Tensor|table<string, sm.Tensor>, overrides?: table): sm.Optimizer",
  ["opt:parameters"] = "(): table<string, sm.Tensor>",
  ["opt:zero_grad"] = "()",
  ["opt:rate"] = "(): number",
  ["opt:step"] = "()",
  ["opt:watch"] = "()",
  ["opt:telemetry"] = "(): table<string, number>",
  ["opt:state"] = "(): table<string, sm.Tensor>",
  ["opt:restore"] = "(tensors: table<string, sm.Tensor>, steps: integer)",

  ["data.augment"] = "(x: sm.Tensor, given: OPTIONS): sm.Tensor",
  ["set:stream"] = "(size: integer): table",
  ["set:batches"] = "(size: integer, options?: OPTIONS): fun(): any, any",
  ["png.load"] = "(path: string, options?: OPTIONS): sm.Tensor",
  ["png.save"] = "(path: string, x: sm.Tensor)",

  ["view.canvas"] = "(width: integer, height: integer, options?: OPTIONS): sm.Canvas",
  ["view.image"] = "(x: sm.Tensor|function, options?: OPTIONS): sm.View",
  ["view.images"] = "(x: " .. TENSORS .. "|function, options?: OPTIONS): sm.View",
  ["view.paint"] = "(given?: OPTIONS): sm.View",
  ["view.plot"] = "(series: sm.Tensor|table|function, options?: OPTIONS): sm.View",
  ["view:save"] = "(path: string, at?: table)",
  ["canvas:text"] = "(x: number, y: number, text: string, options?: OPTIONS)",
  ["canvas:measure"] = "(text: string, options?: OPTIONS): number",
  ["canvas:line"] = "(points: number[]|sm.Tensor, options?: OPTIONS)",
  ["canvas:rectangle"] = "(x: number, y: number, width: number, height: number, options?: OPTIONS)",
  ["canvas:image"] = "(x: number, y: number, picture: sm.Tensor, options?: OPTIONS)",
  ["canvas:save"] = "(path: string)",

  ["sm.experiment"] = "(given: OPTIONS): sm.Experiment",
  ["sm.load_run"] = "(path: string, options?: OPTIONS): sm.Run",
  ["sm.params"] = "<T: table>(defaults: T): T",
  ["experiment:run"] = "(options?: OPTIONS): table",
  ["experiment:plan"] = "(options?: OPTIONS): table",
  ["experiment:resume"] = "(options?: OPTIONS): table",
  ["experiment:evaluate"] = "(options?: OPTIONS): table",
}

--- What the other functions of a room give; they take a table of options, or the first of them alone.
M.rooms = { nn = "sm.Layer", optim = "sm.Optimizer", data = "sm.Dataset", view = "sm.View" }

local function loss_of(gives)
  return ("fun(output: any, target: any, input: any, at: sm.Moment): %s"):format(gives)
end
local WINDOW <const> = "integer|integer[]"
local PADDING <const> = "integer|integer[]|\"same\"|\"valid\""

--- Of options whose rule says less than this. A name before the dot is that of the function.
M.options = {
  stride = WINDOW, dilation = WINDOW, padding = PADDING,
  gradient = "sm.Tensor", data = "sm.Dataset", model = "sm.Layer",
  optimizer = "sm.Optimizer|table<string, sm.Optimizer>", views = "sm.View[]",
  lr = "number|sm.Schedule", after = "number|sm.Schedule", init = "sm.Initialiser", bias_init = "sm.Initialiser",
  shortcut = "sm.Layer",
  ["sm.experiment.loss"] = "string|" .. loss_of "sm.Tensor",
  ["sm.experiment.metrics"] = "table<integer|string, any>",
  ["sm.experiment.train"] = "fun(at: sm.Moment, batch: any): table<string, number>?",
  ["nn.prelu.init"] = "number",
  ["nn.layer.setup"] = "fun(self: sm.OwnLayer)",
  ["nn.layer.layers"] = "fun(self: sm.OwnLayer): table",
  ["nn.layer.build_values"] = "fun(self: sm.OwnLayer, shape: integer[], ...: any)",
  ["nn.layer.forward"] = "fun(self: sm.OwnLayer, ...: any): any",
  ["nn.layer.describe"] = "fun(self: sm.OwnLayer): string",
  ["optim.define.state"] = "fun(shape: integer[], options: table): table<string, sm.Tensor>",
  ["optim.define.step"] = "fun(w: sm.Tensor, g: sm.Tensor, state: table<string, sm.Tensor>, at: table): sm.Tensor",
  ["optim.define.rate"] = "fun(options: table, lr: number, step: integer): number",
  ["optim.define.validate"] = "fun(where: string, options: table)",
}

--- Names of types that are used in several places.
M.aliases = {
  { "sm.Dtype", '"float32"|"float64"|"uint8"|"int32"' },
  { "sm.Schedule", "fun(step: integer): number" },
  { "sm.Fan", "integer|integer[]" },
  { "sm.Initialiser", "fun(shape: integer[], fan_in?: integer, fan_out?: integer): sm.Tensor" },
}

local function arithmetic(name) return ("%s(sm.Tensor|number): sm.Tensor"):format(name) end

--- What has methods: where its definition lies, what it is, its fields {name, type, words} and operators. What is not
--- always there has no "?": LuaLS would ask for a test wherever it is used.
M.classes = {
  { name = "sm.Tensor", file = "tensor", words = "Numbers of one type in a box of any rank, row by row.",
    fields = { { "shape", "integer[]", "how long each axis is" }, { "dtype", "sm.Dtype", "the type of its elements" },
      { "grad", "sm.Tensor", "its gradient after backward; nil before" },
      { "[integer]", "sm.Tensor", "a part along the first axis" } },
    operators = { arithmetic "add", arithmetic "sub", arithmetic "mul", arithmetic "div", arithmetic "pow",
      "unm: sm.Tensor", "len: integer" } },
  { name = "sm.Layer", file = "nn", words = "A layer, or a whole model. Called with a batch {N, …}, it gives its "
      .. "output. There may be several inputs, and each may be a table of tensors by name.",
    overload = "fun(...: any): any",
    fields = { { "kind", "string", "what it is: \"conv2d\"" }, { "name", "string", "within what it lies in" },
      { "path", "string", "from the whole model; \"\" for that" },
      { "options", "table", "those that it was made with" },
      { "training", "boolean", "whether it is in training mode" },
      { "layers", "sm.Layer[]", "those in it, or nil" }, { "input_shape", "table", "of one example, once it is built" },
      { "output_shape", "table", "of one example, once it is built" },
      { "[string]", "any", "its parameters, buffers and layers by name" } } },
  { name = "sm.OwnLayer: sm.Layer", file = "nn", words = "A layer of nn.layer, as its functions get it.",
    fields = { { "make_parameter", "fun(self, name: string, shape: integer[], init: sm.Initialiser, "
        .. "fan_in?: sm.Fan, fan_out?: sm.Fan): sm.Tensor", "adds a parameter, self[name]" },
      { "make_buffer", "fun(self: sm.OwnLayer, name: string, value: sm.Tensor): sm.Tensor",
        "adds a tensor that is saved and not trained, self[name]" } } },
  { name = "sm.Optimizer", file = "optim", words = "What moves parameters by their gradients.",
    fields = { { "name", "string", "its rule: \"adam\"" }, { "steps", "integer", "how many are done" },
      { "telemetry_names", "string[]", "of what telemetry gives" } } },
  { name = "sm.Dataset", file = "data", words = "Examples to train on, and perhaps some to validate and to test with.",
    fields = { { "name", "string", "what it is called" }, { "description", "string", "a line about it" },
      { "shape", "table", "that of one example; by name where inputs have names" },
      { "dtype", "string|table", "that of the inputs in a batch" },
      { "classes", "integer", "how many labels there are; nil without labels" },
      { "class_names", "string[]", "what they are called, or nil" }, { "train", "sm.Split", "the training examples" },
      { "validation", "sm.Split", "those to choose by; nil without" },
      { "test", "sm.Split", "those for the end; nil without" },
      { "columns", "string[]", "of data.csv: the names of the inputs" },
      { "mean", "any", "of data.csv, standardised" },
      { "deviation", "any", "of data.csv, standardised" }, { "vocabulary", "string[]", "of data.text: its tokens" },
      { "encode", "fun(text: string): integer[]", "of data.text: the numbers of a text" },
      { "decode", "fun(numbers: any): string", "of data.text: the text of numbers" } } },
  { name = "sm.Split", file = "data", words = "Examples of one purpose.",
    operators = { "len: integer" },
    fields = { { "inputs", "any", "all inputs {N, …}, or tensors by name" },
      { "targets", "any", "what belongs to them" }, { "kind", "string|table", "what the inputs are" },
      { "batches", "fun(self: sm.Split, size: integer): fun(): any, any", "goes through all examples in order" },
      { "slice", "fun(self: sm.Split, first: integer, last: integer): sm.Split", "a part, which shares memory" } } },
  { name = "sm.View", file = "view", words = "A picture that a run draws at each evaluation.",
    fields = { { "name", "string", "after which its files are called" } } },
  { name = "sm.Canvas", file = "view", words = "A picture to draw on.", fields = {} },
  { name = "sm.Experiment", file = "experiment", words = "What sm.experiment declares.", fields = {} },
  { name = "sm.Run", file = "experiment", words = "A run as sm.load_run gives it.",
    fields = { { "model", "sm.Layer", "in evaluation mode" }, { "data", "sm.Dataset", "its data set" },
      { "params", "table<string, any>", "its parameters" }, { "step", "integer", "of the checkpoint" },
      { "directory", "string", "where it lies" }, { "name", "string", "of the experiment" },
      { "variant", "string", "what differs from the defaults" },
      { "summary", "table", "of a finished run; nil before" } } },
  { name = "sm.Moment", file = "experiment", words = "What an experiment's functions are told, as last argument.",
    fields = { { "step", "integer", "that is being made; in an evaluation those that are done" },
      { "training", "boolean", "whether a step is being made" }, { "model", "any", "as it was declared" },
      { "optimizer", "any", "as it was declared" }, { "data", "sm.Dataset", "as it was declared" },
      { "row", "table<string, any>", "of metrics.csv, where a view is drawn" },
      { "rows", "table[]", "all rows until now, where a view is drawn" } } },
}

--- What a method's name begins with in the reference, and its class.
M.methods = { x = "sm.Tensor", model = "sm.Layer", opt = "sm.Optimizer", set = "sm.Dataset", view = "sm.View",
  canvas = "sm.Canvas", experiment = "sm.Experiment" }

return M
