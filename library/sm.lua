---@meta sm
-- Made by `make docs` from the library's records, rules and comments; a test compares.

---@alias sm.Dtype "float32"|"float64"|"uint8"|"int32"
---@alias sm.Schedule fun(step: integer): number
---@alias sm.Fan integer|integer[]
---@alias sm.Initialiser fun(shape: integer[], fan_in?: integer, fan_out?: integer): sm.Tensor

--- smrun: train a network that one Lua file describes.
---@class sm
---@field data sm.data data sets
---@field nn sm.nn layers, initialisers and whole models
---@field optim sm.optim optimizers and schedules
---@field png sm.png PNG files
---@field view sm.view pictures
---@field version string of the library
local sm = {}

--- PNG files.
---@class sm.png
local png = {}

--- `sm.arange(n), sm.arange(first, limit, step)`
---
--- 0, 1, … n-1; or first, first+step, … below limit, as in NumPy. A dtype may come last.
---@param first number
---@param limit? number|sm.Dtype
---@param step? number|sm.Dtype
---@param dtype? sm.Dtype
---@return sm.Tensor
function sm.arange(first, limit, step, dtype) end

---@class sm.options.export
--- examples of what the model takes: a batch, a table of batches by name, or a list of several inputs; made up where
--- none are given
---@field like? sm.Tensor|table
---@field metadata? table texts by name that an .onnx file keeps (default: {})

--- `sm.export("net.onnx", model)`
---
--- what the model computes in evaluation, as a graph that other programs run; or sm.export("net.npz", model), the
--- numbers of every parameter and buffer by its name, for NumPy. A graph takes and gives what the model does, images
--- {N, height, width, channels} for any N, in inputs and outputs called "input" and "output", or by the names of a
--- table. The model is run to see what it computes, so a choice that Lua takes by what is in a tensor is refused, and
--- so is an operation that has no form in ONNX.
---@param path string ending in .onnx or .npz
---@param model sm.Layer a model that is built
---@param options? sm.options.export
---@return string # what was written, in words
function sm.export(path, model, options) end

--- `sm.full({2, 3}, 7)`
---
--- a tensor of one number.
---@param shape integer[] a table of sizes
---@param value number a number
---@param dtype? sm.Dtype as for sm.tensor
---@return sm.Tensor
function sm.full(shape, value, dtype) end

--- `sm.is_tensor(x)`
---
--- whether a value is a tensor.
---@param x any
---@return boolean
function sm.is_tensor(x) end

--- `sm.load(path)`
---
--- Reads a file of tensors. Floats of 16, 32 and 64 bits become real, rounded to the nearest (a float64 that is
--- finite and would not be is refused), unsigned bytes uint8, booleans (as 0 and 1) and all other integers int32,
--- which they must fit. A file of named ones gives every tensor that can be read: the names of the others, with the
--- reason, come as a third value, and to index the table by one of them raises that reason. A file with checksums
--- that is not what was written is refused.
---
--- returns: for .npy the tensor; for the others a table name → tensor, the metadata (a table of strings, maybe
--- empty; that of an .npz file is), and a table name → reason of what could not be read (maybe empty)
---@param path string ending in .npy, .npz or .safetensors
---@return any
---@return table<string, string>
---@return table<string, string>
function sm.load(path) end

--- `sm.ones(2, 3), sm.ones({2, 3}, "uint8")`
---
--- a tensor of 1; a dtype follows a table of sizes.
---@param size? integer|integer[]
---@param second? integer|sm.Dtype
---@param ... integer
---@return sm.Tensor
function sm.ones(size, second, ...) end

--- `sm.rand(2, 3)`
---
--- numbers uniform from 0, included, to 1, excluded, from the general stream.
---@param size? integer|integer[]
---@param second? integer|"float32"|"float64"
---@param ... integer
---@return sm.Tensor
function sm.rand(size, second, ...) end

--- `sm.randn(2, 3)`
---
--- numbers of the standard normal distribution, from the general stream.
---@param size? integer|integer[]
---@param second? integer|"float32"|"float64"
---@param ... integer
---@return sm.Tensor
function sm.randn(size, second, ...) end

--- `sm.save(path, x, metadata)`
---
--- Writes tensors to a file. It is written beside its place, synced and renamed: a crash leaves the old file or the
--- new one, never a part.
---
--- `x`: for .npy a tensor; for the others a table name → tensor, written in its own order when it is an ordered map
--- (as model:parameters() is), else sorted by name
---@param path string ending in .npy, .npz or .safetensors
---@param x sm.Tensor|table<string, sm.Tensor>
---@param metadata? table<string, string> for .safetensors: optional table of strings, name → text
function sm.save(path, x, metadata) end

--- `sm.seed(n)`
---
--- Starts every stream anew.
---@param n integer integer
function sm.seed(n) end

--- `sm.tensor(values, dtype)`
---
--- A tensor from a number or nested tables of numbers. Ragged tables are an error.
---@param values number|table e.g. {{1, 2}, {3, 4}}
---@param dtype? sm.Dtype "float32" (the default; "float64" in the double build), "uint8", "int32"
---@return sm.Tensor
function sm.tensor(values, dtype) end

--- `sm.zeros(2, 3), sm.zeros({2, 3}, "uint8")`
---
--- a tensor of 0; a dtype follows a table of sizes.
---@param size? integer|integer[]
---@param second? integer|sm.Dtype
---@param ... integer
---@return sm.Tensor
function sm.zeros(size, second, ...) end

--- `sm.cat({a, b}, axis)`
---
--- tensors of one type joined along an axis, by default the first; the other sizes are alike.
---@param list sm.Tensor[]
---@param axis? integer
---@return sm.Tensor
function sm.cat(list, axis) end

--- `sm.stack({a, b}, axis)`
---
--- tensors of one shape along a new axis, by default the first; -1 is behind the last.
---@param list sm.Tensor[]
---@param axis? integer
---@return sm.Tensor
function sm.stack(list, axis) end

--- `sm.where(c, a, b)`
---
--- a where c (uint8) is not 0, else b; tensors of one type or numbers, which broadcast.
---@param condition sm.Tensor
---@param a sm.Tensor|number
---@param b sm.Tensor|number
---@return sm.Tensor
function sm.where(condition, a, b) end

--- `sm.maximum(a, b)`
---
--- the larger of two tensors or a tensor and a number, which broadcast; NaN wins. Where both are equal each gets half
--- of the gradient.
---@param a sm.Tensor|number
---@param b sm.Tensor|number
---@return sm.Tensor
function sm.maximum(a, b) end

--- `sm.minimum(a, b)`
---
--- the smaller of two tensors or a tensor and a number, which broadcast; NaN wins. Where both are equal each gets
--- half of the gradient.
---@param a sm.Tensor|number
---@param b sm.Tensor|number
---@return sm.Tensor
function sm.minimum(a, b) end

--- `sm.one_hot(labels, n)`
---
--- 1 at the label of each, else 0, along a new last axis of n; labels count from 0.
---@param labels sm.Tensor
---@param n integer
---@return sm.Tensor
function sm.one_hot(labels, n) end

--- `sm.einsum("bik,bkj->bij", a, b)`
---
--- the sum over all axes that are not in the result, of the products of elements with equal positions along axes of
--- one letter. A letter that an operand has twice stands for its diagonal; "..." for any axes, which broadcast.
--- Without "->" the result has what stands once, in the order of the alphabet. Two operands become products of
--- matrices where they lie; more are taken from left to right.
---@param equation string
---@param ... sm.Tensor
---@return sm.Tensor
function sm.einsum(equation, ...) end

---@class sm.options.attention
---@field causal? boolean whether query t sees keys up to t alone (default: false)
---@field dropout? number share of the weights that is dropped (default: 0)
---@field heads? integer parts of the channels that attend by themselves
---@field mask? sm.Tensor uint8, where 0 hides a key, or real, which is added to the scores
---@field scale? number of the scores; 1/√width by default, of a head's width

--- `sm.attention(q, k, v, {heads = 1, causal = false, mask, scale = 1/√width, dropout = 0})`
---
--- of each query the mean of the values, weighted by the softmax of scale * q·k over the keys; q {N, T, channels}, k
--- and v {N, S, channels}, whose channels are cut into heads, or {N, heads, T, width}. causal: query t sees keys up
--- to t. mask broadcasts to the scores {N, heads, T, S} (without heads {N, T, S}): uint8, where 0 hides a key, or
--- added to the scores. Who sees nothing gets 0. The weights of all heads are kept only with dropout, or for a mask
--- that wants a gradient.
---@param q sm.Tensor
---@param k sm.Tensor
---@param v sm.Tensor
---@param options? sm.options.attention
---@return sm.Tensor
function sm.attention(q, k, v, options) end

--- `sm.randint(low, high, shape)`
---
--- whole numbers from low to high - 1, all equally likely: int32. The shape is {2, 3} or 2, 3.
---@param low integer
---@param high integer
---@param list? integer|integer[]
---@param ... integer
---@return sm.Tensor
function sm.randint(low, high, list, ...) end

--- `sm.randperm(n)`
---
--- the positions 1 … n in an arbitrary order: int32.
---@param n integer
---@return sm.Tensor
function sm.randperm(n) end

--- `sm.exponential(shape)`
---
--- numbers of the exponential distribution with mean 1, -log u of uniform u.
---@param list? integer|integer[]
---@param ... integer
---@return sm.Tensor
function sm.exponential(list, ...) end

--- `sm.gumbel(shape)`
---
--- Gumbel noise, -log(-log u) of uniform u. The largest of logits with it is a draw from their softmax.
---@param list? integer|integer[]
---@param ... integer
---@return sm.Tensor
function sm.gumbel(list, ...) end

--- `sm.bernoulli(p)`
---
--- 1 with the probability that p, a tensor, has there, else 0. No gradient passes.
---@param p sm.Tensor
---@return sm.Tensor
function sm.bernoulli(p) end

---@class sm.options.multinomial
---@field labels? boolean whether they count from 0, as labels and tokens do (default: false)

--- `sm.multinomial(p, n, {labels = false})`
---
--- n positions, from 1, in each row of p {…, classes}, each as likely as its weight there, with replacement: int32
--- {…, n}. Weights are at least 0 and need not add up to 1. With labels they count from 0, as an embedding wants
--- them.
---@param p sm.Tensor
---@param n integer
---@param options? sm.options.multinomial
---@return sm.Tensor
function sm.multinomial(p, n, options) end

--- `sm.straight_through(hard, soft)`
---
--- the numbers of hard, with the gradient of soft: as hard is a step that has none, a rounding or a draw. Shares the
--- storage of hard where that is of the real type.
---@param hard sm.Tensor
---@param soft sm.Tensor
---@return sm.Tensor
function sm.straight_through(hard, soft) end

--- `sm.enable_grad(f, ...)`
---
--- Calls f(...) and records what it computes, also inside sm.no_grad and in an evaluation; returns its results.
---@param f function|sm.Layer
---@param ... any
---@return any
function sm.enable_grad(f, ...) end

---@class sm.options.grad
--- whether the gradients are computed by recorded operations, so that they have gradients themselves (default: false)
---@field create_graph? boolean
---@field gradient? sm.Tensor the gradient of y, a tensor of its shape; 1 where it is absent

--- `sm.grad(y, inputs, options)`
---
--- The gradients of y with respect to tensors, leaves or computed from such; their `grad` stays as it is. Without
--- create_graph the graph is freed, as by backward.
---@param y sm.Tensor of one element, or any with a gradient given
---@param inputs sm.Tensor|sm.Tensor[] list of tensors on which y depends, or one
---@param options? sm.options.grad
---@return sm.Tensor[] # list of gradients
function sm.grad(y, inputs, options) end

---@class sm.options.gradcheck
---@field epsilon? number the step; 1e-5 in the double build (default: 0.01)
---@field tolerance? number the greatest relative error; 1e-6 in the double build (default: 0.02)

--- `sm.gradcheck(f, inputs, options)`
---
--- Compares the gradients of f with central differences, for every element of every input. The output is projected on
--- fixed pseudo-random weights, so one backward pass checks all of it.
---
--- `inputs`: a tensor or an array of tensors of the real type; they are put back as they were
---
--- returns: the greatest relative error: |analytic - numeric|, less what the rounding of f's results makes of it,
--- over max(|analytic|, |numeric|, 1e-3 of the input's largest). Raises, naming the worst element, when it is above
--- the tolerance.
---@param f function of tensors → tensor; it must compute the same each time it is called
---@param inputs sm.Tensor|sm.Tensor[]
---@param options? sm.options.gradcheck a table; the double build is where this is meant to be used
---@return number
function sm.gradcheck(f, inputs, options) end

--- `sm.no_grad(f, ...)`
---
--- Calls f(...) without recording and returns its results. f: a function, or what can be called like one, a model.
---@param f function|sm.Layer
---@param ... any
---@return any
function sm.no_grad(f, ...) end

---@class sm.options.op
---@field backward function function(ctx, gy) → one gradient or nil for each argument of forward
---@field forward function function(ctx, ...) → tensor
---@field name string what errors call it

--- `sm.op(definition)`
---
--- A new differentiable operation written in Lua.
---
--- `definition`: a table of options. ctx is a table of its own for every call, to carry what backward needs. Neither
--- function is itself recorded. The inputs, the output and the tensors in ctx, in tables too, may not be changed in
--- place before backward.
---@param definition sm.options.op
---@return fun(...: any): sm.Tensor # function(...) → tensor
function sm.op(definition) end

--- `sm.pointwise(f)`
---
--- A function of tensors and numbers that computes f of every element, in one pass over memory; operands broadcast. f
--- is called once, with symbols. It may use operators, the methods of symbols, sm.where, comparisons, sm.maximum and
--- sm.minimum, and other traced functions. What it reads from outside is read then, so numbers that change are
--- arguments. The result is of the real type; arguments may be uint8 tensors, too. Its gradients are one pass as
--- well, and have gradients of their own.
---@param f function of 1 to 16 arguments that returns one value
---@return fun(...: sm.Tensor|number): sm.Tensor # function(...) of as many tensors and numbers, at least one a tensor
function sm.pointwise(f) end

---@class sm.options.png.load
---@field channels? integer 1 (grey), 3 (RGB) or 4 (RGB and alpha) to convert to; by default as the file has it

--- `png.load(path, { channels = 3 })`
---
--- the picture in a PNG file, {height, width, channels}: uint8; of 16 bits a channel real from 0 to 1. Channels are 1
--- (grey), 2 (grey and alpha), 3 (RGB) or 4 (RGB and alpha), as the file has them; a palette becomes its colours.
--- Colours become grey by the weights 0.299, 0.587 and 0.114 of ITU-R BT.601. Gamma and colour profiles are left
--- alone.
---@param path string
---@param options? sm.options.png.load
---@return sm.Tensor
function png.load(path, options) end

--- `png.save(path, x)`
---
--- writes x {height, width} or {height, width, 1 to 4} as a PNG picture of 8 bits a channel: uint8 as it is, real
--- from 0 to 1 as the nearest of 256 steps. As by sm.save, a crash leaves the old file or the new one.
---@param path string
---@param x sm.Tensor
function png.save(path, x) end

---@class sm.options.experiment
--- the column, such as "validation_accuracy" or { "validation_f1", mode = "max" }, whose best weights are kept and
--- tested
---@field best? string|sm.options.experiment.best
---@field data sm.Dataset a data set of sm.data
--- by name, or function(output, target, input, at) → a tensor of one number; without `train` it is "cross_entropy"
---@field loss? string|fun(output: any, target: any, input: any, at: sm.Moment): sm.Tensor
--- columns of one's own: "accuracy", f1 = function(output, target, input, at) of a whole split, or { mean =
--- function(…) } of a batch (default: {})
---@field metrics? table<integer|string, any>
---@field model sm.Layer a model of sm.nn
---@field name? string of the directory of its runs; by default the file's
--- an optimizer of sm.optim, or several by the name of the layer whose parameters each moves
---@field optimizer? sm.Optimizer|table<string, sm.Optimizer>
---@field schedule sm.options.experiment.schedule how long, in what batches, and when what is done: below
---@field seed? integer what every random number follows (default: 1)
--- a step of one's own: function(at, batch) → numbers by name, which become columns train_NAME
---@field train? fun(at: sm.Moment, batch: any): table<string, number>?
---@field views? sm.View[] a list of views of sm.view (default: {})

---@class sm.options.experiment.best
---@field [1] string a column of the validation data in metrics.csv
---@field mode? "max"|"min" which is best, the largest or the smallest

---@class sm.options.experiment.metrics
---@field mean function function(output, target, input, at) of a batch; the mean over the examples of a split

---@class sm.options.experiment.schedule
---@field accumulate? integer batches whose mean gradient makes a step; 1 where nothing is said
---@field batch integer examples in a batch
---@field checkpoint? integer a checkpoint every so many steps (default: 1000)
---@field ema? number the decay of an exponential moving average of the weights, which is evaluated in their place
---@field evaluate? integer validation and pictures every so many steps (default: 500)
---@field keep? integer how many checkpoints are kept; the last two always are (default: 2)
---@field log? integer a row of metrics.csv every so many steps (default: 100)
--- a power of two, 4 where nothing is said: the parts of a batch whose sums are added; as many processes at most can
--- make a run together
---@field parts? integer
---@field patience? integer ends the training after so many evaluations without a better one, as `best` says
---@field steps integer how many

--- `sm.experiment { data =, model =, optimizer =, schedule = }`
---
--- declares an experiment, for its file to return. smrun trains it, saves it, resumes it and reports it.
---@param given sm.options.experiment
---@return sm.Experiment
function sm.experiment(given) end

---@class sm.options.load_run
--- "best", "newest", or a step that has one; by default the best where the run keeps it, else the newest
---@field checkpoint? string|integer
---@field quiet? boolean does not say what has changed since (default: false)

--- `sm.load_run(path, { checkpoint = "best" })`
---
--- the model of a finished or stopped run, with the weights of its newest checkpoint, and its data. The text that the
--- run has kept is run anew, with its modules and parameters; nothing is trained. An experiment that loads a run is
--- another one where that run is.
---
--- returns: {model= (in eval mode), data=, params= (name → value), step= (of the checkpoint), directory=, name= (of
--- the experiment), variant=, summary= (of a finished run; nil before)}
---@param path string the run directory
---@param options? sm.options.load_run
---@return sm.Run
function sm.load_run(path, options) end

--- `sm.params { groups = 4, lr = 1e-3 }`
---
--- the parameters of this file, with their defaults; gives their values, which the command line may set.
---@generic T: table
---@param defaults T name → number, boolean or string; the default's type is the parameter's type
---@return T # name → value, read-only; reading a name that was not declared is an error
function sm.params(defaults) end

return sm
